//! Lines of the pod utilities in a job's log: JSON, of which people get the message in plain words.

use serde_json::Value;

use crate::duration::GoDuration;

/// Maximum length of such a line, in bytes.
const MAX_LINE_BYTES: usize = 64 << 10;
const PROGRAMS: [&str; 4] = ["clonerefs", "entrypoint", "initupload", "sidecar"];

/// The message of a pod utility in this line; `None` for any other line.
pub(super) fn parse_utility_message(raw: &[u8]) -> Option<String> {
    let raw = raw.trim_ascii();
    if raw.len() > MAX_LINE_BYTES || !raw.starts_with(b"{") || !raw.ends_with(b"}") {
        return None;
    }
    let line: Value = serde_json::from_slice(raw).ok()?;
    let field = |name: &str| line[name].as_str().unwrap_or_default();
    if !PROGRAMS.contains(&field("component")) || field("msg").is_empty() {
        return None;
    }
    Some(match (describe_timeout(field("msg")), field("error")) {
        (Some(text), _) => text,
        (None, "") => field("msg").to_owned(),
        (None, error) => format!("{}: {error}", field("msg")),
    })
}

/// `timed out after 2 h 30 min` from entrypoint's message.
fn describe_timeout(message: &str) -> Option<String> {
    let limit = message
        .strip_prefix("Process did not finish before ")?
        .strip_suffix(" timeout")?;
    let limit: GoDuration = limit.parse().ok()?;
    Some(format!("timed out after {}", format_in_words(limit)))
}

fn format_in_words(limit: GoDuration) -> String {
    let all = limit.to_std();
    let (seconds, below) = (all.as_secs(), all.subsec_nanos());
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = parts
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if below > 0 || words.is_empty() {
        return limit.to_string();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_prow_in_plain_words() {
        let line = |component: &str, message: &str| {
            format!(r#"{{"component":"{component}","level":"error","msg":"{message}","time":"t"}}"#)
        };
        let timeout = |limit: &str| {
            let message = format!("Process did not finish before {limit} timeout");
            parse_utility_message(line("entrypoint", &message).as_bytes())
        };
        for (limit, expected) in [
            ("8s", "timed out after 8 s"),
            ("2h0m0s", "timed out after 2 h"),
            ("2h30m5s", "timed out after 2 h 30 min 5 s"),
            ("1.5s", "timed out after 1.5s"),
            ("soon", "Process did not finish before soon timeout"),
        ] {
            assert_eq!(timeout(limit).as_deref(), Some(expected));
        }
        let upstreams = r#"{"component":"entrypoint","error":"exit status 1","file":"x.go","level":"error","msg":"Error executing test process"}"#;
        for (raw, expected) in [
            (
                upstreams,
                Some("Error executing test process: exit status 1"),
            ),
            (&line("sidecar", "no"), Some("no")),
            (&line("my-service", "no"), None),
            ("{}", None),
            ("{ not JSON }", None),
            ("error: x", None),
        ] {
            assert_eq!(
                parse_utility_message(raw.as_bytes()).as_deref(),
                expected,
                "{raw}"
            );
        }
    }
}
