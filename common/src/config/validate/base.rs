//! Rules for what every kind of job has.

use super::{
    decoration,
    names::{is_jenkins_name, is_job_name, is_qualified_name},
    pod,
};
use crate::{
    config::{JobBase, Path, ProwConfig, findings::Findings},
    prowjob::{
        ProwJobAgent, ProwJobType,
        labels::{self, is_label_value},
    },
};

/// Labels that Prow sets itself.
const RESERVED_LABELS: [&str; 3] = [labels::TYPE, labels::CREATED_BY_PROW, labels::ID];

/// Checks name, limits, agent, labels, queue, pod and decoration.
pub(in crate::config) fn check(
    job: &JobBase,
    kind: ProwJobType,
    prow: &ProwConfig,
    findings: &mut Findings,
) {
    name(job, findings);
    if job.max_concurrency < 0 {
        findings.job(
            "max-concurrency",
            &job.origin,
            "max_concurrency",
            format!(
                "found {}, expected 0 (no limit) or more",
                job.max_concurrency
            ),
        );
    }
    agent(job, prow, findings);
    label_keys(job, findings);
    if !job.job_queue_name.is_empty()
        && !prow
            .plank
            .job_queue_capacities
            .contains_key(&job.job_queue_name)
    {
        findings.job(
            "job-queue-name",
            &job.origin,
            "job_queue_name",
            format!(
                "the queue {:?} is not in plank.job_queue_capacities",
                job.job_queue_name
            ),
        );
    }
    pod::check(job, kind, findings);
    if pod::containers(job).next().is_some() {
        rerun(job, findings);
        decoration::check(job, findings);
    }
}

fn name(job: &JobBase, findings: &mut Findings) {
    if job.name.is_empty() {
        findings.job("job-name", &job.origin, "name", "the job has no name");
        return;
    }
    let jenkins = job.agent.0 == ProwJobAgent::JENKINS;
    let (valid, rule) = if jenkins {
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
        findings.job(
            "job-name",
            &job.origin,
            "name",
            format!("found {:?}, expected {rule}", job.name),
        );
    }
}

fn agent(job: &JobBase, prow: &ProwConfig, findings: &mut Findings) {
    let agent = job.agent.0.as_str();
    let (kubernetes, tekton) = (ProwJobAgent::KUBERNETES, ProwJobAgent::TEKTON);
    if ![kubernetes, tekton, ProwJobAgent::JENKINS].contains(&agent) {
        tracing::warn!(
            job = job.name,
            agent,
            "unknown agent: nothing here runs the job"
        );
        return;
    }
    let mut wrong = |key: &str, message: String| findings.job("agent", &job.origin, key, message);
    if job.spec.is_some() && agent != kubernetes {
        wrong(
            "spec",
            format!("a spec is for the agent {kubernetes}, not {agent}"),
        );
    }
    if job.spec.is_none() && agent == kubernetes {
        wrong("spec", format!("the agent {kubernetes} needs a spec"));
    }
    let pipeline = job.pipeline_run_spec.is_some() || job.tekton_pipeline_run_spec.is_some();
    if pipeline != (agent == tekton) {
        let message = if pipeline {
            format!("a pipeline spec is for the agent {tekton}, not {agent}")
        } else {
            format!("the agent {tekton} needs a tekton_pipeline_run_spec")
        };
        wrong("agent", message);
    }
    if agent != kubernetes {
        if job.utility.decoration_config.is_some() {
            wrong(
                "decoration_config",
                format!("only jobs of the agent {kubernetes} are decorated, not {agent}"),
            );
        }
        if job.error_on_eviction {
            wrong(
                "error_on_eviction",
                format!("only pods of the agent {kubernetes} are evicted, not {agent}"),
            );
        }
    }
    if agent != tekton && job.namespace != prow.pod_namespace {
        wrong(
            "namespace",
            format!(
                "found {:?}, expected pod_namespace ({:?})",
                job.namespace, prow.pod_namespace
            ),
        );
    }
}

fn label_keys(job: &JobBase, findings: &mut Findings) {
    let root = Path::Below(&job.origin.path);
    for (key, value) in &job.labels {
        let path = root.key("labels");
        let mut wrong =
            |message: String| findings.add("labels", &job.origin.file, &path.key(key), message);
        if RESERVED_LABELS.contains(&key.as_str()) {
            wrong(format!("the label {key} is set by Prow"));
        }
        if !is_qualified_name(key) {
            wrong(format!("{key:?} is no label name"));
        }
        if !is_label_value(value) {
            wrong(format!(
                "{value:?} is no label value: at most 63 letters, digits, '-', '.' and '_', \
                 beginning and ending with a letter or digit"
            ));
        }
    }
    for key in job.annotations.keys().filter(|key| !is_qualified_name(key)) {
        let path = root.key("annotations");
        findings.add(
            "annotations",
            &job.origin.file,
            &path.key(key),
            format!("{key:?} is no annotation name"),
        );
    }
}

fn rerun(job: &JobBase, findings: &mut Findings) {
    let Some(rerun) = &job.rerun_auth_config else {
        return;
    };
    let lists = rerun.github_team_ids.len()
        + rerun.github_team_slugs.len()
        + rerun.github_users.len()
        + rerun.github_orgs.len();
    if rerun.allow_anyone && lists > 0 {
        findings.job(
            "rerun-auth-config",
            &job.origin,
            "rerun_auth_config",
            "allow_anyone and lists of people exclude each other",
        );
    }
}
