//! What the sample's jobs are expected to do, and whether they did.

use common::prowjob::ProwJobState::{self, Failure, Success};

use super::jobs::{Job, Jobs};

/// Jobs of the sample's pull request, and how each ends; `None`: it must not run.
pub(super) const PRESUBMITS: [(&str, Option<ProwJobState>); 4] = [
    ("unit-test", Some(Success)),
    ("fails-on-purpose", Some(Failure)),
    ("style", Some(Success)),
    ("docs", None),
];

/// Jobs of the sample's merge.
pub(super) const POSTSUBMITS: [(&str, Option<ProwJobState>); 1] = [("publish", Some(Success))];

/// One line of the table at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) job: String,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Line {
    pub(super) fn holds(&self) -> bool {
        self.expected == self.found
    }
}

/// The jobs on commit `sha`.
pub(super) fn on<'a>(jobs: &'a Jobs, sha: &'a str) -> impl Iterator<Item = &'a Job> {
    jobs.values().filter(move |job| job.sha == sha)
}

/// Whether every job that is expected to run on `sha` has ended, and every other that does.
pub(super) fn ended(jobs: &Jobs, sha: &str, expected: &[(&str, Option<ProwJobState>)]) -> bool {
    let has_ended = |name: &str| on(jobs, sha).any(|job| job.name == name && job.complete);
    expected
        .iter()
        .all(|(name, state)| state.is_none() || has_ended(name))
        && on(jobs, sha).all(|job| job.complete)
}

/// Expected against found, job by job; a job that nobody expected is in it too.
pub(super) fn compare(
    jobs: &Jobs,
    sha: &str,
    expected: &[(&str, Option<ProwJobState>)],
) -> Vec<Line> {
    let text =
        |state: Option<ProwJobState>| state.map_or("not run".to_owned(), |state| state.to_string());
    let found = |name: &str| {
        on(jobs, sha)
            .filter(|job| job.name == name)
            .map(|job| job.state)
            .last()
    };
    let mut lines: Vec<Line> = expected
        .iter()
        .map(|(name, state)| Line {
            job: (*name).to_owned(),
            expected: text(*state),
            found: text(found(name)),
        })
        .collect();
    for job in on(jobs, sha).filter(|job| expected.iter().all(|(name, _)| *name != job.name)) {
        lines.push(Line {
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

    fn job(name: &str, state: ProwJobState) -> (String, Job) {
        let complete = !matches!(state, ProwJobState::Triggered | ProwJobState::Pending);
        let job = Job {
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
            let jobs = Jobs::from_iter(jobs);
            assert_eq!(ended(&jobs, "head", &expected), is_ended, "{what}");
            assert_eq!(
                compare(&jobs, "head", &expected).iter().all(Line::holds),
                holds,
                "{what}"
            );
        }
    }
}
