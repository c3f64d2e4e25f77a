//! `heart`: whose comments get a reaction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeartConfig {
    /// Logins.
    #[serde(deserialize_with = "null_default")]
    pub adorees: Vec<String>,
    /// A pattern of the comments that get a reaction; none unless set.
    #[serde(deserialize_with = "null_default")]
    pub commentregexp: String,
}

impl HeartConfig {
    pub(super) fn check_heart(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("heart");
        report.check_pattern(&section.key("commentregexp"), &self.commentregexp);
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
