//! The values that templates are filled with: texts, links and times, made from jobs.

mod frame;
mod links;
mod run_status;
mod sizes;
mod time;

use std::sync::Arc;

use askama::Template;
use common::prowjob::{ProwJobState, ProwJobType};
use jiff::Timestamp;

pub(crate) use frame::{ConfigBanner, DeckLayout};
pub(crate) use links::{CodeHostLinks, encode_path, encode_query, job_page_url};
pub(crate) use run_status::RunStatus;
use run_status::is_informative;
pub(crate) use sizes::{WIDE_LINE_NUMBER, format_bytes, format_log_size};
pub(crate) use time::{format_absolute, format_clock, format_duration, format_relative};

use crate::index::{IndexedJob, JobPullRequest};

/// A state as a label and a sign: colour alone would not be enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateView {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) sign: &'static str,
}

impl StateView {
    pub(crate) const fn from_state(state: ProwJobState) -> Self {
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

pub(crate) const JOB_TYPES: [ProwJobType; 4] = [
    ProwJobType::Presubmit,
    ProwJobType::Postsubmit,
    ProwJobType::Periodic,
    ProwJobType::Batch,
];

/// Text with a link; without `href` it is text alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ViewLink {
    pub(crate) text: String,
    pub(crate) href: String,
}

/// A revision that a job ran on.
#[derive(Clone, Debug, Default)]
pub(crate) struct RevisionView {
    /// `#7`, or a branch.
    pub(crate) name: ViewLink,
    pub(crate) title: String,
    /// The first seven digits of the SHA.
    pub(crate) commit: ViewLink,
    pub(crate) author: ViewLink,
}

/// A point in time, in three forms.
#[derive(Clone, Debug)]
pub(crate) struct TimeView {
    pub(crate) iso: String,
    pub(crate) absolute: String,
    pub(crate) relative: String,
}

impl TimeView {
    pub(crate) fn from_time(time: Timestamp, now: Timestamp) -> Self {
        Self {
            iso: format_iso(time),
            absolute: format_absolute(time),
            relative: format_relative(time, now),
        }
    }
}

fn format_iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One row of the list.
#[derive(Debug, Template)]
#[template(path = "row.html")]
pub(crate) struct JobRow {
    /// Name of the `ProwJob`.
    name: Arc<str>,
    state: StateView,
    job: Arc<str>,
    href: String,
    kind: &'static str,
    description: Arc<str>,
    repository: Option<ViewLink>,
    revisions: Vec<RevisionView>,
    started: TimeView,
    /// Sorts the rows.
    second: i64,
    took: String,
    running: bool,
}

impl JobRow {
    pub(crate) fn from_job(job: &IndexedJob, links: &CodeHostLinks<'_>, now: Timestamp) -> Self {
        Self {
            name: job.name.clone(),
            state: RunStatus::from_job(job, now).state,
            job: job.display_title(),
            href: job_page_url(job),
            kind: job.kind.as_str(),
            description: if is_informative(&job.description) {
                job.description.clone()
            } else {
                "".into()
            },
            repository: links.repository_link(job),
            revisions: list_revisions(job, links),
            started: TimeView::from_time(job.started, now),
            second: job.started.as_second(),
            took: format_duration(job.started, job.completed.unwrap_or(now)),
            running: !job.is_complete(),
        }
    }
}

/// The revisions of the pull requests, or else of the branch.
pub(crate) fn list_revisions(job: &IndexedJob, links: &CodeHostLinks<'_>) -> Vec<RevisionView> {
    let pull = |pull: &JobPullRequest| RevisionView {
        name: ViewLink {
            text: format!("#{}", pull.number),
            href: links.pull_url(job, pull),
        },
        title: pull.title.to_string(),
        commit: ViewLink {
            text: short_sha(&pull.sha),
            href: links.pull_commit_url(job, pull),
        },
        author: ViewLink {
            text: pull.author.to_string(),
            href: links.author_url(pull),
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
    vec![RevisionView {
        name: ViewLink {
            text: repository.base_ref.to_string(),
            href: links.branch_url(repository),
        },
        commit: ViewLink {
            text: short_sha(&repository.base_sha),
            href: links.commit_url(repository),
        },
        ..RevisionView::default()
    }]
}

fn short_sha(sha: &str) -> String {
    sha.chars().take(7).collect()
}

/// What is known of one run; the live page gets it again with every change.
#[derive(Debug, Template)]
#[template(path = "facts.html")]
pub(crate) struct RunDetails {
    standing: RunStatus,
    job: Arc<str>,
    kind: &'static str,
    repository: Option<ViewLink>,
    revisions: Vec<RevisionView>,
    started: TimeView,
    second: i64,
    finished: Option<TimeView>,
    took: String,
    running: bool,
    build_id: Arc<str>,
    cluster: Arc<str>,
    pod_name: Arc<str>,
    /// Queue position, from 1, of a job that waits for a limit.
    place_in_line: Option<usize>,
    /// The page of the newer run that superseded this one.
    newer: Option<String>,
    /// Name of the `ProwJob`, if it still exists.
    yaml: Option<Arc<str>>,
}

/// What is known of a run besides its own object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunExtras {
    pub(crate) exists: bool,
    pub(crate) place_in_line: Option<usize>,
}

impl RunDetails {
    pub(crate) fn from_job(
        job: &IndexedJob,
        links: &CodeHostLinks<'_>,
        now: Timestamp,
        beside: RunExtras,
    ) -> Self {
        let newer = job.superseded_by.as_deref();
        Self {
            place_in_line: beside.place_in_line,
            newer: newer.map(|name| {
                format!(
                    "/view/prowjob/{}",
                    encode_path(&format!("{}/{name}", job.job))
                )
            }),
            standing: RunStatus::from_job(job, now),
            job: job.job.clone(),
            kind: job.kind.as_str(),
            repository: links.repository_link(job),
            revisions: list_revisions(job, links),
            started: TimeView::from_time(job.started, now),
            second: job.started.as_second(),
            finished: job.completed.map(|time| TimeView::from_time(time, now)),
            took: format_duration(job.started, job.completed.unwrap_or(now)),
            running: !job.is_complete(),
            build_id: job.build_id.clone(),
            cluster: job.cluster.clone(),
            pod_name: job.pod_name.clone(),
            yaml: beside.exists.then(|| job.name.clone()),
        }
    }
}
