//! The JSON paths of printer columns: fields, escaped dots, indexes, and one filter by equality.

use serde_json::Value;

/// Finds the first value at the path.
pub(super) fn find_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = object;
    let mut rest = path
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']')?;
            at = find_element(at, index)?;
            rest = after;
        } else {
            let (field, after) = take_field(rest.strip_prefix('.').unwrap_or(rest));
            at = at.get(&field)?;
            rest = after;
        }
    }
    Some(at).filter(|value| !value.is_null())
}

/// The field's name without escapes, and the rest of the path.
fn take_field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            other => name.push(other),
        }
    }
    (name, "")
}

fn find_element<'a>(at: &'a Value, index: &str) -> Option<&'a Value> {
    if let Some(filter) = index
        .strip_prefix("?(@.")
        .and_then(|filter| filter.strip_suffix(')'))
    {
        let (path, value) = filter.split_once("==")?;
        let value = value.trim().trim_matches(['"', '\'']);
        return at
            .as_array()?
            .iter()
            .find(|one| find_path(one, path.trim()).is_some_and(|found| found == value));
    }
    let quoted = index.trim_matches(['"', '\'']);
    if quoted.len() != index.len() {
        return at.get(quoted);
    }
    match index {
        "*" => at.get(0),
        number => at.get(number.parse::<usize>().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        let object = json!({
            "metadata": {"labels": {"prow.k8s.io/type": "presubmit"}},
            "spec": {"refs": {"pulls": [{"number": 7}]}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "gone": null},
        });
        for (path, expected) in [
            (".spec.refs.pulls[0].number", Some(json!(7))),
            (
                ".metadata.labels.prow\\.k8s\\.io/type",
                Some(json!("presubmit")),
            ),
            (
                ".metadata.labels['prow.k8s.io/type']",
                Some(json!("presubmit")),
            ),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                Some(json!("True")),
            ),
            (".status.conditions[?(@.type=='Gone')].status", None),
            (".spec.refs.pulls[1].number", None),
            (".status.gone", None),
            (".nothing.here", None),
        ] {
            assert_eq!(find_path(&object, path), expected.as_ref(), "{path}");
        }
    }
}
