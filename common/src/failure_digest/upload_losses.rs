//! What a run could not store, as its sidecar reports it in the metadata of `finished.json`.

use serde_json::Value;

use super::plain_text;

/// Whether all stored files were censored; `true` or `false`.
pub const CENSORED: &str = "censored";
/// Why nothing could be censored, so that only the result was stored.
pub const CENSOR_ERROR: &str = "censor-error";
/// Names of the secrets that are too short to be censored.
pub const CENSOR_IN_CLEAR: &str = "censor-in-clear";
/// A line for each file that could not be censored: its name and why.
pub const CENSOR_LEFT_OUT: &str = "censor-left-out";
/// One line: how many other files are missing, the first of them by name, and why.
pub const NOT_STORED: &str = "not-stored";

/// Maximum length of the text of [`describe_upload_losses`], in bytes.
pub const MAX_UPLOAD_LOSSES: usize = 800;

/// Maximum length of one file's name with its reason, in bytes.
const MAX_PART: usize = 300;
/// How many of the files that could not be censored are named.
const MAX_NAMED_FILES: usize = 3;

/// What was not stored and why, as one plain line of at most [`MAX_UPLOAD_LOSSES`] bytes; empty if
/// everything was stored, or if nothing is known. `finished` is the content of `finished.json`.
///
/// Names and reasons are the run's text: `quotes` says whether the reader's sink may quote them.
#[must_use]
pub fn describe_upload_losses(finished: &[u8], quotes: bool) -> String {
    let finished: Value = serde_json::from_slice(finished).unwrap_or_default();
    let metadata = &finished["metadata"];
    if metadata[CENSORED] != true && !metadata[CENSOR_ERROR].is_null() {
        return "Nothing but the result was stored, because no secret could be hidden in it."
            .into();
    }
    if !quotes {
        return String::new();
    }
    let not_stored = metadata[NOT_STORED].as_str();
    let left_out = metadata[CENSOR_LEFT_OUT].as_array();
    let parts = [
        plain_sentence(not_stored.unwrap_or_default(), MAX_UPLOAD_LOSSES / 2),
        describe_uncensored(left_out.map_or(&[], Vec::as_slice)),
    ];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let sentences: Vec<String> = parts.map(|part| format!("{part}.")).collect();
    plain_text::truncate_bytes(&sentences.join(" "), MAX_UPLOAD_LOSSES)
}

fn describe_uncensored(files: &[Value]) -> String {
    let named = files.iter().filter_map(Value::as_str).take(MAX_NAMED_FILES);
    let mut named: Vec<String> = named.map(|file| plain_sentence(file, MAX_PART)).collect();
    if named.is_empty() {
        return String::new();
    }
    if files.len() > named.len() {
        named.push("and others".to_owned());
    }
    format!(
        "Not stored, because no secret could be hidden in it: {}",
        named.join("; ")
    )
}

/// One plain line. Text that a terminal would show over an earlier part is appended to it.
fn plain_sentence(text: &str, max: usize) -> String {
    let line = plain_text::plain_line(text.replace(['\r', '\n'], " ").as_bytes(), max);
    line.trim_matches([' ', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::failure_digest::QuotingPolicy;

    fn of(metadata: &Value) -> String {
        let finished = json!({"metadata": metadata}).to_string();
        let quoting = QuotingPolicy::from_finished(finished.as_bytes(), true);
        describe_upload_losses(finished.as_bytes(), quoting.allows_words())
    }

    #[test]
    fn what_is_not_there_is_told_with_its_reason() {
        for (metadata, expected) in [
            (json!({"censored": true}), ""),
            (json!({}), ""),
            (
                json!({"censored": true, "not-stored": "1 file was not stored: artifacts/a: too large"}),
                "1 file was not stored: artifacts/a: too large.",
            ),
            (
                json!({"censored": true, "censor-left-out": ["artifacts/a.zip: broken"]}),
                "Not stored, because no secret could be hidden in it: artifacts/a.zip: broken.",
            ),
            (
                json!({"censored": true, "not-stored": "2 files were not stored: a: x; b: y", "censor-left-out": ["c: 1", "d: 2", "e: 3", "f: 4"]}),
                "2 files were not stored: a: x; b: y. Not stored, because no secret could be hidden in it: c: 1; d: 2; e: 3; and others.",
            ),
            (
                json!({"censored": false, "censor-error": "/secrets/hunter22: no"}),
                "Nothing but the result was stored, because no secret could be hidden in it.",
            ),
            (json!({"not-stored": "nobody says it is censored"}), ""),
            (json!({"censored": "true", "not-stored": "x"}), ""),
            (
                json!({"censored": true, "not-stored": 7, "censor-left-out": "x"}),
                "",
            ),
            (
                json!({"censored": true, "not-stored": "1 file was not stored: a\u{1b}[2K\rb\n\u{202e}c: x"}),
                "1 file was not stored: a b c: x.",
            ),
        ] {
            assert_eq!(of(&metadata), expected, "{metadata}");
        }
        for broken in ["", "null", "[]", r#"{"metadata": null}"#, "{"] {
            assert_eq!(
                describe_upload_losses(broken.as_bytes(), true),
                "",
                "{broken}"
            );
        }
        let unmarked = br#"{"metadata": {"not-stored": "1 file was not stored: a: x"}}"#;
        assert_eq!(
            describe_upload_losses(unmarked, true),
            "1 file was not stored: a: x."
        );
        assert_eq!(describe_upload_losses(unmarked, false), "");
    }

    proptest! {
        #[test]
        fn it_is_one_bounded_plain_line(
            not_stored in ".{0,2000}",
            left_out in prop::collection::vec(".{0,2000}", 0..6),
        ) {
            let told = of(&json!({"censored": true, "not-stored": not_stored, "censor-left-out": left_out}));
            prop_assert!(told.len() <= MAX_UPLOAD_LOSSES);
            prop_assert!(!told.chars().any(char::is_control), "{told:?}");
        }
    }
}
