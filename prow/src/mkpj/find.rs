//! Finds a configured job by its name. Pure.

use anyhow::bail;
use common::{
    config::{JobConfig, periodic_spec, postsubmit_spec, presubmit_spec},
    prowjob::{ProwJobSpec, Refs, StringMap},
};

/// What a `ProwJob` is made of.
#[derive(Debug)]
pub(super) struct FoundJob {
    pub(super) spec: ProwJobSpec,
    pub(super) labels: StringMap,
    pub(super) annotations: StringMap,
}

/// The first presubmit, else postsubmit, else periodic of this name, repositories in the order of
/// their names. The repository of `refs` is ignored, and so is its pull request for a postsubmit.
pub(super) fn find_job(jobs: &JobConfig, name: &str, refs: &Refs) -> anyhow::Result<FoundJob> {
    for (repo, job) in iter_jobs(&jobs.presubmits) {
        if job.base.name == name {
            let spec = presubmit_spec(job, set_repository(repo, refs.clone()));
            return Ok(new_found_job(spec, &job.base));
        }
    }
    for (repo, job) in iter_jobs(&jobs.postsubmits) {
        if job.base.name == name {
            let pushed = Refs {
                pulls: Vec::new(),
                ..refs.clone()
            };
            return Ok(new_found_job(
                postsubmit_spec(job, set_repository(repo, pushed)),
                &job.base,
            ));
        }
    }
    for job in &jobs.periodics {
        if job.base.name == name {
            return Ok(new_found_job(periodic_spec(job), &job.base));
        }
    }
    bail!("there is no job {name:?} in the configuration")
}

fn iter_jobs<J>(
    jobs: &std::collections::BTreeMap<String, Vec<J>>,
) -> impl Iterator<Item = (&String, &J)> {
    jobs.iter()
        .flat_map(|(repo, jobs)| jobs.iter().map(move |job| (repo, job)))
}

fn new_found_job(spec: ProwJobSpec, base: &common::config::JobBase) -> FoundJob {
    FoundJob {
        spec,
        labels: base.labels.clone(),
        annotations: base.annotations.clone(),
    }
}

/// In `https://host/org/repo`, as Gerrit's are written, the host belongs to the organisation.
fn set_repository(full_name: &str, refs: Refs) -> Refs {
    let scheme = full_name.find("://").map_or(0, |end| end + "://".len());
    let slash = full_name[scheme..].find('/').map(|at| scheme + at);
    let (org, repo) = match slash {
        Some(at) => (&full_name[..at], &full_name[at + 1..]),
        None => (full_name, ""),
    };
    Refs {
        org: org.to_owned(),
        repo: repo.to_owned(),
        ..refs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_an_organisation() {
        for (name, org, repo) in [
            ("o/r", "o", "r"),
            (
                "https://gerrit.example/a/b",
                "https://gerrit.example",
                "a/b",
            ),
        ] {
            let refs = set_repository(name, Refs::default());
            assert_eq!((refs.org.as_str(), refs.repo.as_str()), (org, repo));
        }
    }

    #[test]
    fn an_unknown_job_is_an_error() {
        let error = find_job(&JobConfig::default(), "nope", &Refs::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no job \"nope\" in the configuration"
        );
    }
}
