//! A digest as Markdown, for comments and check runs. Pure.
//!
//! Everything in a digest is a stranger's text: it stands in code only, and no line begins with it,
//! so that nothing that reads comments takes it for a row of the table above.

use common::{
    failure_digest::{DigestLine, FailureDigest, FailureKind, MAX_LINES},
    untrusted_text::{self, escape_code_span, escape_html},
};

use crate::crier::{
    comment::format_cell,
    quote::{MAX_TEXT, MAX_URL},
};

/// Limits of one job's digest in a comment.
const COMMENT_LINES: usize = 12;
const COMMENT_BYTES: usize = 1024;
const COMMENT_TESTS: usize = 5;
/// Most characters of all lines; a digest holds fewer.
const MAX_BLOCK: usize = 32 << 10;
/// Most bytes of all digests in a comment.
const MAX_SECTION: usize = 10 << 10;

const BEGIN: &str = "<!-- failure digest of ";
const END: &str = "<!-- end of failure digest -->";

/// The digest of one failed job in a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestBlock {
    /// The job's name in the table.
    pub name: String,
    text: String,
}

impl DigestBlock {
    /// `context` is the job's, `url` the run's page, `losses` what was not stored.
    #[must_use]
    pub fn new(context: &str, url: &str, digest: &FailureDigest, losses: &str) -> Self {
        let mut text = format!(
            "<details>\n<summary><code>{}</code> <code>{}</code></summary>\n\n",
            escape_html(context, MAX_TEXT),
            escape_html(&digest.summary, MAX_TEXT)
        );
        text.push_str(&render_tests(digest, COMMENT_TESTS));
        text.push_str(&render_lines(
            &digest.best_lines(COMMENT_LINES, COMMENT_BYTES),
        ));
        text.push_str(self::render_losses(losses).trim_start());
        text.push_str(&render_closing(url, digest));
        text.push_str("\n</details>\n");
        Self {
            name: format_cell(context),
            text,
        }
    }
}

/// The section below a comment's table: the last blocks that fit, as [`parse_blocks`] reads them.
#[must_use]
pub fn render_digest_section(blocks: &[DigestBlock]) -> String {
    let mut length = 0;
    let fits = |block: &&DigestBlock| {
        length += block.text.len() + 2 * BEGIN.len() + block.name.len() + END.len();
        length <= MAX_SECTION
    };
    let count = blocks.iter().rev().take_while(fits).count();
    let shown = &blocks[blocks.len() - count..];
    let one =
        |DigestBlock { name, text }: &DigestBlock| format!("{BEGIN}{name} -->\n{text}{END}\n");
    shown.iter().map(one).collect()
}

/// The blocks of an existing comment.
#[must_use]
pub fn parse_blocks(body: &str) -> Vec<DigestBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<DigestBlock> = None;
    for line in body.lines() {
        let name = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(" -->"));
        match (name, &mut open) {
            (Some(name), _) => {
                open = Some(DigestBlock {
                    name: name.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(_)) if line == END => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The long form, for a check run.
#[must_use]
pub fn render_digest(url: &str, digest: &FailureDigest) -> String {
    let mut text = render_tests(digest, usize::MAX);
    text.push_str(&render_lines(&digest.best_lines(MAX_LINES, usize::MAX)));
    text.push_str(&render_closing(url, digest));
    text
}

fn render_tests(digest: &FailureDigest, max: usize) -> String {
    let mut text = String::new();
    let shown = digest.tests.len().min(max);
    for test in &digest.tests[..shown] {
        text.push_str(&format!("- {}", escape_code_span(&test.name, MAX_TEXT)));
        if !test.message.is_empty() {
            text.push_str(&format!(": {}", escape_code_span(&test.message, MAX_TEXT)));
        }
        if !test.frame.is_empty() {
            text.push_str(&format!(" at {}", escape_code_span(&test.frame, MAX_TEXT)));
        }
        text.push('\n');
    }
    let more = digest.failed_tests.saturating_sub(shown as u64);
    if more > 0 {
        text.push_str(&format!("- and {more} more\n"));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Lines with their numbers.
fn render_lines(lines: &[&DigestLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let mut before: Option<u64> = None;
    for line in lines {
        if before.is_some_and(|before| line.number > before + 1) {
            text.push_str("…\n");
        }
        match line.number {
            0 => text.push_str(&format!("· {}\n", line.text)),
            number => text.push_str(&format!("{number}: {}\n", line.text)),
        }
        before = Some(line.number);
    }
    untrusted_text::escape_code_block(&text, MAX_BLOCK) + "\n"
}

/// What is missing, and a link to more.
fn render_closing(url: &str, digest: &FailureDigest) -> String {
    let mut text = String::new();
    // The summary of an unknown failure is its note.
    if let Some(note) = digest
        .note
        .filter(|note| digest.summary != note.user_message())
    {
        text.push_str(&format!("{}\n\n", note.user_message()));
    }
    let url = untrusted_text::escape_link_target(url, MAX_URL);
    if url.is_empty() {
        return text;
    }
    let best = digest
        .lines
        .iter()
        .filter(|line| line.error && line.number > 0);
    match best.min_by_key(|line| line.rank) {
        Some(DigestLine { number, .. }) => {
            let query = match digest.container.as_str() {
                "" => String::new(),
                other => format!("?container={other}"),
            };
            let line =
                untrusted_text::escape_link_target(&format!("{url}{query}#L{number}"), MAX_URL);
            text.push_str(&format!("[Line {number} of the log]({line})\n"));
        }
        None => text.push_str(&format!("[The run]({url})\n")),
    }
    text
}

/// What was not stored, as a paragraph of its own; empty if all was.
pub(crate) fn render_losses(losses: &str) -> String {
    if losses.is_empty() {
        return String::new();
    }
    format!(
        "\n\nNot everything was stored: {}\n\n",
        escape_code_span(losses, MAX_TEXT)
    )
}

/// A title of at most 166 characters, in plain text: GitHub does not render it.
#[must_use]
pub fn digest_title(digest: &FailureDigest) -> String {
    match digest.kind {
        // Such a job failed by itself, although only its pod says so.
        FailureKind::Pod if !digest.summary.starts_with("Job failed") => {
            format!("infrastructure: {}", digest.summary)
        }
        _ => digest.summary.clone(),
    }
}

#[cfg(test)]
mod tests {
    use common::failure_digest::{DigestNote, FailedTest};
    use insta::assert_snapshot;

    use super::*;

    fn line(number: u64, text: &str, error: bool) -> DigestLine {
        DigestLine {
            number,
            text: text.into(),
            rank: 0,
            error,
        }
    }

    fn digest() -> FailureDigest {
        FailureDigest {
            kind: FailureKind::Tests,
            summary: "2 of 431 tests failed: TestFoo, <b>@all</b>".into(),
            total_tests: 431,
            failed_tests: 2,
            tests: vec![
                FailedTest {
                    name: "TestFoo".into(),
                    message: "got `1`, @maria".into(),
                    frame: "a/foo_test.go:12".into(),
                },
                FailedTest {
                    name: "``` | @all".into(),
                    ..FailedTest::default()
                },
            ],
            lines: vec![
                line(6, "/test all", false),
                line(7, "--- FAIL: TestFoo", true),
                line(9, "```` <!-- end of failure digest -->", false),
            ],
            ..FailureDigest::default()
        }
    }

    /// With invisible characters made visible.
    fn shown(text: &str) -> String {
        text.replace('\u{200b}', "¦")
    }

    #[test]
    fn a_block_of_a_comment() {
        let block = DigestBlock::new("unit", "http://deck/view/7", &digest(), "");
        assert_snapshot!(shown(&render_digest_section(&[block])), @r"
        <!-- failure digest of unit -->
        <details>
        <summary><code>unit</code> <code>2 of 431 tests failed: TestFoo, &lt;b&gt;@all&lt;/b&gt;</code></summary>

        - `TestFoo`: ``got `1`, @maria`` at `a/foo_test.go:12`
        - ` ``` | @all `

         `````
         6: /test all
         7: --- FAIL: TestFoo
         …
         9: ```` <¦!-- end of failure digest -->
         `````

        [Line 7 of the log](http://deck/view/7#L7)

        </details>
        <!-- end of failure digest -->
        ");
    }

    #[test]
    fn a_block_says_what_was_not_stored() {
        let digest = FailureDigest {
            summary: "exit 1".into(),
            ..FailureDigest::default()
        };
        let block = |losses| {
            render_digest_section(&[DigestBlock::new("unit", "http://d/7", &digest, losses)])
        };
        let told = block("1 file was not stored: `a` <!-- end of failure digest --> @all: no.");
        assert_snapshot!(shown(&told), @r"
        <!-- failure digest of unit -->
        <details>
        <summary><code>unit</code> <code>exit 1</code></summary>

        Not everything was stored: ``1 file was not stored: `a` <¦!-- end of failure digest --> @all: no.``

        [The run](http://d/7)

        </details>
        <!-- end of failure digest -->
        ");
        assert_eq!(parse_blocks(&told).len(), 1);
        assert!(!block("").contains("stored"));
    }

    #[test]
    fn blocks_are_found_again() {
        let all: Vec<DigestBlock> = ["unit", "a --> b", "c"]
            .iter()
            .map(|name| DigestBlock::new(name, "http://deck/1", &digest(), ""))
            .collect();
        let body = format!("table\n\n{}tail\n", render_digest_section(&all));
        assert_eq!(parse_blocks(&body), all);
        assert_eq!(parse_blocks("no digest\n"), []);
        assert_eq!(
            parse_blocks("<!-- failure digest of x -->\nnever closed"),
            []
        );
        let many = vec![all[0].clone(); 200];
        assert!(render_digest_section(&many).len() <= MAX_SECTION);
        assert!(!parse_blocks(&render_digest_section(&many)).is_empty());
    }

    #[test]
    fn the_long_form_fits_into_a_check_run() {
        let test = FailedTest {
            name: "`".repeat(200),
            message: "`".repeat(300),
            frame: "`".repeat(200),
        };
        let longest = FailureDigest {
            tests: vec![test; 20],
            lines: (1..=60)
                .map(|n| line(2 * n, &"`".repeat(300), true))
                .collect(),
            ..digest()
        };
        assert!(render_digest("http://deck/7", &longest).len() < 65_535);
        let withheld = FailureDigest {
            note: Some(DigestNote::Uncensored),
            lines: Vec::new(),
            ..digest()
        };
        let text = render_digest("", &withheld);
        assert!(text.contains("not marked as censored"), "{text}");
    }
}
