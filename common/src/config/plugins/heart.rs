//! `heart`: whose comments get a reaction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::report::Report;
use crate::{config::Path, prowjob::null_default};

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Heart {
    /// Logins.
    #[serde(deserialize_with = "null_default")]
    pub adorees: Vec<String>,
    /// Which of their comments; none unless set.
    #[serde(deserialize_with = "null_default")]
    pub commentregexp: String,
}

impl Heart {
    pub(super) fn check(&self, report: &mut Report<'_>) {
        let section = Path::Root.key("heart");
        report.pattern(&section.key("commentregexp"), &self.commentregexp);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn comments_are_found_by_a_pattern() {
        assert_eq!(
            refused("heart:\n  commentregexp: '('"),
            r#"plugins.yaml:2:3: heart.commentregexp: "(" is no regular expression: missing closing )"#
        );
    }
}
