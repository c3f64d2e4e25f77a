//! Rules for what every kind of job has.

use super::{
    agent, at, clone_uri, decoration, did_you_mean,
    names::{is_jenkins_name, is_job_name, is_qualified_name},
    pod,
};
use crate::{
    config::{JobBase, Path, ProwConfig, findings::Findings},
    prowjob::{
        ProwJobAgent, ProwJobType, RawPodSpec, RerunAuthConfig,
        labels::{self, is_label_value},
    },
};

/// Labels that Prow sets itself.
const RESERVED_LABELS: [&str; 3] = [labels::TYPE, labels::CREATED_BY_PROW, labels::ID];

/// Checks name, limits, agent, labels, queue, pod and decoration.
pub(in crate::config) fn check(
    job: &JobBase,
    pod: Option<&RawPodSpec>,
    kind: ProwJobType,
    prow: &ProwConfig,
    findings: &mut Findings,
) {
    name(job, findings);
    if job.max_concurrency < 0 {
        at(
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
    agent::check(job, kind, prow, findings);
    label_keys(job, findings);
    queue(job, prow, findings);
    let Some(pod) = pod else { return };
    pod::check(job, pod, kind, findings);
    if pod::containers(pod).next().is_some() {
        rerun(job, findings);
        clone_uri::check(job, findings);
        decoration::check(job, pod, findings);
    }
}

fn name(job: &JobBase, findings: &mut Findings) {
    let mut wrong = |message: String| at(findings, "job-name", job, &["name"], message);
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

fn label_keys(job: &JobBase, findings: &mut Findings) {
    for (key, value) in &job.labels {
        let mut wrong = |rule, message: String| at(findings, rule, job, &["labels", key], message);
        if RESERVED_LABELS.contains(&key.as_str()) {
            wrong("reserved-label", format!("the label {key} is set by Prow"));
        }
        if !is_qualified_name(key) {
            wrong("label-name", not_qualified(key));
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
        at(
            findings,
            "annotation-name",
            job,
            &["annotations", key],
            not_qualified(key),
        );
    }
}

fn not_qualified(key: &str) -> String {
    format!(
        "{key:?} is no name here: at most 63 letters, digits, '-', '.' and '_', beginning and \
         ending with a letter or digit; before it there may be a DNS name and a '/'"
    )
}

fn queue(job: &JobBase, prow: &ProwConfig, findings: &mut Findings) {
    let (name, queues) = (&job.job_queue_name, &prow.plank.job_queue_capacities);
    if name.is_empty() || queues.contains_key(name) {
        return;
    }
    let root = Path::Below(&job.origin.path);
    findings.add_with_hint(
        "job-queue-name",
        &job.origin.file,
        &root.key("job_queue_name"),
        format!("the queue {name:?} is not in plank.job_queue_capacities"),
        did_you_mean(name, queues.keys().map(String::as_str)),
    );
}

fn rerun(job: &JobBase, findings: &mut Findings) {
    let rerun = job.rerun_auth_config.as_ref();
    if let Some(message) = rerun.and_then(RerunAuthConfig::contradiction) {
        let keys = ["rerun_auth_config", "allow_anyone"];
        at(findings, "rerun-auth-config", job, &keys, message);
    }
}
