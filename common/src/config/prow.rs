//! `config.yaml` without its jobs: its sections.
//!
//! One module per section: its fields, Prow's defaults, its rules. The file and its supplemental
//! files are merged ([`merge`]), then checked ([`load`]). Empty fields do not occur here: the
//! parser leaves them out.

mod branch_protection;
mod by_repo;
mod controller;
mod deck;
mod gangway;
mod gerrit;
mod horologium;
mod in_repo;
mod jenkins;
mod links;
mod load;
mod managed_webhooks;
mod merge;
mod moonraker;
mod owners_dir_denylist;
mod pipeline;
mod plank;
mod pubsub;
mod push_gateway;
mod reporter;
mod scheduler;
mod selector;
mod sinker;
mod slack;
mod tide;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use branch_protection::{
    BranchProtection, BranchProtectionPolicy, ProtectedOrg, ProtectedRepo, PushRestrictions,
    RequiredStatusChecks, ReviewPolicy, UsersAndTeams,
};
pub use by_repo::ByRepoAndCluster;
pub use deck::{
    DeckBranding, DeckConfig, DefaultRerunAuthConfigEntry, ExternalAgentLog, LensConfig,
    LensFileConfig, LensRemoteConfig, RerunAuthConfigs, SpyglassConfig,
};
pub use gangway::{AllowedApiClient, AllowedJobsFilter, ApiClientGcp, GangwayConfig};
pub use gerrit::{GerritConfig, GerritOrgRepoConfig, GerritQueryFilter};
pub use horologium::HorologiumConfig;
pub use in_repo::InRepoConfig;
pub use jenkins::JenkinsOperator;
pub use links::GithubLinks;
pub(super) use links::is_url;
pub use managed_webhooks::{ManagedWebhookInfo, ManagedWebhooks};
pub use moonraker::MoonrakerConfig;
pub use owners_dir_denylist::OwnersDirDenylist;
pub use pipeline::PipelineConfig;
pub use plank::PlankConfig;
pub use pubsub::{PubsubSubscriptions, PubsubTrigger};
pub use push_gateway::PushGateway;
pub use reporter::GithubReporterConfig;
pub use scheduler::{
    ExternalScheduling, ExternalSchedulingCache, FailoverScheduling, SchedulerConfig,
};
pub use sinker::SinkerConfig;
pub use slack::{SLACK_REPORT, SlackReporterEntry};
pub use tide::{
    GithubMergeBlocksPolicy, MergeMethodOrMap, MergeMethods, TideConfig, TideContextPolicy,
    TideContextPolicyOptions, TideGerrit, TideMergeCommitTemplate, TidePriority, TideQuery,
};

use super::{ConfigPath, section_diagnostics::SectionDiagnostics, source_map::SourceMap};
use crate::{
    duration::GoDuration,
    prowjob::{ProwJobDefault, null_default},
};

/// Sections that Prow knows and no service here reads. `prow check` reports them if they are set.
const UNUSED_SECTIONS: [&str; 15] = [
    "branch-protection",
    "config_version_sha",
    "default_job_timeout",
    "gangway",
    "gerrit",
    "jenkins_operators",
    "managed_webhooks",
    "moonraker",
    "owners_dir_denylist",
    "pipeline",
    "pubsub_subscriptions",
    "pubsub_triggers",
    "push_gateway",
    "status_error_link",
    "tide",
];

/// The sections of `config.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProwConfig {
    /// The namespace of `ProwJob`s.
    #[serde(deserialize_with = "namespace")]
    pub prowjob_namespace: String,
    /// The namespace of pods, in every build cluster.
    #[serde(deserialize_with = "namespace")]
    pub pod_namespace: String,
    /// `debug`, `info`, `warn`, `warning`, `error`, `fatal` or `panic`.
    #[serde(deserialize_with = "log_level")]
    pub log_level: String,
    #[serde(deserialize_with = "null_default")]
    pub github: GithubLinks,
    #[serde(deserialize_with = "null_default")]
    pub plank: PlankConfig,
    #[serde(deserialize_with = "null_default")]
    pub sinker: SinkerConfig,
    #[serde(deserialize_with = "null_default")]
    pub in_repo_config: InRepoConfig,
    #[serde(deserialize_with = "null_default")]
    pub github_reporter: GithubReporterConfig,
    /// Defaults of `prowjob_defaults`, by repository and cluster; a later entry wins.
    #[serde(deserialize_with = "null_default")]
    pub prowjob_default_entries: Vec<ByRepoAndCluster<ProwJobDefault>>,
    pub deck: DeckConfig,
    /// Jobs without a `decorate` of their own are decorated.
    #[serde(deserialize_with = "null_default")]
    pub decorate_all_jobs: bool,
    pub tide: TideConfig,
    #[serde(rename = "branch-protection")]
    pub branch_protection: BranchProtection,
    pub pipeline: PipelineConfig,
    pub gerrit: GerritConfig,
    pub horologium: HorologiumConfig,
    /// By `org/repo`, `org` or `*`.
    pub slack_reporter_configs: BTreeMap<String, SlackReporterEntry>,
    pub gangway: GangwayConfig,
    pub moonraker: MoonrakerConfig,
    pub scheduler: SchedulerConfig,
    pub jenkins_operators: Vec<JenkinsOperator>,
    pub push_gateway: PushGateway,
    pub owners_dir_denylist: OwnersDirDenylist,
    /// Older form of `pubsub_triggers`, see [`ProwConfig::all_pubsub_triggers`].
    pub pubsub_subscriptions: PubsubSubscriptions,
    pub pubsub_triggers: Vec<PubsubTrigger>,
    pub managed_webhooks: ManagedWebhooks,
    /// The commit of the files; a file `VERSION` next to `config.yaml` takes precedence.
    pub config_version_sha: String,
    /// The link of a job that has no page of its own.
    #[serde(deserialize_with = "status_error_link")]
    pub status_error_link: String,
    default_job_timeout: Option<GoDuration>,
    /// Build clusters that are ignored wherever a kubeconfig names them.
    pub disabled_clusters: Vec<String>,
    /// Those of [`UNUSED_SECTIONS`] that are set.
    #[serde(skip)]
    unused: BTreeSet<&'static str>,
    #[serde(skip)]
    pub(super) places: SourceMap,
}

impl Default for ProwConfig {
    fn default() -> Self {
        Self {
            prowjob_namespace: "default".into(),
            pod_namespace: "default".into(),
            log_level: "info".into(),
            github: GithubLinks::default(),
            plank: PlankConfig::default(),
            sinker: SinkerConfig::default(),
            in_repo_config: InRepoConfig::default(),
            github_reporter: GithubReporterConfig::default(),
            prowjob_default_entries: Vec::new(),
            deck: DeckConfig::default(),
            decorate_all_jobs: false,
            tide: TideConfig::default(),
            branch_protection: BranchProtection::default(),
            pipeline: PipelineConfig::default(),
            gerrit: GerritConfig::default(),
            horologium: HorologiumConfig::default(),
            slack_reporter_configs: BTreeMap::new(),
            gangway: GangwayConfig::default(),
            moonraker: MoonrakerConfig::default(),
            scheduler: SchedulerConfig::default(),
            jenkins_operators: Vec::new(),
            push_gateway: PushGateway::default(),
            owners_dir_denylist: OwnersDirDenylist::default(),
            pubsub_subscriptions: PubsubSubscriptions::default(),
            pubsub_triggers: Vec::new(),
            managed_webhooks: ManagedWebhooks::default(),
            config_version_sha: String::new(),
            status_error_link: STATUS_ERROR_LINK.into(),
            default_job_timeout: None,
            disabled_clusters: Vec::new(),
            unused: BTreeSet::new(),
            places: SourceMap::default(),
        }
    }
}

const STATUS_ERROR_LINK: &str = "https://github.com/kubernetes/test-infra/issues";

const LOG_LEVELS: [&str; 7] = [
    "debug", "info", "warn", "warning", "error", "fatal", "panic",
];

impl ProwConfig {
    /// The timeout of a job that sets none; 24 h unless set.
    pub fn default_job_timeout(&self) -> GoDuration {
        self.default_job_timeout
            .unwrap_or(GoDuration::from_secs(24 * 3600))
    }

    /// Sections that are set, but that no service here reads.
    pub fn unused_sections(&self) -> impl Iterator<Item = &'static str> {
        self.unused.iter().copied()
    }

    fn check_log_level(&self, report: &mut SectionDiagnostics<'_>) {
        let level = &self.log_level;
        if !LOG_LEVELS.contains(&level.as_str()) {
            let message = format!("found {level:?}, expected one of {}", LOG_LEVELS.join(", "));
            report.add_diagnostic("log-level", &ConfigPath::Root.key("log_level"), message);
        }
    }
}

fn namespace<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    non_empty(deserializer, "default")
}

fn log_level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    non_empty(deserializer, "info")
}

fn status_error_link<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    non_empty(deserializer, STATUS_ERROR_LINK)
}

fn non_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
    default: &str,
) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| default.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::config::diagnostics::Diagnostics;

    fn assembled(files: &[(&str, &str)]) -> Result<ProwConfig, String> {
        let files = files
            .iter()
            .map(|(file, text)| (Arc::from(*file), (*text).to_owned()));
        let files: Vec<(Arc<str>, String)> = files.collect();
        let now: Timestamp = "2026-08-01T00:00:00Z".parse().unwrap();
        let mut findings = Diagnostics::default();
        let (prow, written) = ProwConfig::assemble_files(&files, now, &mut findings)
            .map_err(|errors| errors.to_string())?;
        assert_eq!(written.remarks, []);
        let text_of = |name: &str| {
            let (_, text) = files.iter().find(|(file, _)| &**file == name)?;
            Some(text.clone())
        };
        let told = findings.into_result(text_of);
        told.map(|()| prow).map_err(|errors| errors.to_string())
    }

    /// Loads a valid file.
    pub(super) fn loaded(text: &str) -> ProwConfig {
        assembled(&[("config.yaml", text)]).unwrap()
    }

    /// The errors of an invalid file.
    pub(super) fn refused(text: &str) -> String {
        assembled(&[("config.yaml", text)]).unwrap_err()
    }

    /// Merges a file and a supplemental file.
    pub(super) fn merged(main: &str, part: &str) -> Result<ProwConfig, String> {
        assembled(&[("config.yaml", main), ("o/x_prowconfig.yaml", part)])
    }

    #[test]
    fn an_empty_file_has_prows_defaults() {
        for text in ["", "log_level: ''\nstatus_error_link:\ndeck:\nplank: {}"] {
            let prow = loaded(text);
            assert_eq!(prow.log_level, "info");
            assert_eq!(
                prow.status_error_link,
                "https://github.com/kubernetes/test-infra/issues"
            );
            assert_eq!(prow.default_job_timeout().as_secs(), 86_400);
            assert_eq!(prow.horologium.tick_interval().as_secs(), 60);
            assert_eq!(prow.push_gateway.interval().as_secs(), 60);
            assert_eq!(prow.moonraker.client_timeout().as_secs(), 600);
            assert_eq!(prow.unused_sections().count(), 0);
        }
    }

    #[test]
    fn a_level_is_one_that_prow_knows() {
        assert_eq!(
            refused("log_level: loud"),
            "config.yaml:1:1: log_level: found \"loud\", expected one of debug, info, warn, warning, error, fatal, panic"
        );
    }

    #[test]
    fn every_unused_section_is_one() {
        let known = serde_json::to_value(ProwConfig::default()).unwrap();
        for section in UNUSED_SECTIONS {
            assert!(known.get(section).is_some(), "{section}");
        }
        let prow = loaded("tide: {}\nGerrit: {ratelimit: 1}\ndeck: {}");
        assert_eq!(
            prow.unused_sections().collect::<Vec<_>>(),
            ["gerrit", "tide"]
        );
    }
}
