//! What the sample's jobs are expected to do, and whether they did.

use common::prowjob::ProwJobState::{self, Failure, Success};

use super::jobs::{DemoJob, DemoJobs};

/// The jobs of the sample's pull request, and how each ends; `None` means that it must not run.
pub(super) const PRESUBMITS: [(&str, Option<ProwJobState>); 4] = [
    ("unit-test", Some(Success)),
    ("fails-on-purpose", Some(Failure)),
    ("style", Some(Success)),
    ("docs", None),
];

/// The jobs that the sample's merge starts.
pub(super) const POSTSUBMITS: [(&str, Option<ProwJobState>); 1] = [("publish", Some(Success))];

/// One line of the table at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpectedJob {
    pub(super) job: String,
    pub(super) expected: String,
    pub(super) found: String,
}

impl ExpectedJob {
    pub(super) fn is_as_expected(&self) -> bool {
        self.expected == self.found
    }
}

/// The jobs on commit `sha`.
pub(super) fn jobs_on_commit<'a>(
    jobs: &'a DemoJobs,
    sha: &'a str,
) -> impl Iterator<Item = &'a DemoJob> {
    jobs.values().filter(move |job| job.sha == sha)
}

/// Whether every job that is expected on `sha` has ended, and every other job on it.
pub(super) fn have_jobs_ended(
    jobs: &DemoJobs,
    sha: &str,
    expected: &[(&str, Option<ProwJobState>)],
) -> bool {
    let has_ended =
        |name: &str| jobs_on_commit(jobs, sha).any(|job| job.name == name && job.complete);
    expected
        .iter()
        .all(|(name, state)| state.is_none() || has_ended(name))
        && jobs_on_commit(jobs, sha).all(|job| job.complete)
}

/// Compares expected and found results, job by job; unexpected jobs are included.
pub(super) fn compare_jobs(
    jobs: &DemoJobs,
    sha: &str,
    expected: &[(&str, Option<ProwJobState>)],
) -> Vec<ExpectedJob> {
    let text =
        |state: Option<ProwJobState>| state.map_or("not run".to_owned(), |state| state.to_string());
    let found = |name: &str| {
        jobs_on_commit(jobs, sha)
            .filter(|job| job.name == name)
            .map(|job| job.state)
            .last()
    };
    let mut lines: Vec<ExpectedJob> = expected
        .iter()
        .map(|(name, state)| ExpectedJob {
            job: (*name).to_owned(),
            expected: text(*state),
            found: text(found(name)),
        })
        .collect();
    for job in
        jobs_on_commit(jobs, sha).filter(|job| expected.iter().all(|(name, _)| *name != job.name))
    {
        lines.push(ExpectedJob {
            job: job.name.clone(),
            expected: text(None),
            found: job.state.to_string(),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, state: ProwJobState) -> (String, DemoJob) {
        let complete = !matches!(state, ProwJobState::Triggered | ProwJobState::Pending);
        let job = DemoJob {
            name: name.into(),
            state,
            complete,
            required: true,
            seconds: Some(1),
            url: String::new(),
            sha: "head".into(),
            subject: "#1".into(),
        };
        (name.into(), job)
    }

    #[test]
    fn every_job_counts() {
        let table = [
            (
                "as expected",
                vec![job("a", Success), job("b", Failure)],
                true,
                true,
            ),
            (
                "one runs",
                vec![job("a", Success), job("b", ProwJobState::Pending)],
                false,
                false,
            ),
            ("one is missing", vec![job("a", Success)], false, false),
            (
                "one ends otherwise",
                vec![job("a", Success), job("b", Success)],
                true,
                false,
            ),
            (
                "one too many",
                vec![job("a", Success), job("b", Failure), job("c", Success)],
                true,
                false,
            ),
        ];
        let expected = [("a", Some(Success)), ("b", Some(Failure)), ("c", None)];
        for (what, jobs, is_ended, holds) in table {
            let jobs = DemoJobs::from_iter(jobs);
            assert_eq!(
                have_jobs_ended(&jobs, "head", &expected),
                is_ended,
                "{what}"
            );
            assert_eq!(
                compare_jobs(&jobs, "head", &expected)
                    .iter()
                    .all(ExpectedJob::is_as_expected),
                holds,
                "{what}"
            );
        }
    }
}
