//! `sigmention`: what counts as a mention of a team.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// Mentions of the teams of Kubernetes' special interest groups.
const TEAMS: &str = r"(?m)@kubernetes/sig-([\w-]*)-(misc|test-failures|bugs|feature-requests|proposals|pr-reviews|api-reviews)";

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SigMention {
    /// A pattern of mentions; those of Kubernetes' own teams unless set.
    #[serde(deserialize_with = "null_default")]
    pub regexp: String,
}

impl SigMention {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.regexp, TEAMS);
    }

    pub(super) fn check_sigmention(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("sigmention");
        report.check_pattern(&section.key("regexp"), &self.regexp);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn mentions_are_found_by_a_pattern() {
        assert_eq!(
            refused("sigmention:\n  regexp: '('"),
            r#"plugins.yaml:2:3: sigmention.regexp: "(" is no regular expression: missing closing )"#
        );
    }
}
