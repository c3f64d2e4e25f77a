//! One run, as the index keeps it.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use common::prowjob::{ProwJob, ProwJobState, ProwJobType, WAITING_PREFIX};
use jiff::Timestamp;

use super::convert::{self, StringInterner};
use super::prowjob_json::{OmitFields, ProwJobJson};

/// What lists and pages show of a `ProwJob`. Strings that many runs share are stored once.
#[derive(Debug)]
pub struct IndexedJob {
    /// Name of the `ProwJob`.
    pub name: Arc<str>,
    pub job: Arc<str>,
    pub kind: ProwJobType,
    pub state: ProwJobState,
    /// The repository of the main refs.
    pub repository: Option<JobRepository>,
    /// `org/repo` of all refs, the main ones first.
    pub repos: Box<[Arc<str>]>,
    /// Whether the main refs are the job's own (`spec.refs`).
    pub(super) has_refs: bool,
    pub pulls: Box<[JobPullRequest]>,
    pub started: Timestamp,
    /// When plank first claimed the run; its pod is created after that.
    pub pending: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    /// Empty until plank has claimed the run.
    pub build_id: Arc<str>,
    pub url: Box<str>,
    pub description: Arc<str>,
    pub pod_name: Arc<str>,
    /// Name of the build cluster.
    pub cluster: Arc<str>,
    /// Names of the test's containers.
    pub containers: Box<[Arc<str>]>,
    /// Whether its pod has a sidecar that stores log and artifacts.
    pub decorated: bool,
    /// Whether that sidecar censors the pod's secrets (`censor_secrets: true`).
    pub censors: bool,
    /// The bucket of its logs; `None` when it is not decorated.
    pub bucket: Option<Arc<str>>,
    /// The folder of its logs and artifacts in that bucket; `None` until it has a build id.
    pub folder: Option<Arc<str>>,
    /// `spec.hidden`; not the whole decision whether a viewer may see the job.
    pub hidden: bool,
    pub tenant: Arc<str>,
    /// Name of the newer run that superseded this one.
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
    /// Each link may be empty.
    pub link: Arc<str>,
    pub commit_link: Arc<str>,
    pub author_link: Arc<str>,
}

impl IndexedJob {
    /// A run is complete when it has a completion time, as everywhere in Prow.
    pub fn is_complete(&self) -> bool {
        self.completed.is_some()
    }

    /// The title on pages: the job, or the `ProwJob`'s name if its author named no job.
    pub(crate) fn display_title(&self) -> Arc<str> {
        if self.job.is_empty() {
            self.name.clone()
        } else {
            self.job.clone()
        }
    }

    /// Whether the job is queued for a limit that its description names.
    pub(super) fn is_queued(&self) -> bool {
        let triggered = self.state == ProwJobState::Triggered && !self.is_complete();
        triggered && self.description.starts_with(WAITING_PREFIX)
    }

    /// Converts an object that is not in the index. `None` for an object without a name.
    pub(crate) fn new(object: &ProwJob) -> Option<Self> {
        StringInterner::default().build_job(object, convert::redacted_value(object)?)
    }

    /// Repositories of the job's own refs, or of its extra refs if it has no own ones.
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

    /// The whole object as JSON, without secrets and without what `omit` names.
    pub fn to_json(&self, omit: OmitFields) -> String {
        let mut json = String::new();
        self.write_json(omit, &mut json);
        json
    }

    /// Appends the JSON of [`IndexedJob::to_json`].
    pub(crate) fn write_json(&self, omit: OmitFields, out: &mut String) {
        self.body.write_json(omit, out);
    }

    /// Whether both are the same version of the object, as after a new listing.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        self.body == other.body
    }

    fn sort_key(&self) -> (Reverse<Timestamp>, &str, &str) {
        (Reverse(self.started), &self.job, &self.name)
    }
}

/// Newest first, then by job, as Prow sorts; the name makes the order total.
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
