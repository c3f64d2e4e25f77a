//! `gerrit`: changes on Gerrit instead of pull requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::links::check_url;
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    duration::GoDuration,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GerritConfig {
    tick_interval: Option<GoDuration>,
    ratelimit: i64,
    /// The URL of Deck, for links to jobs.
    pub deck_url: String,
    pub org_repos_config: Option<Vec<GerritOrgRepoConfig>>,
    /// A regular expression for comments that may trigger presubmits; empty is all.
    pub allowed_presubmit_trigger_re: String,
}

/// Repositories of one Gerrit server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GerritOrgRepoConfig {
    /// The URL of the server, with `https://`.
    pub org: String,
    pub repos: Vec<String>,
    /// Comments are not answered with help.
    pub opt_out_help: bool,
    pub filters: Option<GerritQueryFilter>,
}

/// Which changes are considered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GerritQueryFilter {
    pub branches: Vec<String>,
    pub excluded_branches: Vec<String>,
    /// Tide merges a change unless the change opts out.
    pub opt_in_by_default: bool,
}

/// How many changes one call requests; 5 unless set.
pub(super) fn ratelimit_or_default(written: i64) -> i64 {
    if written == 0 { 5 } else { written }
}

impl GerritConfig {
    /// The interval between two polls; 1 min unless set.
    pub fn tick_interval(&self) -> GoDuration {
        self.tick_interval.unwrap_or(GoDuration::from_secs(60))
    }

    /// How many changes one call requests; 5 unless set.
    pub fn ratelimit(&self) -> i64 {
        ratelimit_or_default(self.ratelimit)
    }

    pub(super) fn check_gerrit(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("gerrit");
        check_url(
            "gerrit-deck-url",
            &section.key("deck_url"),
            &self.deck_url,
            report,
        );
        report.check_pattern(
            &section.key("allowed_presubmit_trigger_re"),
            &self.allowed_presubmit_trigger_re,
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (yaml, message) in [
            (
                "gerrit: {deck_url: '%zz'}",
                r#"config.yaml:1:10: gerrit.deck_url: found "%zz", expected a URL"#,
            ),
            (
                "gerrit: {allowed_presubmit_trigger_re: '('}",
                r#"config.yaml:1:10: gerrit.allowed_presubmit_trigger_re: "(" is no regular expression: missing closing )"#,
            ),
        ] {
            assert_eq!(refused(yaml), message);
        }
    }

    #[test]
    fn five_changes_a_minute() {
        let gerrit = loaded("gerrit: {ratelimit: 0}").gerrit;
        assert_eq!(
            (gerrit.ratelimit(), gerrit.tick_interval().as_secs()),
            (5, 60)
        );
        assert_eq!(loaded("gerrit: {ratelimit: 7}").gerrit.ratelimit(), 7);
    }
}
