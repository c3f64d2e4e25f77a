//! Renders the bytes of a log as lines of HTML: colours are kept, everything is escaped.
//!
//! The renderer goes byte by byte and keeps its state between calls, so the result does not depend
//! on where a stream is split. It holds at most one line, and a line is bounded. It is no terminal
//! emulator: sequences that move the cursor between lines are left out.

mod line;
pub(crate) mod palette;
mod style;
mod utf8;

use line::LineBuffer;
use style::TextStyle;
use utf8::{Utf8Decoder, Utf8Step};

/// Longest parameters of a control sequence, in bytes; a sequence with longer ones is skipped.
const MAX_PARAMETERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EscapeState {
    Ground,
    /// After `ESC`.
    Escape,
    /// `ESC` and intermediate bytes: the next final byte ends the sequence.
    EscapeIntermediate,
    /// `ESC [` up to its final byte.
    Control,
    /// A string (`ESC ]`, `ESC P` …) up to `BEL` or `ESC \`; its text is not shown.
    Text,
    /// `ESC` inside such a string.
    TextEscape,
}

/// Turns bytes into numbered lines of HTML.
#[derive(Debug)]
pub(crate) struct AnsiRenderer {
    next_line: u64,
    state: EscapeState,
    parameters: Vec<u8>,
    style: TextStyle,
    line: LineBuffer,
    utf8: Utf8Decoder,
    /// Whether something was written since the last line end.
    dirty: bool,
}

impl AnsiRenderer {
    /// The first line is numbered `first_line`.
    pub(crate) fn starting_at(first_line: u64) -> Self {
        Self {
            next_line: first_line,
            state: EscapeState::Ground,
            parameters: Vec::new(),
            style: TextStyle::default(),
            line: LineBuffer::default(),
            utf8: Utf8Decoder::default(),
            dirty: false,
        }
    }

    /// Renders further bytes. `sink` gets the number and the HTML of each finished line.
    pub(crate) fn render_bytes(&mut self, bytes: &[u8], sink: &mut impl FnMut(u64, &str)) {
        for &byte in bytes {
            self.process_byte(byte, sink);
        }
    }

    /// Ends the log. An unfinished last line goes to `sink` as well.
    pub(crate) fn finish_log(mut self, sink: &mut impl FnMut(u64, &str)) {
        self.flush_utf8();
        if self.dirty {
            self.end_line(sink);
        }
    }

    fn process_byte(&mut self, byte: u8, sink: &mut impl FnMut(u64, &str)) {
        // A line end ends the line in any state: a truncated sequence must not take the next one.
        if byte == b'\n' {
            self.flush_utf8();
            self.state = EscapeState::Ground;
            self.end_line(sink);
            return;
        }
        match self.state {
            EscapeState::Ground => self.process_ground(byte),
            EscapeState::Escape => self.process_escape(byte),
            EscapeState::EscapeIntermediate => {
                if byte >= 0x30 {
                    self.state = EscapeState::Ground;
                }
            }
            EscapeState::Control => self.process_control(byte),
            EscapeState::Text => match byte {
                0x07 => self.state = EscapeState::Ground,
                0x1b => self.state = EscapeState::TextEscape,
                _ => {}
            },
            EscapeState::TextEscape => {
                self.state = EscapeState::Text;
                if byte == b'\\' {
                    self.state = EscapeState::Ground;
                }
            }
        }
    }

    fn process_ground(&mut self, byte: u8) {
        if byte >= 0x80 || self.utf8.is_open() {
            self.process_multibyte(byte);
            return;
        }
        match byte {
            0x1b => self.state = EscapeState::Escape,
            b'\r' => self.line.carriage_return(),
            0x08 => self.line.move_back(1),
            b'\t' | 0x20..=0x7e => self.put_char(char::from(byte)),
            _ => {}
        }
    }

    fn process_multibyte(&mut self, byte: u8) {
        match self.utf8.push_byte(byte) {
            Utf8Step::More => {}
            Utf8Step::Char(character) => self.put_char(character),
            Utf8Step::BadThen(again) => {
                self.put_char(char::REPLACEMENT_CHARACTER);
                if let Some(byte) = again {
                    self.process_ground(byte);
                }
            }
        }
    }

    fn flush_utf8(&mut self) {
        if self.utf8.is_open() {
            self.utf8 = Utf8Decoder::default();
            self.put_char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn put_char(&mut self, character: char) {
        self.dirty = true;
        self.line.put_char(character, self.style);
    }

    fn process_escape(&mut self, byte: u8) {
        self.state = match byte {
            b'[' => {
                self.parameters.clear();
                EscapeState::Control
            }
            b']' | b'P' | b'X' | b'^' | b'_' => EscapeState::Text,
            0x1b => EscapeState::Escape,
            0x20..=0x2f => EscapeState::EscapeIntermediate,
            _ => EscapeState::Ground,
        };
    }

    fn process_control(&mut self, byte: u8) {
        match byte {
            0x1b => self.state = EscapeState::Escape,
            0x20..=0x3f => {
                if self.parameters.len() <= MAX_PARAMETERS {
                    self.parameters.push(byte);
                }
            }
            0x40..=0x7e => {
                self.state = EscapeState::Ground;
                self.apply_control_sequence(byte);
            }
            _ => self.state = EscapeState::Ground,
        }
    }

    fn apply_control_sequence(&mut self, last: u8) {
        let parameters = std::mem::take(&mut self.parameters);
        let plain = parameters.len() <= MAX_PARAMETERS
            && parameters
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
        if !plain {
            return;
        }
        let text = std::str::from_utf8(&parameters).expect("digits and separators are ASCII");
        let number: usize = text
            .split(';')
            .next()
            .and_then(|first| first.parse().ok())
            .unwrap_or(0);
        match last {
            b'm' => self.style.apply_sgr(text),
            b'K' => self.line.erase_line(number),
            b'C' => self.line.move_forward(number.max(1)),
            b'D' => self.line.move_back(number.max(1)),
            b'G' => self.line.move_to_column(number.max(1) - 1),
            _ => {}
        }
    }

    fn end_line(&mut self, sink: &mut impl FnMut(u64, &str)) {
        let html = self.line.take_html();
        sink(self.next_line, &html);
        self.next_line += 1;
        self.dirty = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut terminal = AnsiRenderer::starting_at(1);
        let mut lines = Vec::new();
        let mut sink = |_: u64, html: &str| lines.push(html.to_owned());
        for chunk in chunks {
            terminal.render_bytes(chunk, &mut sink);
        }
        terminal.finish_log(&mut sink);
        lines
    }

    #[test]
    fn shows_what_a_terminal_shows() {
        for (what, log, expected) in [
            ("plain text", "a\nb\n", vec!["a", "b"]),
            ("a last line without its end", "a\nb", vec!["a", "b"]),
            ("an empty line stays", "a\n\nb\n", vec!["a", "", "b"]),
            (
                "markup is text",
                "<script>&\"\n",
                vec!["&lt;script&gt;&amp;&quot;"],
            ),
            (
                "a colour",
                "\x1b[31mred\x1b[0m x\n",
                vec!["<span class=\"f1\">red</span> x"],
            ),
            (
                "bold and bright, ended by an empty sequence",
                "\x1b[1;92mok\x1b[m.\n",
                vec!["<span class=\"b f10\">ok</span>."],
            ),
            (
                "256 colours",
                "\x1b[38;5;208;48;5;17mx\n",
                vec!["<span class=\"f208 g17\">x</span>"],
            ),
            (
                "true colour is brought to 256",
                "\x1b[38;2;255;135;0mx\n",
                vec!["<span class=\"f208\">x</span>"],
            ),
            (
                "true colour with colons",
                "\x1b[38:2::255:135:0mx\n",
                vec!["<span class=\"f208\">x</span>"],
            ),
            (
                "inverse",
                "\x1b[7;31mx\n",
                vec!["<span class=\"fd g1\">x</span>"],
            ),
            (
                "a colour goes on over the line end",
                "\x1b[4mx\ny\n",
                vec!["<span class=\"u\">x</span>", "<span class=\"u\">y</span>"],
            ),
            (
                "a progress bar keeps its last state",
                "10%\r55%\r100%\n",
                vec!["100%"],
            ),
            (
                "a shorter overwrite leaves the rest",
                "abcdef\rxy\n",
                vec!["xycdef"],
            ),
            ("unless it erases", "abcdef\rxy\x1b[K\n", vec!["xy"]),
            ("windows line ends", "a\r\nb\r\n", vec!["a", "b"]),
            ("backspace", "abc\x08d\n", vec!["abd"]),
            (
                "a hyperlink keeps its text",
                "\x1b]8;;http://x\x1b\\here\x1b]8;;\x07\n",
                vec!["here"],
            ),
            (
                "a sequence that was cut off eats no line",
                "a\x1b[3\nb\n",
                vec!["a", "b"],
            ),
            (
                "unknown sequences vanish",
                "\x1b[?25la\x1b(B\x1b[2Jb\x1b>\n",
                vec!["ab"],
            ),
            ("not a colour", "\x1b[38;5;999mx\x1b[48;2;1mx\n", vec!["xx"]),
        ] {
            assert_eq!(lines_of(&[log.as_bytes()]), expected, "{what}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_marked() {
        assert_eq!(
            lines_of(&[b"a\xff\xe2\x82b\xe2\x82\xac\n\xe2"]),
            ["a\u{fffd}\u{fffd}b€", "\u{fffd}"]
        );
    }

    #[test]
    fn a_line_is_bounded() {
        let line = lines_of(&["x".repeat(line::MAX_COLUMNS + 5).as_bytes()]).remove(0);
        assert!(
            line.ends_with("<i>… 5 more characters</i>"),
            "{}",
            &line[line.len() - 60..]
        );
    }

    #[test]
    fn a_cursor_goes_no_further_than_a_terminal_is_wide() {
        for sequence in ["\x1b[9999C", "\x1b[9999G", &"\x1b[300C".repeat(9)] {
            let line = lines_of(&[format!("{sequence}x\n").as_bytes()]).remove(0);
            assert!(line.ends_with('x'), "{line:?}");
            assert!(line.len() <= line::TERMINAL_WIDTH + 1, "{}", line.len());
        }
        let long = "y".repeat(line::TERMINAL_WIDTH + 50);
        let line = lines_of(&[format!("{long}\x1b[9Cx\n").as_bytes()]).remove(0);
        assert_eq!(line, format!("{long}x"));
        let line = lines_of(&[format!("{long}\x1b[3Dabc\n").as_bytes()]).remove(0);
        assert!(line.ends_with("yabc"), "{line:?}");
    }

    #[test]
    fn erasing_again_and_again_costs_little() {
        let log = "x".repeat(9_000) + &"x\x1b[1K".repeat(50_000) + "end\n";
        let start = std::time::Instant::now();
        let line = lines_of(&[log.as_bytes()]).remove(0);
        assert!(line.starts_with("    "), "{}", &line[..10]);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        assert_eq!(lines_of(&[b"abc\x1b[1K\rx\x1b[3G\x1b[1Ky\n"]), ["  y"]);
    }

    /// Bytes in which escape sequences are much more frequent than by chance.
    fn log() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            Just(b"\x1b[".to_vec()),
            Just(b"\x1b[1;38;5;".to_vec()),
            Just(b"\x1b]8;;".to_vec()),
            Just(b"\x1b\\".to_vec()),
            Just(b"<b>&\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just("é€😀".as_bytes().to_vec()),
            "[0-9;:mKCDG]{1,4}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_cuts(log in log(), cuts in prop::collection::vec(1usize..7, 1..40)) {
            let mut rest = log.as_slice();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, left) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = left;
            }
            chunks.push(rest);
            prop_assert_eq!(lines_of(&chunks), lines_of(&[&log]));
        }

        #[test]
        fn nothing_of_the_log_is_markup(log in log()) {
            for line in lines_of(&[&log]) {
                let own = strip_tags(&line);
                prop_assert!(!own.contains(['<', '>', '"']), "{line}");
            }
        }
    }

    /// Removes the tags that this module writes, and nothing else.
    fn strip_tags(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find("<span class=\"") {
            out.push_str(&rest[..at]);
            let tail = &rest[at + "<span class=\"".len()..];
            let end = tail.find("\">").expect("a span's tag is closed");
            assert!(
                tail[..end]
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b' ')
            );
            rest = &tail[end + 2..];
        }
        out.push_str(rest);
        out.replace("</span>", "")
            .replace("<i>", "")
            .replace("</i>", "")
    }
}
