//! Rules for agents.

use super::{check, periodic, presubmit};

#[test]
fn each_agent_has_its_own_spec() {
    check([
        (
            "missing-spec",
            presubmit("always_run: true"),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].spec: the agent kubernetes needs a spec"#,
        ),
        (
            "agent-spec",
            presubmit("agent: jenkins\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].spec: a spec is for the agent kubernetes, not jenkins"#,
        ),
        (
            "missing-pipeline",
            presubmit("agent: tekton-pipeline"),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].tekton_pipeline_run_spec: the agent tekton-pipeline needs a tekton_pipeline_run_spec"#,
        ),
        (
            "agent-pipeline",
            presubmit("tekton_pipeline_run_spec: {v1beta1: {}}\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].tekton_pipeline_run_spec: a pipeline is for the agent tekton-pipeline, not kubernetes"#,
        ),
        (
            "agent-pipeline",
            presubmit("agent: jenkins\npipeline_run_spec: {}"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].pipeline_run_spec: a pipeline is for the agent tekton-pipeline, not jenkins"#,
        ),
    ]);
}

#[test]
fn only_pods_are_decorated_and_evicted() {
    check([
        (
            "agent-decoration",
            presubmit("agent: jenkins\ndecorate: true"),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].decoration_config: only jobs of the agent kubernetes are decorated, not jenkins"#,
        ),
        (
            "agent-eviction",
            presubmit("agent: jenkins\nerror_on_eviction: true"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].error_on_eviction: only pods of the agent kubernetes are evicted, not jenkins"#,
        ),
        (
            "namespace",
            presubmit("namespace: elsewhere\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].namespace: found "elsewhere", expected pod_namespace ("test-pods")"#,
        ),
    ]);
}

#[test]
fn a_pipeline_uses_every_extra_ref_and_no_other() {
    check([
        (
            "pipeline-implicit-ref",
            periodic(
                "interval: 1h\nagent: tekton-pipeline\ntekton_pipeline_run_spec:\n  v1beta1:\n    pipelineSpec:\n      tasks:\n      - {name: a, taskRef: {name: PROW_IMPLICIT_GIT_REF}}",
            ),
            "jobs.yaml:9:31: periodics[0].tekton_pipeline_run_spec.v1beta1.pipelineSpec.tasks[0].taskRef.name: a periodic has no refs of an event that PROW_IMPLICIT_GIT_REF could stand for",
        ),
        (
            "pipeline-leading-zero",
            presubmit(
                "agent: tekton-pipeline\ntekton_pipeline_run_spec:\n  v1beta1: {pipelineSpec: {tasks: [{name: a, taskRef: {name: PROW_EXTRA_GIT_REF_01}}]}}",
            ),
            r#"jobs.yaml:6:60: presubmits."org/repo"[0].tekton_pipeline_run_spec.v1beta1.pipelineSpec.tasks[0].taskRef.name: found 01, expected a number without leading zeros"#,
        ),
        (
            "pipeline-unknown-ref",
            presubmit(
                "agent: tekton-pipeline\npipeline_run_spec: {pipelineSpec: {tasks: [{name: a, taskRef: {name: PROW_EXTRA_GIT_REF_0}}]}}",
            ),
            r#"jobs.yaml:5:68: presubmits."org/repo"[0].pipeline_run_spec.pipelineSpec.tasks[0].taskRef.name: PROW_EXTRA_GIT_REF_0 stands for extra_refs[0], which is not there"#,
        ),
        (
            "pipeline-unused-ref",
            presubmit(
                "agent: tekton-pipeline\npipeline_run_spec: {}\nextra_refs:\n- {org: o, repo: r}",
            ),
            r#"jobs.yaml:7:7: presubmits."org/repo"[0].extra_refs[0]: no task of the pipeline uses PROW_EXTRA_GIT_REF_0"#,
        ),
    ]);
}
