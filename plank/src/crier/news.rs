//! That a job has come to a state: what reporters are given.

use std::sync::Arc;

use common::prowjob::ProwJob;
use kube::{Api, ResourceExt};
use tokio::sync::OnceCell;

use super::{
    Context,
    prepare::{Prepared, prepare},
    reporter::Error,
};

/// A job in a state. It is shared by all reporters of that state.
pub(crate) struct News {
    /// The job as the watch shows it, without what [`super::controller`] prunes.
    pub(crate) job: Arc<ProwJob>,
    /// The object is deleted, and the job its obituary.
    pub(crate) gone: bool,
    ctx: Arc<Context>,
    whole: OnceCell<Option<Arc<ProwJob>>>,
    prepared: Arc<OnceCell<Arc<Prepared>>>,
}

impl News {
    pub(super) fn new(job: Arc<ProwJob>, ctx: Arc<Context>, gone: bool) -> Self {
        Self {
            job,
            gone,
            ctx,
            whole: OnceCell::new(),
            prepared: Arc::default(),
        }
    }

    /// The same state of an object that has changed otherwise.
    pub(super) fn again(&self, job: Arc<ProwJob>) -> Self {
        Self {
            prepared: Arc::clone(&self.prepared),
            ..Self::new(job, Arc::clone(&self.ctx), self.gone)
        }
    }

    /// The whole job as the API has it, read once; `None` if it is gone. It may have moved on.
    pub(crate) async fn whole(&self) -> Result<Option<Arc<ProwJob>>, Error> {
        let read = || async {
            let namespace = self.job.namespace().unwrap_or_default();
            let api: Api<ProwJob> = Api::namespaced(self.ctx.clusters.infra().clone(), &namespace);
            let job = api.get_opt(&self.job.name_any()).await?;
            Ok::<_, Error>(job.filter(|job| job.uid() == self.job.uid()).map(Arc::new))
        };
        self.whole.get_or_try_init(read).await.cloned()
    }

    /// What is worked out about the job before anyone is told, by whoever asks first.
    pub(crate) async fn prepared(&self) -> Arc<Prepared> {
        let work = || async { Arc::new(prepare(&self.ctx, self).await) };
        Arc::clone(self.prepared.get_or_init(work).await)
    }
}
