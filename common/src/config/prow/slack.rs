//! `slack_reporter_configs`: which jobs are reported to Slack, by `org/repo`, `org` or `*`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProwConfig;
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    prowjob::{ProwJobSpec, ProwJobType, SlackReporterConfig},
    repo_names::find_most_specific,
};

/// The template of a message unless set.
pub const SLACK_REPORT: &str = "Job {{.Spec.Job}} of type {{.Spec.Type}} ended with state \
                      {{.Status.State}}. <{{.Status.URL}}|View logs>";

/// A job's own `reporter_config.slack` takes precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SlackReporterEntry {
    pub job_types_to_report: Vec<ProwJobType>,
    /// Whether in-repository jobs may choose a host, a channel and a template. Prow has no such
    /// setting: there, whoever may trigger a job of a pull request chooses them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_in_repo_jobs: bool,
    #[serde(flatten)]
    pub config: SlackReporterConfig,
}

impl SlackReporterEntry {
    /// The Go template of a message.
    pub fn report_template(&self) -> &str {
        match self.config.report_template.as_str() {
            "" => SLACK_REPORT,
            own => own,
        }
    }
}

impl ProwConfig {
    /// The entry for a job: that of its repository, else of its organisation, else `*`.
    pub fn slack_reporter_for(&self, spec: &ProwJobSpec) -> Option<&SlackReporterEntry> {
        let entries = &self.slack_reporter_configs;
        match spec.main_refs() {
            Some(refs) => find_most_specific(entries, &refs.org, &refs.repo),
            None => entries.get("*"),
        }
    }

    pub(super) fn check_slack(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("slack_reporter_configs");
        for (key, entry) in &self.slack_reporter_configs {
            let path = section.key(key);
            if entry.config.channel.is_empty() {
                report.add_diagnostic("slack-channel", &path.key("channel"), "is required");
            }
            report.check_empty_job_template(&path.key("report_template"), entry.report_template());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn an_entry_has_a_channel_and_a_template_for_every_job() {
        for (fields, message) in [
            (
                "{report: true}",
                "config.yaml:2:3: slack_reporter_configs.\"*\".channel: is required",
            ),
            (
                "{channel: c, report_template: '{{.Spec.Jobb}}'}",
                r#"config.yaml:2:21: slack_reporter_configs."*".report_template: line 1, column 3: a ProwJobSpec has no field Jobb; did you mean Job?"#,
            ),
            (
                "{channel: c, report_template: '{{.Spec.Refs.Org}}'}",
                r#"config.yaml:2:21: slack_reporter_configs."*".report_template: line 1, column 3: nothing has a field Org: this job lacks it; it has to take a job of which nothing is known"#,
            ),
            (
                "{channel: c, report_template: '{{'}",
                r#"config.yaml:2:21: slack_reporter_configs."*".report_template: line 1, column 3: unclosed action"#,
            ),
        ] {
            let yaml = format!("slack_reporter_configs:\n  '*': {fields}");
            assert_eq!(refused(&yaml), message);
        }
        let config =
            loaded("slack_reporter_configs: {o: {channel: c, job_types_to_report: [periodic]}}");
        let entry = &config.slack_reporter_configs["o"];
        assert!(entry.report_template().starts_with("Job {{.Spec.Job}}"));
    }
}
