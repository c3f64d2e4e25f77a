//! Where a job's message goes, and its text. Pure.

use common::{
    config::{Config, JobBase, SLACK_REPORT},
    prowjob::{ProwJob, ProwJobSpec, ProwJobType, SlackReporterConfig},
};

use super::DEFAULT_HOST;

/// Whether the job's state is reported on Slack.
pub(super) fn is_reported(config: &Config, job: &ProwJob) -> bool {
    let target = effective_config(config, &job.spec);
    let states = target.job_states_to_report.unwrap_or_default();
    let entry = config.prow.slack_reporter_for(&job.spec);
    let kind = entry.is_some_and(|entry| entry.job_types_to_report.contains(&job.spec.job_type));
    // A job with a channel of its own is reported whatever its type.
    let own_channel = !job_config(config, &job.spec).channel.is_empty();
    target.report != Some(false)
        && states.iter().any(|state| state == job.state().as_str())
        && (kind || own_channel)
}

/// The job's own configuration, completed by the installation's.
pub(super) fn effective_config(config: &Config, spec: &ProwJobSpec) -> SlackReporterConfig {
    let own = job_config(config, spec);
    let entry = config.prow.slack_reporter_for(spec);
    let default = entry.map(|entry| entry.config.clone()).unwrap_or_default();
    let or = |own: String, default: String| if own.is_empty() { default } else { own };
    SlackReporterConfig {
        host: or(or(own.host, default.host), DEFAULT_HOST.into()),
        channel: or(own.channel, default.channel),
        job_states_to_report: own.job_states_to_report.or(default.job_states_to_report),
        report_template: or(
            or(own.report_template, default.report_template),
            SLACK_REPORT.into(),
        ),
        report: own.report.or(default.report),
    }
}

/// The job's own configuration. Of a job that the central configuration does not have, only whether
/// and in which states Slack gets a message: whoever may start a job of a pull request could
/// otherwise write anything to any channel.
fn job_config(config: &Config, spec: &ProwJobSpec) -> SlackReporterConfig {
    let slack = spec.reporter_config.as_ref();
    let Some(own) = slack.and_then(|config| config.slack.clone()) else {
        return SlackReporterConfig::default();
    };
    if may_choose_channel(config, spec, &own) {
        return own;
    }
    SlackReporterConfig {
        job_states_to_report: own.job_states_to_report,
        report: own.report,
        ..SlackReporterConfig::default()
    }
}

/// Whether the job may choose host, channel and template: it is a job of the central configuration,
/// has the same values as one, or is allowed to.
fn may_choose_channel(config: &Config, spec: &ProwJobSpec, own: &SlackReporterConfig) -> bool {
    let Some(refs) = spec.main_refs() else {
        return true;
    };
    let entry = config.prow.slack_reporter_for(spec);
    let allowed = entry.is_some_and(|entry| entry.allow_in_repo_jobs);
    let in_repo = config.prow.in_repo_config.is_enabled(&refs.org, &refs.repo);
    let words =
        |it: &SlackReporterConfig| [&it.host, &it.channel, &it.report_template].map(String::clone);
    let says_so = |base: &JobBase| {
        let slack = base.reporter_config.as_ref();
        let slack = slack.and_then(|config| config.slack.as_ref());
        base.name == spec.job && slack.is_some_and(|slack| words(slack) == words(own))
    };
    let repo = refs.org_repo();
    allowed
        || !in_repo
        || match spec.job_type {
            ProwJobType::Presubmit | ProwJobType::Batch => {
                let all = config.presubmits_for(&repo);
                all.iter().any(|job| says_so(&job.base))
            }
            ProwJobType::Postsubmit => {
                let all = config.postsubmits_for(&repo);
                all.iter().any(|job| says_so(&job.base))
            }
            // In-repo configuration has none of these.
            ProwJobType::Periodic | ProwJobType::Unset => true,
        }
}
