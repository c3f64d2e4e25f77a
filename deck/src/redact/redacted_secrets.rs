//! Secrets that were found in one field, replaced in all others.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;

use super::REDACTED;

/// Shorter secrets (`true`, `8080`) would be found in unrelated text.
const MIN_LENGTH: usize = 8;
/// Bytes of all secrets that are searched for, so that an object takes bounded time and memory.
const MAX_BYTES: usize = 256 << 10;
/// Fields that say what the object and its job are. They are compared with those of other objects,
/// and hold no secret except in the userinfo of a URL.
const IDENTITY_FIELDS: [&str; 20] = [
    "agent",
    "apiVersion",
    "build_id",
    "cluster",
    "completionTime",
    "extra_refs",
    "gcs_configuration",
    "image",
    "job",
    "kind",
    "labels",
    "name",
    "namespace",
    "pendingTime",
    "pod_name",
    "refs",
    "startTime",
    "state",
    "type",
    "uid",
];

/// The secrets that were replaced where they were found.
#[derive(Debug, Default)]
pub(super) struct RedactedSecrets(BTreeSet<String>);

impl RedactedSecrets {
    /// Replaces a part of `text` and remembers it.
    pub(super) fn redact_range(&mut self, text: &mut String, secret: Range<usize>) {
        let hidden = &text[secret.clone()];
        if hidden.is_empty() || hidden == REDACTED {
            return;
        }
        self.0.insert(hidden.to_owned());
        text.replace_range(secret, REDACTED);
    }

    /// Replaces the secrets wherever else they are in `object`, also within JSON in a string.
    pub(super) fn redact_everywhere(&self, object: &mut Value) {
        let long = self.0.iter().filter(|secret| secret.len() >= MIN_LENGTH);
        let forms = long.flat_map(|secret| {
            let escaped = Value::from(secret.as_str()).to_string();
            [secret.clone(), escaped[1..escaped.len() - 1].to_owned()]
        });
        let mut room = MAX_BYTES;
        let forms: BTreeSet<String> = forms
            .filter(|form| {
                let rest = room.checked_sub(form.len());
                room = rest.unwrap_or(room);
                rest.is_some()
            })
            .collect();
        if forms.is_empty() {
            return;
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // The kind whose memory depends on the size of the patterns alone.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&forms)
            .expect("the patterns are few and short");
        replace_secrets(object, &finder);
    }
}

fn replace_secrets(any: &mut Value, finder: &AhoCorasick) {
    match any {
        Value::String(text) => {
            if finder.is_match(text.as_str()) {
                let mut out = String::with_capacity(text.len());
                finder.replace_all_with(text.as_str(), &mut out, |_, _, out| {
                    out.push_str(REDACTED);
                    true
                });
                *text = out;
            }
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|inner| replace_secrets(inner, finder)),
        Value::Object(map) => map
            .iter_mut()
            .filter(|(key, _)| !IDENTITY_FIELDS.contains(&key.as_str()))
            .for_each(|(_, inner)| replace_secrets(inner, finder)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
