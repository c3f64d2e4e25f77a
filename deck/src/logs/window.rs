//! The beginning and the end of a log of any length, in bounded memory.

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::LogStream;
use super::markup::{push_cut, push_gap, push_line};
use crate::ansi::Terminal;

/// Bytes kept of the beginning, and of the end.
const HEAD: usize = 64 << 10;
const TAIL: usize = 256 << 10;
/// Of a line that is longer than all that is shown; fewer bytes than a line has columns.
const LINE_END: usize = 8 << 10;
/// A log that comes does not pause for longer.
const STILL: Duration = Duration::from_secs(1);

/// What a page shows of a log.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    /// Lines as HTML.
    pub(crate) html: String,
    /// Whole lines, shown or not; with the last one, where only its end is shown.
    pub(crate) lines: u64,
    /// Of the whole log.
    pub(crate) bytes: u64,
    /// Something in the middle is not shown.
    pub(crate) cut: bool,
    /// What comes after it did not come in time.
    pub(crate) late: bool,
}

impl Excerpt {
    /// Reads `log` to its end, or what comes of it `in_time`; while it comes, it may take
    /// `longer` by so much. A last line without its end is shown only if the log is `complete`.
    pub(crate) async fn read(
        mut log: LogStream,
        complete: bool,
        in_time: Instant,
        longer: Duration,
    ) -> anyhow::Result<Self> {
        let mut window = Window::default();
        let mut until = in_time;
        let late = loop {
            match timeout_at(until, log.try_next()).await {
                Ok(Ok(Some(chunk))) => window.push(&chunk),
                Ok(Ok(None)) => break false,
                Ok(Err(error)) if window.bytes == 0 => return Err(error),
                Err(late) if window.bytes == 0 => return Err(late.into()),
                Ok(Err(_)) | Err(_) => break true,
            }
            until = (Instant::now() + STILL).clamp(in_time, in_time + longer);
        };
        let mut excerpt = window.excerpt(complete && !late);
        excerpt.late = late;
        Ok(excerpt)
    }
}

#[derive(Debug, Default)]
struct Window {
    head: Vec<u8>,
    /// Everything after the head, or its end.
    tail: Vec<u8>,
    bytes: u64,
    newlines: u64,
}

impl Window {
    fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.newlines += newlines(chunk);
        let (first, rest) = chunk.split_at(chunk.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    fn excerpt(self, complete: bool) -> Excerpt {
        let mut excerpt = Excerpt {
            lines: self.newlines,
            bytes: self.bytes,
            ..Excerpt::default()
        };
        let all = self.head.len() + self.tail.len();
        if all as u64 == self.bytes {
            let text = [self.head, self.tail].concat();
            excerpt.lines += u64::from(complete && text.last().is_some_and(|last| *last != b'\n'));
            render(&mut excerpt.html, &text, 1, complete);
            return excerpt;
        }
        excerpt.cut = true;
        let head = &self.head[..self
            .head
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1)];
        render(&mut excerpt.html, head, 1, false);
        let tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        let start = tail.iter().position(|byte| *byte == b'\n');
        let whole = &tail[start.map_or(tail.len(), |at| at + 1)..];
        let shown = newlines(head);
        if whole.is_empty() {
            // The last line alone is longer: its end is what a reader looks for.
            let ended = tail.last() == Some(&b'\n');
            let number = self.newlines + u64::from(!ended);
            push_gap(&mut excerpt.html, number - 1 - shown);
            if ended || complete {
                excerpt.lines = number;
                push_cut(&mut excerpt.html, number);
                let end = &tail[tail.len().saturating_sub(LINE_END)..];
                render(&mut excerpt.html, at_character(end), number, true);
            }
            return excerpt;
        }
        let first = self.newlines - newlines(whole) + 1;
        push_gap(&mut excerpt.html, first - 1 - shown);
        render(&mut excerpt.html, whole, first, complete);
        excerpt
    }
}

/// Without the rest of a character that was cut.
fn at_character(text: &[u8]) -> &[u8] {
    let rest = text.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80);
    &text[rest.count()..]
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn render(html: &mut String, text: &[u8], first: u64, complete: bool) {
    let mut terminal = Terminal::starting_at(first);
    let mut sink = |number: u64, line: &str| push_line(html, number, line);
    terminal.feed(text, &mut sink);
    if complete {
        terminal.finish(&mut sink);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt, stream};

    use super::*;

    async fn read(log: LogStream, complete: bool) -> anyhow::Result<Excerpt> {
        let in_time = Instant::now() + Duration::from_secs(60);
        Excerpt::read(log, complete, in_time, Duration::ZERO).await
    }

    #[tokio::test]
    async fn what_does_not_come_is_not_waited_for() {
        let in_time = || Instant::now() + Duration::from_millis(100);
        let longer = Duration::from_secs(1);
        let hung = stream::pending().boxed();
        assert!(Excerpt::read(hung, true, in_time(), longer).await.is_err());
        let begun = stream::iter([Ok(Bytes::from_static(b"one\ntw"))]).chain(stream::pending());
        let begun = Excerpt::read(begun.boxed(), true, in_time(), longer).await;
        let begun = begun.unwrap();
        assert!(begun.late && begun.html.contains("one") && !begun.html.contains("tw"));
        let endless = stream::iter(0..).then(async |_| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Bytes::from_static(b"line\n"))
        });
        let slow = Excerpt::read(endless.boxed(), true, in_time(), longer).await;
        assert!(slow.unwrap().late, "it is read no longer than it may take");
    }

    async fn excerpt(lines: u64, end: &str, complete: bool) -> Excerpt {
        let text = (1..=lines)
            .map(|n| format!("line {n}\n"))
            .collect::<String>()
            + end;
        let chunks: Vec<_> = text
            .as_bytes()
            .chunks(10_007)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        read(stream::iter(chunks).boxed(), complete).await.unwrap()
    }

    #[tokio::test]
    async fn a_small_log_is_shown_whole() {
        let whole = excerpt(3, "rest", true).await;
        assert_eq!((whole.lines, whole.cut), (4, false));
        assert!(
            whole.html.contains("line 1") && whole.html.contains("rest"),
            "{}",
            whole.html
        );
        let running = excerpt(3, "rest", false).await;
        assert_eq!(running.lines, 3);
        assert!(
            !running.html.contains("rest"),
            "an unfinished line may still change"
        );
        assert_eq!(read(stream::empty().boxed(), true).await.unwrap().lines, 0);
    }

    #[tokio::test]
    async fn of_a_line_longer_than_the_window_the_end_is_shown() {
        let long = |end: &str| "ä".repeat(1 << 20) + end;
        for (end, complete, lines, shown) in [
            (long("the reason"), true, 21, true),
            (long("the reason\n"), true, 21, true),
            (long("the reason\n"), false, 21, true),
            (long("the reason"), false, 20, false),
        ] {
            let cut = excerpt(20, &end, complete).await;
            assert_eq!((cut.lines, cut.cut), (lines, true));
            assert!(cut.html.contains("line 20<"), "what comes before it");
            assert_eq!(cut.html.contains("äthe reason</span>"), shown);
            assert_eq!(cut.html.contains("Only the end of line 21"), shown);
            assert!(!cut.html.contains('\u{fffd}') && cut.html.len() < 1 << 20);
        }
        let only = excerpt(0, &long("the reason"), true).await;
        assert!(
            only.html
                .starts_with("<div class=\"gap\">Only the end of line 1")
        );
        let next = excerpt(20, &long("\nthe reason"), true).await;
        assert!(next.html.contains("1 line is not shown here") && next.html.contains("the reason"));
    }

    #[tokio::test]
    async fn a_huge_log_keeps_both_ends_and_their_numbers() {
        let cut = excerpt(400_000, "", true).await;
        assert!(cut.cut && cut.html.len() < 3 << 20, "{}", cut.html.len());
        assert_eq!(cut.lines, 400_000);
        for (number, shown) in [
            (1, true),
            (5_000, true),
            (200_000, false),
            (390_000, true),
            (400_000, true),
        ] {
            let line = format!("id=\"L{number}\"");
            assert_eq!(cut.html.contains(&line), shown, "{number}");
            if shown {
                let at = cut.html.find(&line).unwrap();
                let end = cut.html[at..].find("</div>").unwrap();
                assert!(
                    cut.html[at..at + end].contains(&format!("line {number}")),
                    "{}",
                    &cut.html[at..at + end]
                );
            }
        }
    }
}
