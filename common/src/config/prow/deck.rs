//! `deck`: what people see in Deck, and what they may do there.

mod rerun;
mod spyglass;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rerun::{DefaultRerunAuthConfigEntry, RerunAuthConfigs};
pub use spyglass::{LensConfig, LensFileConfig, LensRemoteConfig, SpyglassConfig};

use super::selector;
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    duration::GoDuration,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeckConfig {
    pub spyglass: SpyglassConfig,
    tide_update_period: Option<GoDuration>,
    /// `org/repo` and `org` that are not shown.
    pub hidden_repos: Vec<String>,
    /// Where to find the logs of jobs that run outside of Prow.
    pub external_agent_logs: Vec<ExternalAgentLog>,
    pub branding: Option<DeckBranding>,
    /// A Google Analytics code for every page.
    pub google_analytics: String,
    /// Older form of `default_rerun_auth_configs`, by `org/repo`, `org` or `*`.
    pub rerun_auth_configs: RerunAuthConfigs,
    pub default_rerun_auth_configs: Vec<DefaultRerunAuthConfigEntry>,
    /// Whether artifacts of any cloud bucket are shown; `true` unless set. Buckets `file://` and
    /// `http(s)://` have to be named all the same.
    pub skip_storage_path_validation: Option<bool>,
    /// Buckets that may be opened in addition to those that jobs write to.
    pub additional_allowed_buckets: Vec<String>,
}

/// The logs of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalAgentLog {
    pub agent: String,
    /// Labels of the jobs that this applies to; empty is all jobs of the agent.
    pub selector: String,
    /// A Go template over the job for the URL of its log.
    pub url_template: String,
}

/// URLs of images, and CSS colours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeckBranding {
    pub logo: String,
    pub favicon: String,
    pub background_color: String,
    pub header_color: String,
}

impl DeckConfig {
    /// How often Deck asks Tide; every 10 s unless set.
    pub fn tide_update_period(&self) -> GoDuration {
        self.tide_update_period.unwrap_or(GoDuration::from_secs(10))
    }

    pub(super) fn check_deck(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("deck");
        self.spyglass
            .check_spyglass(&section.key("spyglass"), report);
        let logs = section.key("external_agent_logs");
        for (index, log) in self.external_agent_logs.iter().enumerate() {
            let path = logs.index(index);
            report.check_template(&path.key("url_template"), &log.url_template);
            selector::check_label_selector(&path.key("selector"), &log.selector, report);
        }
        if !self.additional_allowed_buckets.is_empty()
            && self.skip_storage_path_validation != Some(false)
        {
            report.add_diagnostic(
                "additional-allowed-buckets",
                &section.key("additional_allowed_buckets"),
                "does nothing without skip_storage_path_validation: false",
            );
        }
        self.check_rerun(&section, report);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (fields, message) in [
            (
                "external_agent_logs: [{agent: a, url_template: '{{'}]",
                "config.yaml:1:41: deck.external_agent_logs[0].url_template: line 1, column 3: unclosed action",
            ),
            (
                "external_agent_logs: [{agent: a, selector: 'a in b'}]",
                r#"config.yaml:1:41: deck.external_agent_logs[0].selector: found "a in b", expected a requirement of a label, as in a=b, a!=b, a in (b, c), a or !a"#,
            ),
            (
                "additional_allowed_buckets: [b]",
                "config.yaml:1:8: deck.additional_allowed_buckets: does nothing without skip_storage_path_validation: false",
            ),
            (
                "skip_storage_path_validation: true, additional_allowed_buckets: [b]",
                "config.yaml:1:44: deck.additional_allowed_buckets: does nothing without skip_storage_path_validation: false",
            ),
            (
                "hidden_repos: 7",
                "config.yaml:1:22: deck.hidden_repos: found 7, expected a list",
            ),
        ] {
            assert_eq!(refused(&format!("deck: {{{fields}}}")), message);
        }
        let deck =
            loaded("deck: {skip_storage_path_validation: false, additional_allowed_buckets: [b]}")
                .deck;
        assert_eq!(deck.tide_update_period().as_secs(), 10);
        assert_eq!(deck.spyglass.size_limit(), 100_000_000);
    }
}
