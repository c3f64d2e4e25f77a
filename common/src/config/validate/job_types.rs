//! Rules for the fields that only presubmits, postsubmits or periodics have.

use super::add_at_field;
use crate::{
    config::{
        JobBase, Periodic, Postsubmit, Presubmit, RegexpChangeMatcher, diagnostics::Diagnostics,
    },
    cron::CronSchedule,
};

/// Jobs for Gerrit have this label; its value is the Gerrit label that they vote on.
const GERRIT_REPORT_LABEL: &str = "prow.k8s.io/gerrit-report-label";

pub(in crate::config) fn validate_presubmit(job: &Presubmit, findings: &mut Diagnostics) {
    validate_change_matchers(&job.base, job.always_run, &job.changes, findings);
    validate_triggering(job, findings);
    validate_reporting(&job.base, job.skip_report, findings);
}

pub(in crate::config) fn validate_postsubmit(job: &Postsubmit, findings: &mut Diagnostics) {
    let always = job.always_run == Some(true);
    validate_change_matchers(&job.base, always, &job.changes, findings);
    validate_reporting(&job.base, job.skip_report, findings);
}

pub(in crate::config) fn validate_periodic(job: &Periodic, findings: &mut Diagnostics) {
    let origin = &job.base.origin;
    let set = [
        ("cron", !job.cron.is_empty()),
        ("interval", job.interval.is_some()),
        ("minimum_interval", job.minimum_interval.is_some()),
    ];
    match set.iter().filter(|(_, set)| *set).count() {
        1 => {}
        0 => findings.add_job_diagnostic(
            "missing-schedule",
            origin,
            "name",
            "a periodic needs one of cron, interval and minimum_interval",
        ),
        _ => {
            let found: Vec<_> = set.iter().filter(|(_, set)| *set).collect();
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            findings.add_job_diagnostic(
                "several-schedules",
                origin,
                names[1],
                format!(
                    "found {}, expected only one of cron, interval and minimum_interval",
                    names.join(" and ")
                ),
            );
        }
    }
    if !job.cron.is_empty()
        && let Err(error) = job.cron.parse::<CronSchedule>()
    {
        findings.add_job_diagnostic("cron", origin, "cron", error.to_string());
    }
    if let Some(retry) = &job.retry
        && retry.interval.is_none()
    {
        let message = "a retry needs an interval, as in 10m";
        add_at_field(
            findings,
            "retry-interval",
            &job.base,
            &["retry", "interval"],
            message,
        );
    }
}

fn validate_change_matchers(
    base: &JobBase,
    always_run: bool,
    changes: &RegexpChangeMatcher,
    findings: &mut Diagnostics,
) {
    for (key, set) in [
        ("run_if_changed", changes.run_if_changed.is_some()),
        (
            "skip_if_only_changed",
            changes.skip_if_only_changed.is_some(),
        ),
    ] {
        if set && always_run {
            findings.add_job_diagnostic(
                "always-run",
                &base.origin,
                key,
                format!("{key} and always_run: true exclude each other"),
            );
        }
    }
    if changes.run_if_changed.is_some() && changes.skip_if_only_changed.is_some() {
        findings.add_job_diagnostic(
            "changed-files",
            &base.origin,
            "skip_if_only_changed",
            "run_if_changed and skip_if_only_changed exclude each other",
        );
    }
}

/// The rerun command, which comments tell people to write, must trigger the job.
fn validate_triggering(job: &Presubmit, findings: &mut Diagnostics) {
    // The default trigger matches the default command. Compiling every default trigger would take
    // most of the loading time of a large configuration.
    let name = &job.base.name;
    let by_default = job.trigger.as_str() == Presubmit::default_trigger(name)
        && job.rerun_command == Presubmit::default_rerun_command(name);
    let known_good = by_default || job.rerun_command.is_empty();
    if !known_good && !job.trigger_matches(&job.rerun_command) {
        findings.add_job_diagnostic(
            "rerun-command",
            &job.base.origin,
            "rerun_command",
            format!(
                "{:?} does not match the job's trigger {:?}",
                job.rerun_command,
                job.trigger.as_str()
            ),
        );
    }
}

fn validate_reporting(base: &JobBase, skip_report: bool, findings: &mut Diagnostics) {
    let vote = base.labels.get(GERRIT_REPORT_LABEL);
    if skip_report && vote.is_some_and(|label| !label.is_empty()) {
        findings.add_job_diagnostic(
            "skip-report",
            &base.origin,
            "skip_report",
            format!("skip_report and the label {GERRIT_REPORT_LABEL} exclude each other"),
        );
    }
}
