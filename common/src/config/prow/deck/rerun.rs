//! `default_rerun_auth_configs`: who may rerun jobs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DeckConfig;
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    prowjob::RerunAuthConfig,
};

/// By `org/repo`, `org` or `*`.
pub type RerunAuthConfigs = BTreeMap<String, RerunAuthConfig>;

/// For the jobs of a repository and a cluster; the last matching entry counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DefaultRerunAuthConfigEntry {
    /// `org/repo` or `org`; `*` and empty are all.
    pub repo: String,
    /// A build cluster; `*` and empty are all.
    pub cluster: String,
    #[serde(rename = "rerun_auth_configs")]
    pub config: Option<RerunAuthConfig>,
}

impl DeckConfig {
    pub(super) fn check_rerun(
        &self,
        section: &ConfigPath<'_>,
        report: &mut SectionDiagnostics<'_>,
    ) {
        let (map, list) = (
            section.key("rerun_auth_configs"),
            section.key("default_rerun_auth_configs"),
        );
        if !self.rerun_auth_configs.is_empty() && !self.default_rerun_auth_configs.is_empty() {
            report.add_diagnostic(
                "rerun-auth-twice",
                &map,
                "rerun_auth_configs and default_rerun_auth_configs exclude each other",
            );
        }
        for (key, config) in &self.rerun_auth_configs {
            check_rerun_auth(&map.key(key), config, report);
        }
        for (index, entry) in self.default_rerun_auth_configs.iter().enumerate() {
            let entry_path = list.index(index);
            if let Some(config) = &entry.config {
                check_rerun_auth(&entry_path.key("rerun_auth_configs"), config, report);
            }
        }
    }
}

fn check_rerun_auth(
    path: &ConfigPath<'_>,
    config: &RerunAuthConfig,
    report: &mut SectionDiagnostics<'_>,
) {
    if let Some(message) = config.find_contradiction() {
        report.add_diagnostic("rerun-auth-config", &path.key("allow_anyone"), message);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::refused;

    #[test]
    fn anyone_or_some_in_one_form_or_the_other() {
        for (fields, message) in [
            (
                "rerun_auth_configs: {o: {}}, default_rerun_auth_configs: [{}]",
                "config.yaml:1:8: deck.rerun_auth_configs: rerun_auth_configs and default_rerun_auth_configs exclude each other",
            ),
            (
                "rerun_auth_configs: {o: {allow_anyone: true, github_users: [u]}}",
                "config.yaml:1:33: deck.rerun_auth_configs.o.allow_anyone: allow_anyone and lists of people exclude each other",
            ),
            (
                "default_rerun_auth_configs: [{rerun_auth_configs: {allow_anyone: true, github_orgs: [o]}}]",
                "config.yaml:1:59: deck.default_rerun_auth_configs[0].rerun_auth_configs.allow_anyone: allow_anyone and lists of people exclude each other",
            ),
        ] {
            assert_eq!(refused(&format!("deck: {{{fields}}}")), message);
        }
    }
}
