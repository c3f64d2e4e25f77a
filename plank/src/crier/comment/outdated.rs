//! Rows of jobs that a later push has removed or renamed: nobody could run them any more. Pure.

use std::collections::BTreeSet;

use common::{
    config::Presubmit,
    prowjob::{ProwJob, Pull, labels},
};

use super::{format_cell, own_comments, row_name, table_rows};
use common::github::IssueComment;

/// Where the jobs of a pull request come from.
#[derive(Clone, Copy, Debug)]
pub struct PresubmitOrigin<'a> {
    /// Jobs of the central configuration that run on its base branch.
    pub central: &'a [&'a Presubmit],
    /// There may be others: the repository may have its own jobs, or crier was given no job files.
    pub may_have_others: bool,
}

impl PresubmitOrigin<'_> {
    fn has_central_job(&self, name: &str) -> bool {
        self.central.iter().any(|job| is_named(&job.context, name))
    }
}

/// Names of rows that may have to go: of no central job, and of another commit than the newest of
/// `jobs`, which are reported now.
pub fn find_outdated_candidates(
    comments: &[IssueComment],
    bot: &str,
    jobs: &[&ProwJob],
    origin: &PresubmitOrigin<'_>,
) -> BTreeSet<String> {
    let newest = jobs.iter().max_by_key(|job| creation_order(job));
    let Some(head) = newest.and_then(|job| first_pull(job)) else {
        return BTreeSet::new();
    };
    let rows = own_comments(comments, bot).flat_map(|comment| table_rows(&comment.body));
    let old_rows = rows.filter(|row| row_commit(row).is_some_and(|commit| commit != head.sha));
    let old_jobs = jobs.iter().filter(|job| !is_at_commit(job, &head.sha));
    old_rows
        .map(|row| row_name(row).to_owned())
        .chain(old_jobs.map(|job| format_cell(&job.spec.context)))
        .filter(|name| !origin.has_central_job(name))
        .collect()
}

/// The candidates that go. `runs` are the runs of the pull request that still exist.
///
/// All go if the central configuration has all jobs there are. Else only those go that ran
/// automatically on an earlier commit, did not on the newest, and were not requested there: what
/// somebody requests is not expected to run on each commit.
pub fn find_outdated_rows(
    suspects: BTreeSet<String>,
    runs: &[ProwJob],
    origin: &PresubmitOrigin<'_>,
) -> BTreeSet<String> {
    if !origin.may_have_others {
        return suspects;
    }
    let newest = runs.iter().max_by_key(|run| creation_order(run));
    let Some(head) = newest.and_then(first_pull).map(|pull| pull.sha.as_str()) else {
        return BTreeSet::new();
    };
    let at_head = auto_started_contexts(runs, head);
    let commits: BTreeSet<&str> = runs
        .iter()
        .filter_map(first_pull)
        .map(|pull| &*pull.sha)
        .collect();
    let before: Vec<BTreeSet<&str>> = commits
        .into_iter()
        .filter(|commit| *commit != head)
        .map(|commit| auto_started_contexts(runs, commit))
        // Two pushes have a job in common, or one of the events was no push.
        .filter(|contexts| !contexts.is_disjoint(&at_head))
        .collect();
    let has = |contexts: &BTreeSet<&str>, name: &str| contexts.iter().any(|it| is_named(it, name));
    let asked_for = |name: &str| {
        let mut at_head = runs.iter().filter(|run| is_at_commit(run, head));
        at_head.any(|run| is_named(&run.spec.context, name))
    };
    let mut all = suspects;
    all.retain(|name| before.iter().any(|contexts| has(contexts, name)) && !asked_for(name));
    all
}

/// The contexts that the first event of a commit has started: its push, unless nothing runs before
/// somebody requests it.
fn auto_started_contexts<'a>(runs: &'a [ProwJob], commit: &str) -> BTreeSet<&'a str> {
    let of_event = |run: &&'a ProwJob| is_at_commit(run, commit) && event_guid(run).is_some();
    let all = || runs.iter().filter(of_event);
    let first = all()
        .min_by_key(|run| creation_order(run))
        .and_then(event_guid);
    let started = all().filter(|run| event_guid(run) == first);
    started.map(|run| run.spec.context.as_str()).collect()
}

fn is_at_commit(run: &ProwJob, commit: &str) -> bool {
    first_pull(run).is_some_and(|pull| pull.sha == commit)
}

fn first_pull(run: &ProwJob) -> Option<&Pull> {
    run.spec.refs.as_ref()?.pulls.first()
}

fn event_guid(run: &ProwJob) -> Option<&str> {
    let labels = run.metadata.labels.as_ref()?;
    labels.get(labels::EVENT_GUID).map(String::as_str)
}

/// Kubernetes gives ages in seconds; within one second, build ids rise.
fn creation_order(run: &ProwJob) -> Option<(jiff::Timestamp, Option<u64>)> {
    let time = run.metadata.creation_timestamp.as_ref()?.0;
    let status = run.status.as_ref();
    Some((time, status.and_then(|status| status.build_id.parse().ok())))
}

fn is_named(context: &str, name: &str) -> bool {
    context == name || format_cell(context) == name
}

fn row_commit(row: &str) -> Option<&str> {
    row.split(super::CELL).nth(1)
}

#[cfg(test)]
mod tests;
