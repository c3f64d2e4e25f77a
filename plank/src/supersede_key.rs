//! Which presubmits supersede each other: the newer aborts the older.

use common::prowjob::{ProwJob, ProwJobType, Refs};

/// What a presubmit is about, without its commits: its job, and for each of its refs
/// `org/repo@base [pull requests]`. A push changes only commits, so its runs have the same keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SupersedeKey(String);

impl SupersedeKey {
    /// `None` for what is never superseded: postsubmits, periodics, batches.
    pub fn from_job(job: &ProwJob) -> Option<Self> {
        if job.spec.job_type != ProwJobType::Presubmit {
            return None;
        }
        let mut parts = vec![refs_key(job.spec.refs.as_ref())];
        parts.extend(job.spec.extra_refs.iter().map(|refs| refs_key(Some(refs))));
        parts.sort();
        Some(Self(format!("{}\0{}", job.spec.job, parts.join("\0"))))
    }
}

fn refs_key(refs: Option<&Refs>) -> String {
    let Some(refs) = refs else {
        return String::new();
    };
    let mut pulls: Vec<u64> = refs.pulls.iter().map(|pull| pull.number).collect();
    pulls.sort_unstable();
    format!("{}@{} {pulls:?}", refs.org_repo(), refs.base_ref)
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;

    use super::*;

    fn job(job_type: ProwJobType, name: &str, base_ref: &str, pulls: &[(u64, &str)]) -> ProwJob {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.job_type = job_type;
        job.spec.job = name.into();
        job.spec.refs = Some(Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: base_ref.into(),
            pulls: pulls
                .iter()
                .map(|(number, sha)| Pull {
                    number: *number,
                    sha: (*sha).into(),
                    ..Pull::default()
                })
                .collect(),
            ..Refs::default()
        });
        job
    }

    #[test]
    fn commits_do_not_count_and_all_else_does() {
        let presubmit = |name, base, pulls: &[_]| {
            SupersedeKey::from_job(&job(ProwJobType::Presubmit, name, base, pulls)).unwrap()
        };
        let first = presubmit("unit", "main", &[(1, "a")]);
        assert_eq!(first, presubmit("unit", "main", &[(1, "b")]));
        assert_ne!(first, presubmit("lint", "main", &[(1, "a")]));
        assert_ne!(first, presubmit("unit", "release", &[(1, "a")]));
        assert_ne!(first, presubmit("unit", "main", &[(2, "a")]));
        let mut extra = job(ProwJobType::Presubmit, "unit", "main", &[(1, "a")]);
        extra.spec.extra_refs.push(Refs::default());
        assert_ne!(first, SupersedeKey::from_job(&extra).unwrap());
    }

    #[test]
    fn only_presubmits_are_superseded() {
        for job_type in [
            ProwJobType::Postsubmit,
            ProwJobType::Periodic,
            ProwJobType::Batch,
        ] {
            assert_eq!(
                SupersedeKey::from_job(&job(job_type, "j", "main", &[])),
                None
            );
        }
    }
}
