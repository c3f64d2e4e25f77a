//! Any text into each sink: bounded, on one line where it has to be, nothing hidden in it.

#![no_main]

use common::inert;
use libfuzzer_sys::fuzz_target;

/// Around a text of no length.
const FRAME: usize = 600;

fuzz_target!(|input: (u16, &str)| {
    let (limit, text) = (usize::from(input.0), input.1);
    for line in [
        inert::code(text, limit),
        inert::code_cell(text, limit),
        inert::markdown(text, limit),
        inert::html(text, limit),
        inert::slack(text, limit),
        inert::plain(text, limit),
        inert::terminal(text, limit),
        inert::target(text, limit),
        inert::login(text, limit),
    ] {
        let shown = line.replace('\u{200b}', "");
        assert!(!shown.chars().any(inert::is_hidden), "{line:?}");
        assert!(line.len() <= (limit + 1) * inert::MAX_GROWTH + FRAME, "{line:?}");
    }
    let code = inert::code(text, limit);
    let ticks = code.len() - code.trim_start_matches('`').len();
    assert!((1..=80).contains(&ticks) && code.ends_with(&"`".repeat(ticks)));
    assert_eq!(code.matches(&*"`".repeat(ticks)).count(), 2 + longer_runs(&code, ticks));

    let block = inert::fence(text, limit);
    assert!(block.lines().all(|line| line.starts_with(' ')));
    let fence = block.lines().next().expect("a fence");
    let closings = block.lines().filter(|line| line.trim().starts_with(fence.trim()));
    assert_eq!(closings.count(), 2, "{block:?}");
    assert!(inert::terminal_lines(text, limit).lines().all(|line| !line.chars().any(inert::is_hidden)));
});

/// How often the delimiter is found within longer runs, which close nothing.
fn longer_runs(code: &str, ticks: usize) -> usize {
    let runs = code.split(|c| c != '`').map(str::len);
    runs.filter(|run| *run > ticks).map(|run| run / ticks).sum()
}
