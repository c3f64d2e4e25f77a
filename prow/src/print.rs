//! Prints objects as YAML to standard output.

use std::io::{self, IsTerminal, Write};

use common::untrusted_text;
use serde::Serialize;

/// Prints an object with its keys in alphabetical order, as Kubernetes' tools do.
pub(crate) fn print_yaml(object: &impl Serialize) -> anyhow::Result<()> {
    let object = serde_json::to_value(object)?;
    let mut text = format_yaml(&object)?;
    let mut out = io::stdout().lock();
    // A stranger chooses a pull request's title; only a file or a program gets it unescaped.
    if out.is_terminal() {
        text = untrusted_text::escape_terminal_lines(&text, text.len());
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn format_yaml(object: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(object)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::format_yaml;

    /// Kubernetes reads YAML 1.1, in which more words than `true` are not strings.
    #[test]
    fn a_text_stays_a_text() {
        let words = [
            "true",
            "yes",
            "on",
            "off",
            "y",
            "n",
            "null",
            "~",
            "",
            "1",
            "010",
            "0x1F",
            "0b1",
            "1_000",
            "1e3",
            "1.",
            ".5",
            ".inf",
            ".nan",
            "2026-11-23",
            "2026-11-23T09:25:55Z",
            "12:30:00",
            "=",
            "<<",
            "- a",
            "a: b",
            "a #b",
            "#",
            " a ",
            "a\nb\n",
            "a\n\nb",
            "\ta",
            "@a",
            "`a`",
            "{a}",
            "%a",
            "!a",
            "&a",
            "*a",
            "a\u{0}b",
            "é",
            "\u{85}",
            "'",
            "\"",
            "\\",
            "|",
            ">",
            "?",
            "---",
            "...",
            "1:2",
        ];
        let object = json!({"words": words.to_vec(), "yes": 1, "010": {"on": true}});
        let text = format_yaml(&object).unwrap();
        let file: File = common::config::yaml::parse_yaml("printed", &text).unwrap();
        let read = json!({"words": file.words, "yes": file.yes, "010": file.octal});
        assert_eq!(read, object, "{text}");
        let kinds: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(kinds, object, "{text}");
    }

    /// Values that are read as the document says, not as a type wants them.
    #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
    struct File {
        words: Vec<Value>,
        yes: Value,
        #[serde(rename = "010")]
        octal: Value,
    }
}
