//! Warnings about single jobs.

use std::collections::BTreeSet;

use super::CheckconfigInput;
use crate::{
    config::{Config, ConfigPath, JobBase, diagnostics::Diagnostics, validate},
    prowjob::{DEFAULT_CLUSTER, ProwJobAgent},
};

/// Maximum length of the value of a Kubernetes label.
const LABEL_MAX: usize = 63;

/// Every central job.
pub(super) fn all_jobs(config: &Config) -> impl Iterator<Item = &JobBase> {
    let jobs = &config.jobs;
    let presubmits = jobs.presubmits.values().flatten().map(|job| &job.base);
    let postsubmits = jobs.postsubmits.values().flatten().map(|job| &job.base);
    let periodics = jobs.periodics.iter().map(|job| &job.base);
    presubmits.chain(postsubmits).chain(periodics)
}

pub(super) fn check_non_decorated(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in all_jobs(subject.config) {
        if job.agent.is_kubernetes() && !job.utility.decorate {
            let message = format!("{:?} runs without the pod utilities", job.name);
            findings.add_job_diagnostic("non-decorated-jobs", &job.origin, "decorate", message);
        }
    }
}

/// Loading validates the decoration of jobs with containers; this checks every decorated job of
/// Kubernetes.
pub(super) fn check_decoration(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    const RULE: &str = "valid-decoration-config";
    for job in all_jobs(subject.config) {
        if job.agent.is_kubernetes()
            && job.utility.decorate
            && let Some(decoration) = &job.utility.decoration_config
        {
            let root = ConfigPath::Below(&job.origin.path);
            let path = root.key("decoration_config");
            validate::validate_decoration_config(decoration, None, &mut |_, _, message| {
                findings.add_diagnostic(RULE, &job.origin.file, &path, message);
            });
        }
    }
}

pub(super) fn check_long_names(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in all_jobs(subject.config) {
        let length = job.name.len();
        if job.agent.is_kubernetes() && length > LABEL_MAX {
            let message = format!(
                "{:?} has {length} characters; labels hold {LABEL_MAX}, so they name the job cut off",
                job.name
            );
            findings.add_job_diagnostic("long-job-names", &job.origin, "name", message);
        }
    }
}

/// Checks presubmits only, as in Prow.
pub(super) fn check_duplicate_refs(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for (org_repo, jobs) in &subject.config.jobs.presubmits {
        for job in jobs {
            let job = &job.base;
            let mut seen = BTreeSet::from([org_repo.clone()]);
            let root = ConfigPath::Below(&job.origin.path);
            let list = root.key("extra_refs");
            for (index, refs) in job.utility.extra_refs.iter().enumerate() {
                let name = refs.org_repo();
                if !seen.insert(name.clone()) {
                    let message = format!("{:?} clones {name} more than once", job.name);
                    let path = list.index(index);
                    findings.add_diagnostic("duplicate-job-refs", &job.origin.file, &path, message);
                }
            }
        }
    }
}

/// clonerefs fetches a branch, a tag or a commit by name; HEAD is none of these.
pub(super) fn check_head_refs(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in all_jobs(subject.config) {
        let root = ConfigPath::Below(&job.origin.path);
        let list = root.key("extra_refs");
        for (index, refs) in job.utility.extra_refs.iter().enumerate() {
            if refs.base_ref == "HEAD" {
                findings.add_with_hint(
                    "extra-refs-head",
                    &job.origin.file,
                    &list.index(index).key("base_ref"),
                    format!("{:?} cannot clone HEAD of {}", job.name, refs.org_repo()),
                    Some("name the branch".into()),
                );
            }
        }
    }
}

pub(super) fn check_annotations(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in all_jobs(subject.config) {
        for annotation in subject.required_annotations {
            if !job.annotations.contains_key(annotation) {
                let message = format!("{:?} lacks the annotation {annotation:?}", job.name);
                findings.add_job_diagnostic(
                    "required-job-annotations",
                    &job.origin,
                    "annotations",
                    message,
                );
            }
        }
    }
}

/// A periodic has no repository of its own, so these settings have no effect.
pub(super) fn check_periodic_clone(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in &subject.config.jobs.periodics {
        let job = &job.base;
        let utility = &job.utility;
        for (key, set) in [
            ("clone_depth", utility.clone_depth != 0),
            ("clone_uri", !utility.clone_uri.is_empty()),
            ("path_alias", !utility.path_alias.is_empty()),
        ] {
            if set {
                let message = format!(
                    "{key} of {:?} has no effect: a periodic clones its extra_refs only",
                    job.name
                );
                findings.add_job_diagnostic(
                    "periodic-default-clone-config",
                    &job.origin,
                    key,
                    message,
                );
            }
        }
    }
}

pub(super) fn check_clusters(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for job in all_jobs(subject.config) {
        let message = if job.agent.0 == ProwJobAgent::JENKINS && job.cluster != DEFAULT_CLUSTER {
            format!("{:?} has a cluster, which jenkins does not use", job.name)
        } else if subject
            .clusters
            .is_some_and(|known| !known.contains_key(&job.cluster))
        {
            format!(
                "{:?} is to run in {:?}, a build cluster that plank does not know",
                job.name, job.cluster
            )
        } else {
            continue;
        };
        findings.add_job_diagnostic("validate-cluster-field", &job.origin, "cluster", message);
    }
}
