//! Any text for each sink is bounded, is one line where that is required, and hides nothing.

#![no_main]

use common::untrusted_text;
use libfuzzer_sys::fuzz_target;

/// The longest text that a sink adds to an empty one, in bytes.
const FRAME: usize = 600;

fuzz_target!(|input: (u16, &str)| {
    let (limit, text) = (usize::from(input.0), input.1);
    for line in [
        untrusted_text::escape_code_span(text, limit),
        untrusted_text::escape_code_cell(text, limit),
        untrusted_text::escape_markdown(text, limit),
        untrusted_text::escape_html(text, limit),
        untrusted_text::escape_slack(text, limit),
        untrusted_text::escape_plain(text, limit),
        untrusted_text::escape_terminal(text, limit),
        untrusted_text::escape_link_target(text, limit),
        untrusted_text::sanitize_login(text, limit),
    ] {
        let shown = line.replace('\u{200b}', "");
        assert!(!shown.chars().any(untrusted_text::is_hidden), "{line:?}");
        assert!(line.len() <= (limit + 1) * untrusted_text::MAX_GROWTH + FRAME, "{line:?}");
    }
    let code = untrusted_text::escape_code_span(text, limit);
    let ticks = code.len() - code.trim_start_matches('`').len();
    assert!((1..=80).contains(&ticks) && code.ends_with(&"`".repeat(ticks)));
    assert_eq!(code.matches(&*"`".repeat(ticks)).count(), 2 + longer_runs(&code, ticks));

    let block = untrusted_text::escape_code_block(text, limit);
    assert!(block.lines().all(|line| line.starts_with(' ')));
    let fence = block.lines().next().expect("a fence");
    let closings = block.lines().filter(|line| line.trim().starts_with(fence.trim()));
    assert_eq!(closings.count(), 2, "{block:?}");
    assert!(untrusted_text::escape_terminal_lines(text, limit).lines().all(|line| !line.chars().any(untrusted_text::is_hidden)));
});

/// How often the delimiter is found within longer runs of backticks, which close nothing.
fn longer_runs(code: &str, ticks: usize) -> usize {
    let runs = code.split(|c| c != '`').map(str::len);
    runs.filter(|run| *run > ticks).map(|run| run / ticks).sum()
}
