use super::*;

const TEXT: &str = "\
base: &base
  image: golang
presubmits:
  org/repo:
  - name: unit
    spec:
      containers:
      - <<: *base
        args: [a, b]
";

fn path(steps: &[&str]) -> Vec<PathSegment> {
    steps
        .iter()
        .map(|step| {
            step.parse()
                .map_or_else(|_| PathSegment::Key((*step).to_owned()), PathSegment::Index)
        })
        .collect()
}

#[test]
fn finds_the_line_of_a_path() {
    let tree = YamlTree::parse_document(TEXT, 100).unwrap().unwrap();
    let container = ["presubmits", "org/repo", "0", "spec", "containers", "0"];
    for (steps, place) in [
        (path(&["presubmits", "org/repo", "0", "name"]), (5, 5)),
        ([path(&container), path(&["args", "1"])].concat(), (9, 19)),
        ([path(&container), path(&["image"])].concat(), (2, 3)),
        (
            path(&["Presubmits", "org/repo", "0", "nothing", "here"]),
            (5, 5),
        ),
        (path(&[]), (1, 1)),
    ] {
        assert_eq!(tree.locate_path(&steps), place, "{steps:?}");
    }
}

#[test]
fn what_is_no_document_is_told_with_its_place() {
    for (text, line, column, at, message) in [
        ("a: [1, 2", 1, 4, "a", "unclosed bracket '['"),
        ("a: *b", 1, 4, "", "the alias names no anchor above it"),
        (
            "a: &b [*b]",
            1,
            8,
            "",
            "the alias stands inside what it names",
        ),
        (
            "a: b\nc: d\0",
            2,
            5,
            "",
            "found a NUL byte: this is no text",
        ),
        (
            "a: \u{1}",
            1,
            4,
            "",
            "found the control character 0x01, which YAML does not allow",
        ),
    ] {
        let broken = YamlTree::parse_document(text, 100).unwrap_err();
        assert_eq!((broken.line, broken.column), (line, column), "{text:?}");
        assert!(broken.message.contains(message), "{text:?}: {broken:?}");
        assert!(at.is_empty() || broken.path == at, "{text:?}: {broken:?}");
    }
}

#[test]
fn nothing_grows_without_bounds() {
    for text in ["[".repeat(10_000), "a: {".repeat(10_000)] {
        let broken = YamlTree::parse_document(&text, 100_000).unwrap_err();
        assert_eq!(broken.message, "nested deeper than 128 levels");
    }
    let broken = YamlTree::parse_document("[a, b, c, d]", 3).unwrap_err();
    assert_eq!(broken.message, "more than 3 keys and values in one file");
    assert!(
        YamlTree::parse_document("# nothing\n", 3)
            .unwrap()
            .is_none()
    );
}
