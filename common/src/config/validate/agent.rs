//! Rules for agents: each agent has its own kind of spec.

use serde_json::Value;

use super::{add_at_field, did_you_mean};
use crate::{
    config::{ConfigPath, JobBase, ProwConfig, diagnostics::Diagnostics},
    prowjob::{ProwJobAgent, ProwJobType, RawPodSpec},
};

const KUBERNETES: &str = ProwJobAgent::KUBERNETES;
const TEKTON: &str = ProwJobAgent::TEKTON;
const AGENTS: [&str; 3] = [KUBERNETES, TEKTON, ProwJobAgent::JENKINS];

/// Stands for the refs of the event in a pipeline.
const IMPLICIT_REF: &str = "PROW_IMPLICIT_GIT_REF";
/// Stands for one of `extra_refs`, whose index follows.
const EXTRA_REF: &str = "PROW_EXTRA_GIT_REF_";

pub(super) fn validate_agent(
    job: &JobBase,
    kind: ProwJobType,
    prow: &ProwConfig,
    findings: &mut Diagnostics,
) {
    let agent = job.agent.0.as_str();
    if !AGENTS.contains(&agent) {
        let hint = did_you_mean(agent, AGENTS).unwrap_or_default();
        tracing::warn!(
            job = job.name,
            agent,
            hint,
            "unknown agent: nothing here runs the job"
        );
        return;
    }
    validate_agent_spec(job, agent, findings);
    if agent != KUBERNETES && job.utility.decoration_config.is_some() {
        add_at_field(
            findings,
            "agent-decoration",
            job,
            &["decoration_config"],
            format!("only jobs of the agent {KUBERNETES} are decorated, not {agent}"),
        );
    }
    if agent != KUBERNETES && job.error_on_eviction {
        add_at_field(
            findings,
            "agent-eviction",
            job,
            &["error_on_eviction"],
            format!("only pods of the agent {KUBERNETES} are evicted, not {agent}"),
        );
    }
    if agent != TEKTON && job.namespace != prow.pod_namespace {
        add_at_field(
            findings,
            "namespace",
            job,
            &["namespace"],
            format!(
                "found {:?}, expected pod_namespace ({:?})",
                job.namespace, prow.pod_namespace
            ),
        );
    }
    if agent == TEKTON {
        validate_pipeline(job, kind, findings);
    }
}

/// A job must have the kind of spec that its agent runs, and no other.
fn validate_agent_spec(job: &JobBase, agent: &str, findings: &mut Diagnostics) {
    match (&job.spec, agent == KUBERNETES) {
        (Some(_), false) => add_at_field(
            findings,
            "agent-spec",
            job,
            &["spec"],
            format!("a spec is for the agent {KUBERNETES}, not {agent}"),
        ),
        (None, true) => add_at_field(
            findings,
            "missing-spec",
            job,
            &["spec"],
            format!("the agent {KUBERNETES} needs a spec"),
        ),
        _ => {}
    }
    let key = pipeline_spec(job).map_or("tekton_pipeline_run_spec", |(keys, _)| keys[0]);
    match (pipeline_spec(job).is_some(), agent == TEKTON) {
        (true, false) => add_at_field(
            findings,
            "agent-pipeline",
            job,
            &[key],
            format!("a pipeline is for the agent {TEKTON}, not {agent}"),
        ),
        (false, true) => add_at_field(
            findings,
            "missing-pipeline",
            job,
            &[key],
            format!("the agent {TEKTON} needs a tekton_pipeline_run_spec"),
        ),
        _ => {}
    }
}

/// The job's pipeline, and the keys that lead to it.
fn pipeline_spec(job: &JobBase) -> Option<(&'static [&'static str], &RawPodSpec)> {
    let versions = job.tekton_pipeline_run_spec.as_ref();
    let newer = versions.and_then(|versions| versions.v1beta1.as_ref());
    let older = job.pipeline_run_spec.as_ref();
    newer
        .map(|spec| (&["tekton_pipeline_run_spec", "v1beta1"][..], spec))
        .or(older.map(|spec| (&["pipeline_run_spec"][..], spec)))
}

/// Tasks must use every one of `extra_refs`, and no other.
fn validate_pipeline(job: &JobBase, kind: ProwJobType, findings: &mut Diagnostics) {
    let Some((keys, spec)) = pipeline_spec(job) else {
        return;
    };
    let root = ConfigPath::Below(&job.origin.path);
    let outer = root.key(keys[0]);
    let outer = keys.get(1).map_or(outer, |key| outer.key(key));
    let pipeline = outer.key("pipelineSpec");
    let list = pipeline.key("tasks");
    let tasks = spec
        .0
        .get("pipelineSpec")
        .map(|pipeline| &pipeline["tasks"]);
    let mut used = Vec::new();
    for (index, task) in tasks
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let place = list.index(index);
        let place = place.key("taskRef");
        let place = place.key("name");
        let name = task["taskRef"]["name"].as_str().unwrap_or_default();
        let mut wrong =
            |rule, message| findings.add_diagnostic(rule, &job.origin.file, &place, message);
        if kind == ProwJobType::Periodic && name == IMPLICIT_REF {
            wrong(
                "pipeline-implicit-ref",
                format!("a periodic has no refs of an event that {IMPLICIT_REF} could stand for"),
            );
        }
        let Some(digits) = extra_ref_digits(name) else {
            continue;
        };
        if digits.len() > 1 && digits.starts_with('0') {
            wrong(
                "pipeline-leading-zero",
                format!("found {digits}, expected a number without leading zeros"),
            );
            continue;
        }
        let number = digits.parse().unwrap_or(usize::MAX);
        if number >= job.utility.extra_refs.len() {
            wrong(
                "pipeline-unknown-ref",
                format!("{EXTRA_REF}{digits} stands for extra_refs[{digits}], which is not there"),
            );
        }
        used.push(number);
    }
    let list = root.key("extra_refs");
    for index in (0..job.utility.extra_refs.len()).filter(|index| !used.contains(index)) {
        findings.add_diagnostic(
            "pipeline-unused-ref",
            &job.origin.file,
            &list.index(index),
            format!("no task of the pipeline uses {EXTRA_REF}{index}"),
        );
    }
}

/// The digits of the first [`EXTRA_REF`] in a task's name.
fn extra_ref_digits(name: &str) -> Option<&str> {
    name.match_indices(EXTRA_REF).find_map(|(start, marker)| {
        let rest = &name[start + marker.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}
