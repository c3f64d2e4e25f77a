//! Rules for the fields that every type of job has.

use super::{
    add_at_field, agent, clone_uri, decoration, did_you_mean,
    names::{is_jenkins_name, is_job_name, is_qualified_name},
    pod,
};
use crate::{
    config::{ConfigPath, JobBase, ProwConfig, diagnostics::Diagnostics},
    prowjob::{
        ProwJobAgent, ProwJobType, RawPodSpec, RerunAuthConfig,
        labels::{self, is_label_value},
    },
};

/// Labels that Prow sets itself.
const RESERVED_LABELS: [&str; 3] = [labels::TYPE, labels::CREATED_BY_PROW, labels::ID];

/// Checks name, limits, agent, labels, queue, pod and decoration.
pub(in crate::config) fn validate_job_base(
    job: &JobBase,
    pod: Option<&RawPodSpec>,
    kind: ProwJobType,
    prow: &ProwConfig,
    findings: &mut Diagnostics,
) {
    validate_job_name(job, findings);
    if job.max_concurrency < 0 {
        add_at_field(
            findings,
            "max-concurrency",
            job,
            &["max_concurrency"],
            format!(
                "found {}, expected 0 (no limit) or more",
                job.max_concurrency
            ),
        );
    }
    agent::validate_agent(job, kind, prow, findings);
    validate_labels(job, findings);
    validate_job_queue(job, prow, findings);
    let Some(pod) = pod else { return };
    pod::validate_pod_spec(job, pod, kind, findings);
    if pod::pod_containers(pod).next().is_some() {
        validate_rerun_auth(job, findings);
        clone_uri::validate_clone_uris(job, findings);
        decoration::validate_decoration(job, pod, findings);
    }
}

fn validate_job_name(job: &JobBase, findings: &mut Diagnostics) {
    let mut wrong = |message: String| add_at_field(findings, "job-name", job, &["name"], message);
    if job.name.is_empty() {
        return wrong("the job has no name".into());
    }
    let (valid, expected) = if job.agent.0 == ProwJobAgent::JENKINS {
        (
            is_jenkins_name(&job.name),
            "letters, digits, '-', '.', '_' and '/' between them",
        )
    } else {
        (
            is_job_name(&job.name),
            "letters, digits, '-', '.' and '_' only",
        )
    };
    if !valid {
        wrong(format!("found {:?}, expected {expected}", job.name));
    }
}

fn validate_labels(job: &JobBase, findings: &mut Diagnostics) {
    for (key, value) in &job.labels {
        let mut wrong =
            |rule, message: String| add_at_field(findings, rule, job, &["labels", key], message);
        if RESERVED_LABELS.contains(&key.as_str()) {
            wrong("reserved-label", format!("the label {key} is set by Prow"));
        }
        if !is_qualified_name(key) {
            wrong("label-name", describe_unqualified(key));
        }
        if !is_label_value(value) {
            wrong(
                "label-value",
                format!(
                    "{value:?} is no label value: at most 63 letters, digits, '-', '.' and '_', \
                     beginning and ending with a letter or digit"
                ),
            );
        }
    }
    for key in job.annotations.keys().filter(|key| !is_qualified_name(key)) {
        add_at_field(
            findings,
            "annotation-name",
            job,
            &["annotations", key],
            describe_unqualified(key),
        );
    }
}

fn describe_unqualified(key: &str) -> String {
    format!(
        "{key:?} is no name here: at most 63 letters, digits, '-', '.' and '_', beginning and \
         ending with a letter or digit; before it there may be a DNS name and a '/'"
    )
}

fn validate_job_queue(job: &JobBase, prow: &ProwConfig, findings: &mut Diagnostics) {
    let (name, queues) = (&job.job_queue_name, &prow.plank.job_queue_capacities);
    if name.is_empty() || queues.contains_key(name) {
        return;
    }
    let root = ConfigPath::Below(&job.origin.path);
    findings.add_with_hint(
        "job-queue-name",
        &job.origin.file,
        &root.key("job_queue_name"),
        format!("the queue {name:?} is not in plank.job_queue_capacities"),
        did_you_mean(name, queues.keys().map(String::as_str)),
    );
}

fn validate_rerun_auth(job: &JobBase, findings: &mut Diagnostics) {
    let rerun = job.rerun_auth_config.as_ref();
    if let Some(message) = rerun.and_then(RerunAuthConfig::find_contradiction) {
        let keys = ["rerun_auth_config", "allow_anyone"];
        add_at_field(findings, "rerun-auth-config", job, &keys, message);
    }
}
