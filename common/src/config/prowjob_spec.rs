//! Makes the spec and the labels of a `ProwJob` from a job.

use super::{JobBase, Periodic, Postsubmit, Presubmit};
use crate::prowjob::{
    ProwJobSpec, ProwJobType, Refs, ReporterConfig, StringMap, labels::IS_OPTIONAL,
};

/// The spec of a presubmit on one pull request.
pub fn presubmit_spec(job: &Presubmit, refs: Refs) -> ProwJobSpec {
    ProwJobSpec {
        report: !job.skip_report,
        context: job.context.clone(),
        rerun_command: job.rerun_command.clone(),
        refs: Some(complete_primary_refs(&job.base, refs)),
        jenkins_spec: job.jenkins_spec.clone(),
        ..spec_from_job_base(&job.base, ProwJobType::Presubmit)
    }
}

/// The spec of a presubmit on several pull requests at once; its result is not reported.
pub fn batch_spec(job: &Presubmit, refs: Refs) -> ProwJobSpec {
    ProwJobSpec {
        context: job.context.clone(),
        refs: Some(complete_primary_refs(&job.base, refs)),
        jenkins_spec: job.jenkins_spec.clone(),
        ..spec_from_job_base(&job.base, ProwJobType::Batch)
    }
}

/// The spec of a postsubmit on a pushed commit.
pub fn postsubmit_spec(job: &Postsubmit, refs: Refs) -> ProwJobSpec {
    ProwJobSpec {
        report: !job.skip_report,
        context: job.context.clone(),
        refs: Some(complete_primary_refs(&job.base, refs)),
        jenkins_spec: job.jenkins_spec.clone(),
        ..spec_from_job_base(&job.base, ProwJobType::Postsubmit)
    }
}

/// The spec of a periodic.
pub fn periodic_spec(job: &Periodic) -> ProwJobSpec {
    ProwJobSpec {
        report: true,
        ..spec_from_job_base(&job.base, ProwJobType::Periodic)
    }
}

/// The job's labels, and whether it is optional. Annotations are `base.annotations`.
pub fn presubmit_labels(job: &Presubmit) -> StringMap {
    let mut labels = job.base.labels.clone();
    labels.insert(IS_OPTIONAL.into(), job.optional.to_string());
    labels
}

/// The job's labels. Annotations are `base.annotations`.
pub fn postsubmit_labels(job: &Postsubmit) -> StringMap {
    job.base.labels.clone()
}

/// The job's labels. Annotations are `base.annotations`.
pub fn periodic_labels(job: &Periodic) -> StringMap {
    job.base.labels.clone()
}

fn spec_from_job_base(base: &JobBase, job_type: ProwJobType) -> ProwJobSpec {
    ProwJobSpec {
        job_type,
        agent: base.agent.clone(),
        cluster: base.cluster.clone(),
        namespace: base.namespace.clone(),
        job: base.name.clone(),
        extra_refs: complete_extra_refs(base),
        max_concurrency: base.max_concurrency,
        error_on_eviction: base.error_on_eviction,
        pod_spec: base
            .spec
            .as_ref()
            .map(|pod| pod.to_pod_spec().with_required_fields()),
        pipeline_run_spec: base.pipeline_run_spec.clone(),
        tekton_pipeline_run_spec: base.tekton_pipeline_run_spec.clone(),
        decoration_config: base.utility.decoration_config.as_deref().cloned(),
        reporter_config: base.reporter_config.clone().map(resolve_slack_report),
        rerun_auth_config: base.rerun_auth_config.clone(),
        hidden: base.hidden,
        prowjob_defaults: base.prowjob_defaults.clone(),
        job_queue_name: base.job_queue_name.clone(),
        ..ProwJobSpec::default()
    }
}

/// Settles whether the run is reported to Slack when it is created: an explicit empty list of
/// states means no.
fn resolve_slack_report(mut config: ReporterConfig) -> ReporterConfig {
    if let Some(slack) = &mut config.slack {
        slack.report.get_or_insert(
            slack
                .job_states_to_report
                .as_ref()
                .is_none_or(|states| !states.is_empty()),
        );
    }
    config
}

/// The refs of the event with the job's settings for cloning them.
fn complete_primary_refs(base: &JobBase, mut refs: Refs) -> Refs {
    let utility = &base.utility;
    set_if_given(&mut refs.path_alias, &utility.path_alias);
    set_if_given(&mut refs.clone_uri, &utility.clone_uri);
    refs.skip_submodules |= utility.skip_submodules;
    if utility.clone_depth > 0 {
        refs.clone_depth = utility.clone_depth;
    }
    refs.skip_fetch_head |= utility.skip_fetch_head;
    if let Some(decoration) = &utility.decoration_config {
        if decoration.blobless_fetch.is_some() {
            refs.blobless_fetch = decoration.blobless_fetch;
        }
        if !decoration.sparse_checkout_files.is_empty() {
            refs.sparse_checkout_files
                .clone_from(&decoration.sparse_checkout_files);
        }
    }
    refs
}

fn complete_extra_refs(base: &JobBase) -> Vec<Refs> {
    let blobless = base
        .utility
        .decoration_config
        .as_ref()
        .and_then(|decoration| decoration.blobless_fetch);
    let mut refs = base.utility.extra_refs.clone();
    for refs in &mut refs {
        refs.blobless_fetch = refs.blobless_fetch.or(blobless);
    }
    refs
}

fn set_if_given(field: &mut String, value: &str) {
    if !value.is_empty() {
        value.clone_into(field);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{config::UtilityConfig, prowjob::DecorationConfig};

    fn base() -> JobBase {
        JobBase {
            name: "unit".into(),
            cluster: "default".into(),
            namespace: "test-pods".into(),
            reporter_config: serde_json::from_value(json!({"slack": {"job_states_to_report": []}}))
                .unwrap(),
            utility: UtilityConfig {
                path_alias: "k8s.io/x".into(),
                clone_depth: 3,
                extra_refs: vec![Refs::default()],
                decoration_config: Some(Arc::new(DecorationConfig {
                    blobless_fetch: Some(true),
                    sparse_checkout_files: vec!["a".into()],
                    ..DecorationConfig::default()
                })),
                ..UtilityConfig::default()
            },
            ..JobBase::default()
        }
    }

    #[test]
    fn refs_take_what_the_job_says_about_fetching() {
        let job = Presubmit {
            base: base(),
            context: "ci/unit".into(),
            rerun_command: "/test unit".into(),
            optional: true,
            ..Presubmit::default()
        };
        let refs = Refs {
            org: "o".into(),
            repo: "r".into(),
            ..Refs::default()
        };
        let spec = presubmit_spec(&job, refs.clone());
        assert!(spec.report);
        assert_eq!(spec.rerun_command, "/test unit");
        let primary = spec.refs.unwrap();
        assert_eq!(primary.path_alias, "k8s.io/x");
        assert_eq!(primary.clone_depth, 3);
        assert_eq!(primary.sparse_checkout_files, ["a"]);
        assert_eq!(spec.extra_refs[0].blobless_fetch, Some(true));
        assert!(spec.extra_refs[0].sparse_checkout_files.is_empty());
        assert_eq!(
            spec.reporter_config.unwrap().slack.unwrap().report,
            Some(false)
        );
        assert_eq!(presubmit_labels(&job)[IS_OPTIONAL], "true");

        let batch = batch_spec(&job, refs);
        assert!(!batch.report && batch.rerun_command.is_empty());
        assert_eq!(batch.context, "ci/unit");
    }

    #[test]
    fn a_periodic_reports_and_has_no_refs() {
        let spec = periodic_spec(&Periodic {
            base: base(),
            ..Periodic::default()
        });
        assert!(spec.report && spec.refs.is_none() && spec.context.is_empty());
    }
}
