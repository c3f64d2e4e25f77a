//! `plank`: limits of running jobs, their decoration, and where their results are shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByRepoAndCluster, by_repo::covers_repo, controller, links::check_url};
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJobSpec, null_default},
    repo_names::find_most_specific,
};

const MINUTE: i64 = 60;

/// The decoration of a job may override the timeouts of its pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlankConfig {
    /// A Go template for the URL of a job without decoration.
    #[serde(deserialize_with = "null_default")]
    pub job_url_template: String,
    /// Go templates for comments on failures, by `org/repo`, `org` or `*`.
    #[serde(deserialize_with = "null_default")]
    pub report_templates: BTreeMap<String, String>,
    /// Older form of `report_templates` for `*`.
    #[serde(deserialize_with = "null_default")]
    pub report_template: String,
    /// How many jobs may run at once; 0 is no limit.
    #[serde(deserialize_with = "null_default")]
    pub max_concurrency: i64,
    max_goroutines: Option<i64>,
    pod_pending_timeout: Option<GoDuration>,
    pod_running_timeout: Option<GoDuration>,
    pod_unscheduled_timeout: Option<GoDuration>,
    max_revivals: Option<i64>,
    /// A later entry that matches takes precedence over an earlier one.
    #[serde(deserialize_with = "null_default")]
    pub default_decoration_config_entries: Vec<ByRepoAndCluster<DecorationConfig>>,
    /// Older form of `default_decoration_config_entries`, by `org/repo`, `org` or `*`.
    #[serde(deserialize_with = "null_default")]
    pub default_decoration_configs: BTreeMap<String, DecorationConfig>,
    /// The beginning of Deck's URLs for results, by `org/repo`, `org` or `*`.
    #[serde(deserialize_with = "null_default")]
    pub job_url_prefix_config: BTreeMap<String, String>,
    /// Leaves the storage provider out of job URLs.
    #[serde(
        rename = "jobURLPrefixDisableAppendStorageProvider",
        deserialize_with = "null_default"
    )]
    pub job_url_prefix_disable_append_storage_provider: bool,
    #[serde(deserialize_with = "null_default")]
    pub build_cluster_status_file: String,
    /// How many jobs may run at once by queue: 0 blocks, less is no limit.
    #[serde(deserialize_with = "null_default")]
    pub job_queue_capacities: BTreeMap<String, i64>,
    /// How many jobs may run at once by build cluster: 0 blocks, less is no limit. Not in Prow.
    #[serde(deserialize_with = "null_default")]
    pub build_cluster_capacities: BTreeMap<String, i64>,
    fail_fast: Option<bool>,
    pod_missing_reference_timeout: Option<GoDuration>,
}

impl PlankConfig {
    /// 10 min unless set.
    pub fn pod_pending_timeout(&self) -> GoDuration {
        self.pod_pending_timeout
            .unwrap_or(GoDuration::from_secs(10 * MINUTE))
    }

    /// 48 h unless set.
    pub fn pod_running_timeout(&self) -> GoDuration {
        self.pod_running_timeout
            .unwrap_or(GoDuration::from_secs(48 * 60 * MINUTE))
    }

    /// 5 min unless set.
    pub fn pod_unscheduled_timeout(&self) -> GoDuration {
        self.pod_unscheduled_timeout
            .unwrap_or(GoDuration::from_secs(5 * MINUTE))
    }

    /// How often a lost pod is created again; 3 unless set.
    pub fn max_revivals(&self) -> i64 {
        self.max_revivals.unwrap_or(3)
    }

    /// How many `ProwJob`s are handled at once; 20 unless set.
    pub fn max_goroutines(&self) -> i64 {
        self.max_goroutines
            .filter(|number| *number != 0)
            .unwrap_or(20)
    }

    /// Whether a pod that cannot start ends its job at once instead of after
    /// `pod_pending_timeout`; `true` unless set. Prow has no such setting.
    pub fn fail_fast(&self) -> bool {
        self.fail_fast.unwrap_or(true)
    }

    /// With `fail_fast`, how long a Secret or `ConfigMap` that a pod needs may be missing; 60 s
    /// unless set. Prow has no such setting.
    pub fn pod_missing_reference_timeout(&self) -> GoDuration {
        self.pod_missing_reference_timeout
            .unwrap_or(GoDuration::from_secs(MINUTE))
    }

    /// The default decorations for a job of this repository (`org/repo`) and cluster, with their
    /// indexes; a later one takes precedence over an earlier one. They are those of the list, else
    /// of the map from its widest key to its narrowest.
    pub fn default_decorations(
        &self,
        org_repo: Option<&str>,
        cluster: &str,
    ) -> impl Iterator<Item = (usize, &DecorationConfig)> {
        let entries = self.default_decoration_config_entries.iter();
        let entries =
            entries.map(move |entry| (entry.matches_job(org_repo, cluster), &entry.config));
        let mut map: Vec<_> = self.default_decoration_configs.iter().collect();
        // Of two keys that differ in case, the one that is spelt as the repository wins.
        let is_spelt_alike = |key: &str| {
            org_repo.is_some_and(|it| it == key || it.split_once('/').is_some_and(|it| it.0 == key))
        };
        map.sort_by_key(|(key, _)| match key.as_str() {
            "*" => (0, true),
            key if !key.contains('/') => (1, is_spelt_alike(key)),
            key => (2, is_spelt_alike(key)),
        });
        let map = map.into_iter();
        entries
            .chain(map.map(move |(key, config)| (covers_repo(key, org_repo), config)))
            .enumerate()
            .filter_map(|(number, (matches, config))| matches.then_some((number, config)))
    }

    /// The part of a job's URL before its storage path; empty if none is configured.
    pub fn job_url_prefix<'a>(&'a self, spec: &'a ProwJobSpec) -> &'a str {
        let own = spec
            .decoration_config
            .as_ref()
            .and_then(|decoration| decoration.gcs_configuration.as_ref())
            .map(|storage| storage.job_url_prefix.as_str())
            .filter(|prefix| !prefix.is_empty());
        own.or_else(|| by_refs(&self.job_url_prefix_config, spec))
            .unwrap_or_default()
    }

    /// The template of a comment on a failure; empty if none is configured.
    pub fn report_template_for(&self, spec: &ProwJobSpec) -> &str {
        by_refs(&self.report_templates, spec).unwrap_or(&self.report_template)
    }
}

impl PlankConfig {
    pub(super) fn check_plank(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("plank");
        controller::check_limits(
            &section,
            self.max_concurrency,
            self.max_goroutines(),
            report,
        );
        if self.max_revivals() < 0 {
            let path = section.key("max_revivals");
            report.add_diagnostic("max-revivals", &path, "expected 0 or more");
        }
        report.check_job_template(&section.key("job_url_template"), &self.job_url_template);
        let templates = (self.report_template.as_str(), &self.report_templates);
        controller::check_report_templates(&section, templates, report);
        if !self.default_decoration_configs.is_empty()
            && !self.default_decoration_config_entries.is_empty()
        {
            report.add_diagnostic(
                "default-decoration-twice",
                &section.key("default_decoration_configs"),
                "default_decoration_configs and default_decoration_config_entries exclude each \
                 other",
            );
        }
        let prefixes = section.key("job_url_prefix_config");
        for (key, url) in &self.job_url_prefix_config {
            check_url("job-url-prefix", &prefixes.key(key), url, report);
        }
    }
}

fn by_refs<'a>(map: &'a BTreeMap<String, String>, spec: &ProwJobSpec) -> Option<&'a str> {
    let entry = match spec.main_refs() {
        Some(refs) => find_most_specific(map, &refs.org, &refs.repo),
        None => map.get("*"),
    };
    entry.map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{config::prow::tests::refused, prowjob::Refs};

    fn plank(json: serde_json::Value) -> PlankConfig {
        serde_json::from_value(json).unwrap()
    }

    fn timeout(plank: &PlankConfig, repo: Option<&str>, cluster: &str) -> Option<String> {
        let (_, last) = plank.default_decorations(repo, cluster).last()?;
        Some(last.timeout?.to_string())
    }

    #[test]
    fn a_later_matching_entry_wins() {
        let plank = plank(json!({"default_decoration_config_entries": [
            {"config": {"timeout": "1m"}},
            {"cluster": "build2", "config": {"timeout": "2m"}},
            {"repo": "o", "cluster": "*", "config": {"timeout": "3m"}},
            {"repo": "o/r", "config": {"timeout": "4m"}},
        ]}));
        for (repo, cluster, expected) in [
            (Some("x/y"), "default", "1m0s"),
            (None, "default", "1m0s"),
            (None, "build2", "2m0s"),
            (Some("o/s"), "build2", "3m0s"),
            (Some("o/r"), "default", "4m0s"),
        ] {
            assert_eq!(
                timeout(&plank, repo, cluster).as_deref(),
                Some(expected),
                "{repo:?} {cluster}"
            );
        }
    }

    #[test]
    fn the_map_form_goes_from_wide_to_narrow() {
        let plank = plank(json!({"default_decoration_configs": {
            "*": {"timeout": "1m"}, "o": {"timeout": "2m"}, "a/b": {"timeout": "3m"},
        }}));
        assert_eq!(timeout(&plank, Some("o/r"), "x").unwrap(), "2m0s");
        assert_eq!(timeout(&plank, Some("a/b"), "x").unwrap(), "3m0s");
        assert_eq!(timeout(&plank, None, "x").unwrap(), "1m0s");
        assert_eq!(timeout(&PlankConfig::default(), None, "x"), None);
    }

    #[test]
    fn the_jobs_own_url_prefix_wins_then_the_narrowest() {
        let plank = plank(json!({"job_url_prefix_config": {"*": "w", "o": "org", "o/r": "repo"}}));
        let of = |org: &str, repo: &str| ProwJobSpec {
            refs: Some(Refs {
                org: org.into(),
                repo: repo.into(),
                ..Refs::default()
            }),
            ..ProwJobSpec::default()
        };
        assert_eq!(plank.job_url_prefix(&of("x", "y")), "w");
        assert_eq!(plank.job_url_prefix(&of("o", "y")), "org");
        assert_eq!(plank.job_url_prefix(&of("o", "r")), "repo");
        assert_eq!(plank.job_url_prefix(&ProwJobSpec::default()), "w");
        let mut own = of("o", "r");
        own.decoration_config = Some(
            serde_json::from_value(json!({"gcs_configuration": {"job_url_prefix": "mine"}}))
                .unwrap(),
        );
        assert_eq!(plank.job_url_prefix(&own), "mine");
    }

    #[test]
    fn each_rule_tells_its_place() {
        for (fields, message) in [
            (
                "max_concurrency: -1",
                "config.yaml:1:9: plank.max_concurrency: expected 0 (no limit) or more",
            ),
            (
                "max_goroutines: -1",
                "config.yaml:1:9: plank.max_goroutines: expected 1 or more",
            ),
            (
                "max_revivals: -1",
                "config.yaml:1:9: plank.max_revivals: expected 0 or more",
            ),
            (
                "job_url_template: '{{.Spec.Jobb}}'",
                "config.yaml:1:9: plank.job_url_template: line 1, column 3: a ProwJobSpec has no field Jobb; did you mean Job?",
            ),
            (
                "report_template: '{{'",
                "config.yaml:1:9: plank.report_template: line 1, column 3: unclosed action",
            ),
            (
                "report_templates: {o: '{{.Speck}}'}",
                "config.yaml:1:28: plank.report_templates.o: line 1, column 3: a ProwJob has no field Speck; did you mean Spec?",
            ),
            (
                "report_template: a, report_templates: {o: b}",
                "config.yaml:1:9: plank.report_template: report_template and report_templates exclude each other",
            ),
            (
                "default_decoration_config_entries: [{}], default_decoration_configs: {o: {}}",
                "config.yaml:1:50: plank.default_decoration_configs: default_decoration_configs and default_decoration_config_entries exclude each other",
            ),
            (
                "job_url_prefix_config: {o: ':x'}",
                r#"config.yaml:1:33: plank.job_url_prefix_config.o: found ":x", expected a URL"#,
            ),
        ] {
            assert_eq!(refused(&format!("plank: {{{fields}}}")), message);
        }
    }

    #[test]
    fn pods_that_cannot_start_fail_fast() {
        assert!(PlankConfig::default().fail_fast());
        let patience = PlankConfig::default().pod_missing_reference_timeout();
        assert_eq!(patience.to_string(), "1m0s");
        assert!(!plank(json!({"fail_fast": false})).fail_fast());
        assert_eq!(plank(json!({"max_goroutines": 0})).max_goroutines(), 20);
    }
}
