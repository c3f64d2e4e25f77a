use serde_json::Value;

use super::*;
use crate::config::{Presubmit, defaults::MAX_UNCHECKED_NAME};

/// What Go 1.26 answers: `[pattern, text, matches]`, or `[pattern, error]`. The file has every
/// form that the patterns of prow.k8s.io have.
const GO: &str = include_str!("go.jsonl");

#[test]
fn patterns_match_what_they_match_in_go() {
    let mut wrong = Vec::new();
    for line in GO.lines() {
        let row: Vec<Value> = serde_json::from_str(line).unwrap();
        let source = row[0].as_str().unwrap();
        let pattern = GoRegexp::new(source);
        let same = match (&row[1..], &pattern) {
            ([text, matches], Ok(pattern)) => {
                Some(pattern.is_match(text.as_str().unwrap())) == matches.as_bool()
            }
            ([error], Err(found)) => {
                let kind = error.as_str().unwrap().split(':').next().unwrap();
                found.contains(&format!("is no regular expression: {kind}"))
            }
            _ => false,
        };
        if !same {
            wrong.push(format!("{line} but here {pattern:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_broken_pattern_is_told_in_one_line() {
    for (source, error) in [
        (
            "a(b",
            r#""a(b" is no regular expression: missing closing )"#,
        ),
        (
            "a**",
            r#""a**" is no regular expression: invalid nested repetition operator: `**`"#,
        ),
        (
            "^(?!docs/)",
            r#""^(?!docs/)" is no regular expression: invalid or unsupported Perl syntax: `(?!`: there is no looking ahead or behind"#,
        ),
        (
            r"(a)\1",
            r#""(a)\\1" is no regular expression: invalid escape sequence: `\1`: there are no references to groups"#,
        ),
    ] {
        assert_eq!(GoRegexp::new(source).unwrap_err(), error);
    }
}

#[test]
fn an_exploding_pattern_is_refused() {
    for source in [
        r"(?i)(\pL{500}|\p{Han}{400}){2}",
        &r"[a-z\pL]".repeat(10_000),
        &"x".repeat(1 << 20),
    ] {
        let found = GoRegexp::new(source).unwrap_err();
        let short = found.len() < 1_000;
        assert!(short && found.ends_with("expression too large"), "{found}");
    }
    let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
    let too_deep = GoRegexp::new(&deep).unwrap_err();
    assert!(too_deep.len() < 1_000, "{too_deep}");
    assert!(
        too_deep.ends_with("nests too deeply: at most 50 groups in each other"),
        "{too_deep}"
    );
}

#[test]
fn a_deep_pattern_within_the_limits_compiles() {
    let mut source = String::from("a");
    for _ in 0..50 {
        source = format!("(b|x{source}*)");
    }
    assert!(GoRegexp::new(&source).unwrap().is_match("b"));
}

#[test]
fn one_text_is_one_pattern_of_a_load_and_large_ones_have_a_budget() {
    let mut patterns = GoRegexpCache::default();
    let (first, second) = (
        patterns.get_or_compile("a+").unwrap(),
        patterns.get_or_compile("a+").unwrap(),
    );
    assert!(Arc::ptr_eq(&first.0, &second.0));
    patterns.spent = MAX_TOTAL_COST;
    assert!(patterns.get_or_compile("b+").is_ok());
    assert_eq!(
        patterns.get_or_compile(r"\pL{5}").unwrap_err(),
        r#""\\pL{5}" is no regular expression: the large patterns are too many together"#
    );
}

#[test]
fn the_trigger_that_a_name_gives_needs_no_check() {
    for name in ["a.b-c_1", &".".repeat(MAX_UNCHECKED_NAME)] {
        let source = Presubmit::default_trigger(name);
        let checked = GoRegexp::new(&source).unwrap();
        assert!(checked.0.matcher.get().is_none(), "{name} is not cheap");
        let known = GoRegexp::new_unchecked(source);
        for comment in [
            "/test a.b-c_1",
            "/test all a.b-c_1,",
            "/test a/b-c_1",
            "/test",
        ] {
            assert_eq!(
                known.is_match(comment),
                checked.is_match(comment),
                "{comment}"
            );
        }
    }
}
