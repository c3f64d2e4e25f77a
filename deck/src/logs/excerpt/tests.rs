use bytes::Bytes;
use futures::{StreamExt, stream};

use super::*;

fn window(text: &str) -> LogWindow {
    let mut window = LogWindow::new_counting();
    for chunk in text.as_bytes().chunks(10_007) {
        window.push_chunk(chunk);
    }
    window
}

fn shown(window: &LogWindow, complete: bool) -> LogExcerpt {
    let html = ExcerptEnds::from_window(window, complete).into_html(None, &LogMarkup::default());
    LogExcerpt::from_window(window, complete, html)
}

fn lines(count: u64) -> String {
    (1..=count).map(|n| format!("line {n}\n")).collect()
}

fn excerpt(count: u64, end: &str, complete: bool) -> LogExcerpt {
    shown(&window(&(lines(count) + end)), complete)
}

#[test]
fn a_small_log_is_shown_whole() {
    let whole = excerpt(3, "rest", true);
    assert_eq!(whole.lines, 4);
    for text in ["line 1<", "rest"] {
        assert!(whole.html.contains(text), "{}", whole.html);
    }
    assert!(!whole.html.contains("not shown"), "{}", whole.html);
    let running = excerpt(3, "rest", false);
    assert_eq!(running.lines, 3);
    assert!(
        !running.html.contains("rest"),
        "an unfinished line may still change"
    );
    assert_eq!(excerpt(0, "", true).lines, 0);
}

#[test]
fn of_a_line_longer_than_the_window_the_end_is_shown() {
    let long = |end: &str| "ä".repeat(1 << 20) + end;
    for (end, complete, lines, shown) in [
        (long("the reason"), true, 21, true),
        (long("the reason\n"), true, 21, true),
        (long("the reason\n"), false, 21, true),
        (long("the reason"), false, 20, false),
    ] {
        let cut = excerpt(20, &end, complete);
        assert_eq!(cut.lines, lines);
        assert!(cut.html.contains("line 20<"), "what comes before it");
        assert_eq!(cut.html.contains("äthe reason</span>"), shown);
        assert_eq!(cut.html.contains("Only the end of line 21"), shown);
        assert!(!cut.html.contains('\u{fffd}') && cut.html.len() < 1 << 20);
    }
    let only = excerpt(0, &long("the reason"), true);
    assert!(
        only.html
            .starts_with("<div class=\"gap\">Only the end of line 1")
    );
    let next = excerpt(20, &long("\nthe reason"), true);
    assert!(next.html.contains("1 line is not shown here") && next.html.contains("the reason"));
}

#[test]
fn a_huge_log_keeps_both_ends_and_their_numbers() {
    let cut = excerpt(400_000, "", true);
    assert!(cut.html.len() < 1 << 20, "{}", cut.html.len());
    assert_eq!(cut.lines, 400_000);
    for (number, shown) in [
        (1, true),
        (1_000, true),
        (1_001, false),
        (200_000, false),
        (396_000, false),
        (396_001, true),
        (400_000, true),
    ] {
        let row = format!("id=\"L{number}\"");
        assert_eq!(cut.html.contains(&row), shown, "{number}");
        if shown {
            let at = cut.html.find(&row).unwrap();
            let end = cut.html[at..].find("</div>").unwrap();
            let row = &cut.html[at..at + end];
            assert!(row.contains(&format!("line {number}<")), "{row}");
        }
    }
    assert!(cut.html.contains("395000 lines are not shown here"));
}

#[test]
fn whatever_a_log_is_made_of_its_page_is_bounded() {
    for (what, log) in [
        ("cursors", "\u{1b}[9999Cx\n".repeat(4_000)),
        ("line ends", "\n".repeat(300_000)),
        ("colours", "\u{1b}[7mx\u{1b}[m".repeat(40_000)),
        ("quotes", "\"".repeat(320_000)),
        ("escaped lines", ("\"".repeat(100) + "\n").repeat(3_000)),
    ] {
        for complete in [true, false] {
            let page = shown(&window(&log), complete);
            assert!(page.html.len() < 3 << 20, "{what}: {}", page.html.len());
            let rows = page.html.matches("class=\"ln\"").count();
            assert!(rows <= 5_000, "{what}: {rows} rows");
        }
    }
}

#[tokio::test]
async fn a_line_in_the_middle_is_shown_with_what_is_around_it() {
    let text = lines(400_000);
    let window = window(&text);
    for (line, from, to) in [(200_000, 199_950, 200_949), (1_010, 1_001, 2_000)] {
        let ends = ExcerptEnds::from_window(&window, true);
        let first = ends.first_missing(line).unwrap();
        let (at, before) = window.before_line(first);
        let log = text.as_bytes()[usize::try_from(at).unwrap()..].chunks(4_099);
        let log: Vec<_> = log.map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let log = stream::iter(log).boxed();
        let middle = ExcerptMiddle::read_lines(log, before, first, &ends)
            .await
            .unwrap();
        let html = ends.into_html(middle, &LogMarkup::default());
        for (number, shown) in [
            (from - 1, from == 1_001),
            (from, true),
            (line, true),
            (to, true),
            (to + 1, false),
        ] {
            let row = format!("id=\"L{number}\"");
            assert_eq!(html.contains(&row), shown, "{number} of {line}");
        }
        assert!(html.contains(&format!(">line {line}</span>")));
        assert!(html.contains("id=\"L1\"") && html.contains("id=\"L400000\""));
    }
    let ends = ExcerptEnds::from_window(&window, true);
    for line in [1, 1_000, 396_001, 400_000, 400_001, 0] {
        assert_eq!(ends.first_missing(line), None, "{line}");
    }
}

#[tokio::test]
async fn just_before_the_end_nothing_is_shown_twice() {
    let text = lines(400_000);
    let window = window(&text);
    let ends = ExcerptEnds::from_window(&window, true);
    let first = ends.first_missing(395_990).unwrap();
    let log = stream::iter([Ok(Bytes::from(text))]).boxed();
    let middle = ExcerptMiddle::read_lines(log, 0, first, &ends)
        .await
        .unwrap();
    let html = ends.into_html(middle, &LogMarkup::default());
    assert_eq!(html.matches("id=\"L396001\"").count(), 1);
    assert!(html.contains("id=\"L396000\""));
    assert_eq!(html.matches("class=\"gap\"").count(), 1, "before it alone");
}

#[test]
fn of_a_log_that_is_being_counted_both_ends_are_shown() {
    let text = lines(100_000);
    let (head, tail) = (
        &text.as_bytes()[..64 << 10],
        &text.as_bytes()[text.len() - (256 << 10)..],
    );
    let window = LogWindow::of_ends(head.to_vec(), tail.to_vec(), text.len() as u64);
    let page = shown(&window, true);
    assert!(page.counting);
    assert!(page.html.contains("id=\"L1\"") && page.html.contains(">line 100000</span>"));
    assert!(page.html.contains("being counted"));
    assert!(
        !page.html.contains("id=\"L100000\""),
        "nobody knows its number"
    );
}
