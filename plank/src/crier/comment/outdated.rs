//! Rows of jobs that a later push has removed or renamed: nobody could run them any more. Pure.

use std::collections::BTreeSet;

use common::{
    config::Presubmit,
    prowjob::{ProwJob, Pull, labels},
};

use super::{cell, name_of, ours, table};
use common::github::IssueComment;

/// Where the jobs of a pull request come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Those of the central configuration that run on its base branch.
    pub central: &'a [&'a Presubmit],
    /// There may be others: its repository may have jobs of its own, or crier was given no job files.
    pub may_have_others: bool,
}

impl Origin<'_> {
    fn knows(&self, name: &str) -> bool {
        self.central.iter().any(|job| is_named(&job.context, name))
    }
}

/// Names of rows that may have to go: of no central job, and of another commit than the newest of
/// `jobs`, which are told now.
pub fn suspects(
    comments: &[IssueComment],
    bot: &str,
    jobs: &[&ProwJob],
    origin: &Origin<'_>,
) -> BTreeSet<String> {
    let newest = jobs.iter().max_by_key(|job| created(job));
    let Some(head) = newest.and_then(|job| pull(job)) else {
        return BTreeSet::new();
    };
    let rows = ours(comments, bot).flat_map(|comment| table(&comment.body));
    let old_rows = rows.filter(|row| commit_of(row).is_some_and(|commit| commit != head.sha));
    let old_jobs = jobs.iter().filter(|job| !is_at(job, &head.sha));
    old_rows
        .map(|row| name_of(row).to_owned())
        .chain(old_jobs.map(|job| cell(&job.spec.context)))
        .filter(|name| !origin.knows(name))
        .collect()
}

/// Those of the suspects that go. `runs` are the runs of the pull request that are still there.
///
/// All go where the central configuration has all jobs there are. Else only what ran by itself on
/// an earlier commit, did not on the newest, and was not asked for there: what somebody asks for is
/// not expected to run on each commit.
pub fn outdated(
    suspects: BTreeSet<String>,
    runs: &[ProwJob],
    origin: &Origin<'_>,
) -> BTreeSet<String> {
    if !origin.may_have_others {
        return suspects;
    }
    let newest = runs.iter().max_by_key(|run| created(run));
    let Some(head) = newest.and_then(pull).map(|pull| pull.sha.as_str()) else {
        return BTreeSet::new();
    };
    let at_head = by_itself(runs, head);
    let commits: BTreeSet<&str> = runs
        .iter()
        .filter_map(pull)
        .map(|pull| &*pull.sha)
        .collect();
    let before: Vec<BTreeSet<&str>> = commits
        .into_iter()
        .filter(|commit| *commit != head)
        .map(|commit| by_itself(runs, commit))
        // Two pushes start something in common, or one of them was none.
        .filter(|contexts| !contexts.is_disjoint(&at_head))
        .collect();
    let has = |contexts: &BTreeSet<&str>, name: &str| contexts.iter().any(|it| is_named(it, name));
    let asked_for = |name: &str| {
        let mut at_head = runs.iter().filter(|run| is_at(run, head));
        at_head.any(|run| is_named(&run.spec.context, name))
    };
    let mut all = suspects;
    all.retain(|name| before.iter().any(|contexts| has(contexts, name)) && !asked_for(name));
    all
}

/// The contexts of what the first event of a commit has started: its push, unless nothing runs
/// before somebody asks.
fn by_itself<'a>(runs: &'a [ProwJob], commit: &str) -> BTreeSet<&'a str> {
    let of_event = |run: &&'a ProwJob| is_at(run, commit) && event(run).is_some();
    let all = || runs.iter().filter(of_event);
    let first = all().min_by_key(|run| created(run)).and_then(event);
    let started = all().filter(|run| event(run) == first);
    started.map(|run| run.spec.context.as_str()).collect()
}

fn is_at(run: &ProwJob, commit: &str) -> bool {
    pull(run).is_some_and(|pull| pull.sha == commit)
}

fn pull(run: &ProwJob) -> Option<&Pull> {
    run.spec.refs.as_ref()?.pulls.first()
}

fn event(run: &ProwJob) -> Option<&str> {
    let labels = run.metadata.labels.as_ref()?;
    labels.get(labels::EVENT_GUID).map(String::as_str)
}

/// Kubernetes tells the age of objects in seconds; within one, build ids rise.
fn created(run: &ProwJob) -> Option<(jiff::Timestamp, Option<u64>)> {
    let time = run.metadata.creation_timestamp.as_ref()?.0;
    let status = run.status.as_ref();
    Some((time, status.and_then(|status| status.build_id.parse().ok())))
}

fn is_named(context: &str, name: &str) -> bool {
    context == name || cell(context) == name
}

fn commit_of(row: &str) -> Option<&str> {
    row.split(super::CELL).nth(1)
}

#[cfg(test)]
mod tests;
