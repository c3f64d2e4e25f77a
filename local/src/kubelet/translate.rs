//! Translates mount paths in the arguments and variables of a container that cannot have its own
//! root.
//!
//! Pure. Only the start of a whole word is translated: an argument, a value, or a string inside the
//! JSON of a `*_OPTIONS` variable (Prow passes options to its pod utilities so). A path in the
//! middle of a script is not found.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where the paths of a container's mounts are on this machine.
#[derive(Debug, Default)]
pub(crate) struct PathTranslation(Vec<(PathBuf, PathBuf)>);

impl PathTranslation {
    /// From pairs (path in the container, path on this machine).
    pub(crate) fn new(mut mounts: Vec<(PathBuf, PathBuf)>) -> Self {
        // The deepest mount that contains a path is the one that a container would see there.
        mounts.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.components().count()));
        Self(mounts)
    }

    /// Replaces a mount path at the start of `word`.
    pub(crate) fn translate_word(&self, word: &str) -> String {
        let path = Path::new(word);
        for (inside, outside) in &self.0 {
            if let Ok(rest) = path.strip_prefix(inside) {
                let slash = if word.ends_with('/') && !rest.as_os_str().is_empty() {
                    "/"
                } else {
                    ""
                };
                return format!("{}{slash}", outside.join(rest).display())
                    .trim_end_matches('/')
                    .to_owned()
                    + slash;
            }
        }
        word.to_owned()
    }

    /// Translates the value of the variable `name`.
    pub(crate) fn translate_variable(&self, name: &str, value: &str) -> String {
        if name.ends_with("_OPTIONS")
            && let Ok(mut options @ (Value::Object(_) | Value::Array(_))) =
                serde_json::from_str(value)
        {
            self.translate_json(&mut options);
            return options.to_string();
        }
        self.translate_word(value)
    }

    fn translate_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.translate_word(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.translate_json(item)),
            Value::Object(fields) => fields
                .values_mut()
                .for_each(|field| self.translate_json(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_is_replaced_at_the_start_of_a_word_only() {
        let translation = PathTranslation::new(vec![
            ("/logs".into(), "/s/logs".into()),
            ("/logs/deep".into(), "/s/deep".into()),
        ]);
        for (name, word, expected) in [
            ("the path itself", "/logs", "/s/logs"),
            ("below it", "/logs/a.txt", "/s/logs/a.txt"),
            ("a folder keeps its slash", "/logs/a/", "/s/logs/a/"),
            ("the deepest mount wins", "/logs/deep/a", "/s/deep/a"),
            ("another name with the same start", "/logs2", "/logs2"),
            ("not at the start", "--dir=/logs", "--dir=/logs"),
            ("no path", "logs", "logs"),
            ("empty", "", ""),
        ] {
            assert_eq!(translation.translate_word(word), expected, "{name}");
        }
    }

    #[test]
    fn strings_inside_options_are_words() {
        let translation = PathTranslation::new(vec![("/logs".into(), "/s".into())]);
        let options = r#"{"args":["sh","/logs/x"],"n":1,"o":{"file":"/logs"}}"#;
        assert_eq!(
            translation.translate_variable("ENTRYPOINT_OPTIONS", options),
            r#"{"args":["sh","/s/x"],"n":1,"o":{"file":"/s"}}"#
        );
        assert_eq!(translation.translate_variable("JOB_SPEC", options), options);
        assert_eq!(
            translation.translate_variable("ARTIFACTS", "/logs/a"),
            "/s/a"
        );
        assert_eq!(
            translation.translate_variable("X_OPTIONS", "/logs/a"),
            "/s/a"
        );
    }
}
