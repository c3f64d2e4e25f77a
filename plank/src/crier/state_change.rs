//! The state that a job has come to, as reporters get it.

use std::sync::Arc;

use common::prowjob::ProwJob;
use kube::{Api, ResourceExt};
use tokio::sync::OnceCell;

use super::{
    CrierContext,
    report_details::{ReportDetails, gather_report_details},
    reporter::ReportError,
};

/// A job in a state. It is shared by all reporters of that state.
pub(crate) struct JobStateChange {
    /// The job as the watch shows it, without what [`super::controller`] prunes.
    pub(crate) job: Arc<ProwJob>,
    /// The object was deleted, and `job` is its final state.
    pub(crate) gone: bool,
    ctx: Arc<CrierContext>,
    whole: OnceCell<Option<Arc<ProwJob>>>,
    prepared: Arc<OnceCell<Arc<ReportDetails>>>,
}

impl JobStateChange {
    pub(super) fn new(job: Arc<ProwJob>, ctx: Arc<CrierContext>, gone: bool) -> Self {
        Self {
            job,
            gone,
            ctx,
            whole: OnceCell::new(),
            prepared: Arc::default(),
        }
    }

    /// The same state, of an object that has changed otherwise.
    pub(super) fn with_job(&self, job: Arc<ProwJob>) -> Self {
        Self {
            prepared: Arc::clone(&self.prepared),
            ..Self::new(job, Arc::clone(&self.ctx), self.gone)
        }
    }

    /// The whole job as the API has it, read once; `None` if it is gone. Its state may be newer.
    pub(crate) async fn read_full_job(&self) -> Result<Option<Arc<ProwJob>>, ReportError> {
        let read = || async {
            let namespace = self.job.namespace().unwrap_or_default();
            let api: Api<ProwJob> = Api::namespaced(self.ctx.clusters.infra().clone(), &namespace);
            let job = api.get_opt(&self.job.name_any()).await?;
            Ok::<_, ReportError>(job.filter(|job| job.uid() == self.job.uid()).map(Arc::new))
        };
        self.whole.get_or_try_init(read).await.cloned()
    }

    /// What is computed about the job before it is reported, by the first reporter that needs it.
    pub(crate) async fn report_details(&self) -> Arc<ReportDetails> {
        let work = || async { Arc::new(gather_report_details(&self.ctx, self).await) };
        Arc::clone(self.prepared.get_or_init(work).await)
    }
}
