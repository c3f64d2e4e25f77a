//! The state that all request handlers share.

use std::sync::Arc;

use common::config::LoadStatus;
use common::kube::ClusterClients;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::access::{AccessSubject, Viewer, may_view};
use crate::assets::Assets;
use crate::buckets::{BucketCache, StorageLocation};
use crate::embedded_clusters::EmbeddedClusters;
use crate::index::{IndexedJob, JobIndex};
use crate::logs::{PieceWatchers, ScanCache};
use crate::metrics::DeckMetrics;
use crate::settings::{CurrentSettings, DeckSettings};
use crate::upload::Uploads;
use crate::view::{ConfigBanner, DeckLayout};

/// Maximum number of open streams (events, followed logs), of all viewers together.
const MAX_STREAMS: usize = 1000;

pub(crate) struct DeckState {
    pub(crate) index: Arc<JobIndex>,
    pub(crate) clusters: ClusterClients,
    pub(crate) buckets: BucketCache,
    pub(crate) uploads: Option<Uploads>,
    /// Watchers that poll storage for new pieces of followed logs.
    pub(crate) lookouts: PieceWatchers,
    /// Results of reading large stored logs to their end.
    pub(crate) scans: ScanCache,
    pub(crate) runners: EmbeddedClusters,
    pub(crate) assets: Assets,
    pub(crate) metrics: DeckMetrics,
    pub(crate) shutdown: CancellationToken,
    /// One permit for each open stream.
    pub(crate) streams: Arc<Semaphore>,
    /// Distinguishes this process's revisions from those of an earlier one.
    pub(crate) boot: String,
    pub(crate) present: Arc<CurrentSettings>,
    pub(crate) load_status: watch::Receiver<LoadStatus>,
    pub(crate) viewer: Viewer,
}

impl DeckState {
    pub(crate) fn stream_permits() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_STREAMS))
    }

    /// The layout around every page.
    pub(crate) fn page_layout(&self) -> DeckLayout {
        DeckLayout {
            version: self.assets.version.clone(),
            trouble: ConfigBanner::from_status(&self.load_status.borrow(), Timestamp::now()),
        }
    }

    pub(crate) fn current_settings(&self) -> Arc<DeckSettings> {
        self.present.get()
    }

    /// [`may_view`] for this Deck's viewer and hidden repositories.
    pub(crate) fn may_view(&self, job: &IndexedJob) -> bool {
        self.may_view_subject(&job.access_subject())
    }

    pub(crate) fn may_view_subject(&self, subject: &AccessSubject<'_>) -> bool {
        may_view(&self.viewer, &self.current_settings().hidden_repos, subject)
    }

    /// The same for a whole listing: the settings are read once.
    pub(crate) fn view_filter(&self) -> impl Fn(&IndexedJob) -> bool {
        let settings = self.current_settings();
        move |job| may_view(&self.viewer, &settings.hidden_repos, &job.access_subject())
    }

    /// The run with this build id or `ProwJob` name, if the viewer may see it.
    pub(crate) fn find_run(&self, job: &str, id: &str) -> Option<Arc<IndexedJob>> {
        let named = || {
            self.index
                .find_by_name(id)
                .filter(|run| run.job.as_ref() == job)
        };
        self.index
            .find_by_build(job, id)
            .or_else(named)
            .filter(|run| self.may_view(run))
    }

    /// The folder of the run's logs and artifacts. `None`: the job is not decorated, the run has no
    /// build id yet, or its bucket may not be opened.
    pub(crate) fn locate_run_folder(
        &self,
        job: &IndexedJob,
    ) -> anyhow::Result<Option<StorageLocation>> {
        let (Some(bucket), Some(folder)) = (&job.bucket, &job.folder) else {
            return Ok(None);
        };
        let Ok(bucket) = self.current_settings().allowed.parse_allowed_bucket(bucket) else {
            return Ok(None);
        };
        Ok(Some(StorageLocation {
            storage: self.buckets.open_bucket(&bucket)?,
            key: folder.to_string(),
            bucket: bucket.view_path(),
        }))
    }
}
