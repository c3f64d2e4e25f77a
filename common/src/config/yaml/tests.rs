mod places;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Sample {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    flag: bool,
    #[serde(skip_serializing_if = "is_zero")]
    int: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    num: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    map: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ints: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<Box<Sample>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subs: Vec<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any: Option<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde passes")]
fn is_zero(int: &i64) -> bool {
    *int == 0
}

fn remarks(text: &str) -> Vec<String> {
    let tree = parse_tree("f", text, DocumentTrust::Operator).unwrap();
    let document =
        deserialize_tree::<Sample>("f", tree.as_ref(), GoType::Lenient, DocumentTrust::Operator)
            .unwrap();
    document.remarks.iter().map(ToString::to_string).collect()
}

/// Documents that our parser accepts and Go's does not.
const MORE_THAN_IN_GO: [&str; 2] = ["\ttext: a", "%YAML 1.2\n---\ntext: yes"];

/// Each line has a document as a JSON string, and what `sigs.k8s.io/yaml` makes of it for a struct
/// with these fields.
#[test]
fn documents_are_understood_as_in_go() {
    let mut differences = Vec::new();
    for line in include_str!("documents.tsv").lines() {
        let (document, expected) = line.split_once('\t').unwrap();
        let text: String = serde_json::from_str(document).unwrap();
        let ours = parse_yaml::<Sample>("f", &text).ok();
        let theirs: Option<Sample> = serde_json::from_str(expected).ok();
        if ours != theirs && !MORE_THAN_IN_GO.contains(&text.as_str()) {
            differences.push(format!("{document}: {ours:?}, in Go {theirs:?}"));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn says_where_what_was_found_and_what_was_expected() {
    for (text, message) in [
        (
            "ints:\n  a: many",
            "f:2:6: ints.a: found \"many\", expected a whole number",
        ),
        (
            "list: {a: b}",
            "f:1:7: list: found a mapping, expected a list",
        ),
        (
            "flag: maybe",
            "f:1:7: flag: found \"maybe\", expected true or false",
        ),
        ("flag: 1", "f:1:7: flag: found 1, expected true or false"),
        ("text: [a]", "f:1:7: text: found a list, expected a text"),
        ("text: [a", "f:1:7: text: unclosed bracket '['"),
        (
            "text: .inf\nany: .inf",
            "f:2:6: any: found .inf, expected any value that JSON can hold",
        ),
        (
            "other: {a: [.nan]}",
            "f:1:13: other.a[0]: found .nan, expected any value that JSON can hold",
        ),
        (
            "int: !!int x",
            "f:1:12: int: found \"x\", expected a whole number",
        ),
        (
            "map: {~: a}",
            "f:1:7: map: found nothing, expected a text as key",
        ),
        (
            "sub: {<<: a}",
            "f:1:11: sub: found \"a\", expected a mapping, or a list of mappings, to merge",
        ),
        (
            "flag: 1\nint: x",
            "f:1:7: flag: found 1, expected true or false\nf:2:6: int: found \"x\", expected a whole number",
        ),
    ] {
        assert_eq!(
            parse_yaml::<Sample>("f", text).unwrap_err().to_string(),
            message
        );
    }
}

#[test]
fn what_nobody_knows_and_what_is_there_twice_is_remarked() {
    for (text, remark) in [
        (
            "flog: yes",
            "f:1:1: flog: unknown field \"flog\"; did you mean \"flag\"?",
        ),
        (
            "sub: {whatever: {a: 1}}",
            "f:1:7: sub.whatever: unknown field \"whatever\"; known here: \
             any, flag, int, ints, list, map, num, sub, subs, text",
        ),
        (
            "text: a\ntext: b",
            "f:2:1: text: the key \"text\" stands in line 1 already; the last one counts",
        ),
        (
            "map: {a: b, c: d, a: e}",
            "f:1:19: map.a: the key \"a\" stands in line 1 already; the last one counts",
        ),
    ] {
        assert_eq!(remarks(text), [remark]);
    }
    assert_eq!(
        remarks("any: &x {text: m}\nsub: {<<: *x, text: n}"),
        [""; 0]
    );
}

#[test]
fn a_bomb_ends_early() {
    let mut bomb = "any:\n- &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        bomb.push_str(&format!("- &a{level} [{below}]\n"));
    }
    let error = parse_yaml::<Sample>("f", &bomb).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f: aliases make more than 1000000 values of this file"
    );
    let mut merges = "any:\n- &a0 {x: y}\n".to_owned();
    for level in 1..100 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        merges.push_str(&format!("- &a{level} {{<<: [{below}]}}\n"));
    }
    assert!(parse_yaml::<Sample>("f", &merges).is_err());
}
