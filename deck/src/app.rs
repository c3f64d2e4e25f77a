//! What every request works with.

use std::sync::Arc;

use common::config::LoadStatus;
use common::kube::Clusters;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::access::{Subject, Viewer, may_view};
use crate::assets::Assets;
use crate::buckets::{Buckets, Place};
use crate::index::{Index, Job};
use crate::logs::{Lookouts, Scans};
use crate::metrics::Metrics;
use crate::runner::Runners;
use crate::settings::{Present, Settings};
use crate::upload::Uploads;
use crate::view::{Frame, Trouble};

/// Endless answers (events, followed logs) at once, all viewers together.
const STREAMS: usize = 1000;

pub(crate) struct App {
    pub(crate) index: Arc<Index>,
    pub(crate) clusters: Clusters,
    pub(crate) buckets: Buckets,
    pub(crate) uploads: Option<Uploads>,
    /// Who looks for more of the logs that are followed.
    pub(crate) lookouts: Lookouts,
    /// Large logs that were read to their end.
    pub(crate) scans: Scans,
    pub(crate) runners: Runners,
    pub(crate) assets: Assets,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
    /// One permit for each endless answer.
    pub(crate) streams: Arc<Semaphore>,
    /// Tells this process's revisions from an earlier one's.
    pub(crate) boot: String,
    pub(crate) present: Arc<Present>,
    pub(crate) load_status: watch::Receiver<LoadStatus>,
    pub(crate) viewer: Viewer,
}

impl App {
    pub(crate) fn streams() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(STREAMS))
    }

    /// What is around every page.
    pub(crate) fn frame(&self) -> Frame {
        Frame {
            version: self.assets.version.clone(),
            trouble: Trouble::of(&self.load_status.borrow(), Timestamp::now()),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.present.get()
    }

    /// The question of [`may_view`], with everything but the job filled in.
    pub(crate) fn may_view(&self, job: &Job) -> bool {
        self.may_view_subject(&job.subject())
    }

    pub(crate) fn may_view_subject(&self, subject: &Subject<'_>) -> bool {
        may_view(&self.viewer, &self.settings().hidden_repos, subject)
    }

    /// The same for a whole listing: the settings are taken once.
    pub(crate) fn viewing(&self) -> impl Fn(&Job) -> bool {
        let settings = self.settings();
        move |job| may_view(&self.viewer, &settings.hidden_repos, &job.subject())
    }

    /// A run that may be seen, by build id or by its `ProwJob`'s name.
    pub(crate) fn run(&self, job: &str, id: &str) -> Option<Arc<Job>> {
        let named = || self.index.by_name(id).filter(|run| run.job.as_ref() == job);
        self.index
            .by_build(job, id)
            .or_else(named)
            .filter(|run| self.may_view(run))
    }

    /// The folder of the run's logs and artifacts. `None`: it is not decorated, not yet claimed, or
    /// its bucket may not be opened.
    pub(crate) fn place_of(&self, job: &Job) -> anyhow::Result<Option<Place>> {
        let (Some(bucket), Some(folder)) = (&job.bucket, &job.folder) else {
            return Ok(None);
        };
        let Ok(bucket) = self.settings().allowed.open_to(bucket) else {
            return Ok(None);
        };
        Ok(Some(Place {
            storage: self.buckets.open(&bucket)?,
            key: folder.to_string(),
            bucket: bucket.view_path(),
        }))
    }
}
