//! One run, as Deck keeps it.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use common::prowjob::{ProwJob, ProwJobState, ProwJobType, WAITING_PREFIX};
use jiff::Timestamp;

use super::convert::{self, StringInterner};
use super::prowjob_json::{OmitFields, ProwJobJson};

/// What lists and pages show of a `ProwJob`. Strings that many runs share are stored once.
#[derive(Debug)]
pub struct IndexedJob {
    /// Of the `ProwJob`.
    pub name: Arc<str>,
    pub job: Arc<str>,
    pub kind: ProwJobType,
    pub state: ProwJobState,
    /// The repository the job is about.
    pub repository: Option<JobRepository>,
    /// `org/repo` of every reference, the main one first.
    pub repos: Box<[Arc<str>]>,
    /// The main one is the job's own (`spec.refs`).
    pub(super) has_refs: bool,
    pub pulls: Box<[JobPullRequest]>,
    pub started: Timestamp,
    /// When its pod was made.
    pub pending: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    /// Empty until the run is claimed.
    pub build_id: Arc<str>,
    pub url: Box<str>,
    pub description: Arc<str>,
    pub pod_name: Arc<str>,
    /// Build cluster.
    pub cluster: Arc<str>,
    /// Containers of the test, by name.
    pub containers: Box<[Arc<str>]>,
    /// Its pod has a sidecar that stores what the test leaves.
    pub decorated: bool,
    /// That sidecar masks the pod's secrets (`censor_secrets: true`).
    pub censors: bool,
    /// The bucket of its logs; none when it is not decorated.
    pub bucket: Option<Arc<str>>,
    /// The folder of its logs and artifacts in that bucket; none until the run is claimed.
    pub folder: Option<Arc<str>>,
    /// `spec.hidden`; not yet whether a viewer may see it.
    pub hidden: bool,
    pub tenant: Arc<str>,
    /// The newer run that took this one's place.
    pub superseded_by: Option<Box<str>>,
    pub(super) body: ProwJobJson,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRepository {
    pub org: Arc<str>,
    pub repo: Arc<str>,
    /// May be empty.
    pub link: Arc<str>,
    pub base_ref: Arc<str>,
    pub base_sha: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPullRequest {
    pub number: u64,
    pub author: Arc<str>,
    pub sha: Arc<str>,
    pub title: Arc<str>,
    /// Each may be empty.
    pub link: Arc<str>,
    pub commit_link: Arc<str>,
    pub author_link: Arc<str>,
}

impl IndexedJob {
    /// Completion is told by its time alone, as everywhere in Prow.
    pub fn is_complete(&self) -> bool {
        self.completed.is_some()
    }

    /// What it is called on pages: whoever made it may have named no job.
    pub(crate) fn display_title(&self) -> Arc<str> {
        if self.job.is_empty() {
            self.name.clone()
        } else {
            self.job.clone()
        }
    }

    /// Whether it is in line for a limit that its description names.
    pub(super) fn is_queued(&self) -> bool {
        let triggered = self.state == ProwJobState::Triggered && !self.is_complete();
        triggered && self.description.starts_with(WAITING_PREFIX)
    }

    /// A job that is not in the index. `None` for an object without a name.
    pub(crate) fn new(object: &ProwJob) -> Option<Self> {
        StringInterner::default().build_job(object, convert::redacted_value(object)?)
    }

    /// Repositories of the job's own refs; of the others if it has none.
    pub(crate) fn own_repos(&self) -> &[Arc<str>] {
        if self.has_refs {
            &self.repos[..1]
        } else {
            &self.repos
        }
    }

    pub(crate) fn has_container(&self, name: &str) -> bool {
        self.containers
            .iter()
            .any(|container| container.as_ref() == name)
    }

    /// The whole object as JSON, without secrets and what `omit` names.
    pub fn to_json(&self, omit: OmitFields) -> String {
        let mut json = String::new();
        self.write_json(omit, &mut json);
        json
    }

    /// Appends [`IndexedJob::to_json`].
    pub(crate) fn write_json(&self, omit: OmitFields, out: &mut String) {
        self.body.write_json(omit, out);
    }

    /// Whether this is the very same version of the object, as after listing again.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        self.body == other.body
    }

    fn sort_key(&self) -> (Reverse<Timestamp>, &str, &str) {
        (Reverse(self.started), &self.job, &self.name)
    }
}

/// Newest first, then by job, as Prow sorts; the name makes it total.
impl Ord for IndexedJob {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for IndexedJob {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for IndexedJob {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key() == other.sort_key()
    }
}

impl Eq for IndexedJob {}
