//! What templates are filled with: words, links and times, made from jobs.

mod extent;
mod frame;
mod links;
mod standing;
mod time;

use std::sync::Arc;

use askama::Template;
use common::prowjob::{ProwJobState, ProwJobType};
use jiff::Timestamp;

pub(crate) use extent::{WIDE, extent, size};
pub(crate) use frame::{Frame, Trouble};
pub(crate) use links::{Links, encode_path, encode_query, page_of};
pub(crate) use standing::Standing;
use standing::is_telling;
pub(crate) use time::{absolute, clock, duration, relative};

use crate::index::{Job, PullRequest};

/// A state in words and with a sign of its own: colour alone tells nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateView {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) sign: &'static str,
}

impl StateView {
    pub(crate) const fn of(state: ProwJobState) -> Self {
        let (label, sign) = match state {
            ProwJobState::Scheduling => ("Scheduling", "◌"),
            ProwJobState::Triggered => ("Triggered", "○"),
            ProwJobState::Pending => ("Pending", "◐"),
            ProwJobState::Success => ("Success", "✓"),
            ProwJobState::Failure => ("Failure", "✕"),
            ProwJobState::Aborted => ("Aborted", "⊘"),
            ProwJobState::Error => ("Error", "!"),
        };
        Self {
            name: state.as_str(),
            label,
            sign,
        }
    }
}

pub(crate) const KINDS: [ProwJobType; 4] = [
    ProwJobType::Presubmit,
    ProwJobType::Postsubmit,
    ProwJobType::Periodic,
    ProwJobType::Batch,
];

/// Text that may lead somewhere; without a target it is text alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) href: String,
}

/// What a job ran on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revision {
    /// `#7`, or a branch.
    pub(crate) name: Link,
    pub(crate) title: String,
    /// Seven digits.
    pub(crate) commit: Link,
    pub(crate) author: Link,
}

/// A point in time, three ways.
#[derive(Clone, Debug)]
pub(crate) struct TimeView {
    pub(crate) iso: String,
    pub(crate) absolute: String,
    pub(crate) relative: String,
}

impl TimeView {
    pub(crate) fn of(time: Timestamp, now: Timestamp) -> Self {
        Self {
            iso: iso(time),
            absolute: absolute(time),
            relative: relative(time, now),
        }
    }
}

fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One line of the list.
#[derive(Debug, Template)]
#[template(path = "row.html")]
pub(crate) struct Row {
    /// Of the `ProwJob`.
    name: Arc<str>,
    state: StateView,
    job: Arc<str>,
    href: String,
    kind: &'static str,
    description: Arc<str>,
    repository: Option<Link>,
    revisions: Vec<Revision>,
    started: TimeView,
    /// Sorts the lines.
    second: i64,
    took: String,
    running: bool,
}

impl Row {
    pub(crate) fn of(job: &Job, links: &Links<'_>, now: Timestamp) -> Self {
        Self {
            name: job.name.clone(),
            state: Standing::of(job, now).state,
            job: job.title(),
            href: page_of(job),
            kind: job.kind.as_str(),
            description: if is_telling(&job.description) {
                job.description.clone()
            } else {
                "".into()
            },
            repository: links.repository(job),
            revisions: revisions(job, links),
            started: TimeView::of(job.started, now),
            second: job.started.as_second(),
            took: duration(job.started, job.completed.unwrap_or(now)),
            running: !job.is_complete(),
        }
    }
}

/// The pull requests, else the branch.
pub(crate) fn revisions(job: &Job, links: &Links<'_>) -> Vec<Revision> {
    let pull = |pull: &PullRequest| Revision {
        name: Link {
            text: format!("#{}", pull.number),
            href: links.pull(job, pull),
        },
        title: pull.title.to_string(),
        commit: Link {
            text: short(&pull.sha),
            href: links.pull_commit(job, pull),
        },
        author: Link {
            text: pull.author.to_string(),
            href: links.author(pull),
        },
    };
    if !job.pulls.is_empty() {
        return job.pulls.iter().map(pull).collect();
    }
    let Some(repository) = job
        .repository
        .as_ref()
        .filter(|repository| !repository.base_ref.is_empty())
    else {
        return Vec::new();
    };
    vec![Revision {
        name: Link {
            text: repository.base_ref.to_string(),
            href: links.branch(repository),
        },
        commit: Link {
            text: short(&repository.base_sha),
            href: links.commit(repository),
        },
        ..Revision::default()
    }]
}

fn short(sha: &str) -> String {
    sha.chars().take(7).collect()
}

/// What is known of one run; the live page gets it anew with every change.
#[derive(Debug, Template)]
#[template(path = "facts.html")]
pub(crate) struct Facts {
    standing: Standing,
    job: Arc<str>,
    kind: &'static str,
    repository: Option<Link>,
    revisions: Vec<Revision>,
    started: TimeView,
    second: i64,
    finished: Option<TimeView>,
    took: String,
    running: bool,
    build_id: Arc<str>,
    cluster: Arc<str>,
    pod_name: Arc<str>,
    /// From 1, of a job that waits for a limit.
    place_in_line: Option<usize>,
    /// The page of the newer run that took its place.
    newer: Option<String>,
    /// The `ProwJob` still exists, under this name.
    yaml: Option<Arc<str>>,
}

/// What is known of a run beside its own object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) exists: bool,
    pub(crate) place_in_line: Option<usize>,
}

impl Facts {
    pub(crate) fn of(job: &Job, links: &Links<'_>, now: Timestamp, beside: Beside) -> Self {
        let newer = job.superseded_by.as_deref();
        Self {
            place_in_line: beside.place_in_line,
            newer: newer.map(|name| {
                format!(
                    "/view/prowjob/{}",
                    encode_path(&format!("{}/{name}", job.job))
                )
            }),
            standing: Standing::of(job, now),
            job: job.job.clone(),
            kind: job.kind.as_str(),
            repository: links.repository(job),
            revisions: revisions(job, links),
            started: TimeView::of(job.started, now),
            second: job.started.as_second(),
            finished: job.completed.map(|time| TimeView::of(time, now)),
            took: duration(job.started, job.completed.unwrap_or(now)),
            running: !job.is_complete(),
            build_id: job.build_id.clone(),
            cluster: job.cluster.clone(),
            pod_name: job.pod_name.clone(),
            yaml: beside.exists.then(|| job.name.clone()),
        }
    }
}
