//! Writes `prev_report_states`, which says what was reported.

use std::{sync::Arc, time::Duration};

use common::prowjob::ProwJob;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::{FinishedTask, PREV_STATES_GRACE, PrevReportStates, ReportWorker};
use crate::crier::{controller::CrierController, reporter::ReportError};

/// The time limit of that write.
const PREV_STATES_TIMEOUT: Duration = Duration::from_secs(30);

impl ReportWorker {
    pub(super) fn start_prev_states_write(
        &mut self,
        now: Instant,
    ) -> Option<BoxFuture<'static, FinishedTask>> {
        let news = self.news.as_ref()?;
        let marks = self.unwritten_states();
        let none = self.crier.ctx.settings.dry_run || news.gone;
        if none || self.marking.running || marks.is_empty() {
            return None;
        }
        let closing = self.crier.shutdown.is_cancelled();
        let since = *self.marking.since.get_or_insert(now);
        let ripe =
            closing || !self.has_pending_report(&news.job) || now >= since + PREV_STATES_GRACE;
        if !ripe || self.marking.not_before > Some(now) {
            return None;
        }
        self.marking.running = true;
        self.marking.since = None;
        let (crier, job) = (Arc::clone(&self.crier), Arc::clone(&news.job));
        Some(Box::pin(async move {
            let result = write_prev_report_states(&crier, &job, &marks).await;
            FinishedTask::Marks(job, marks, result)
        }))
    }

    pub(super) fn finish_prev_states_write(
        &mut self,
        job: &ProwJob,
        marks: PrevReportStates,
        result: Result<(), ReportError>,
    ) {
        let mine = self.is_same_job(job);
        let marking = &mut self.marking;
        marking.running = false;
        match result {
            Ok(()) => {
                marking.failures = 0;
                marking.not_before = None;
                if mine {
                    marking.written.extend(marks);
                }
            }
            Err(error) => {
                let wait = error.retry_after(marking.failures, Timestamp::now());
                marking.failures = marking.failures.saturating_add(1);
                marking.not_before = Some(Instant::now() + wait);
                tracing::warn!(
                    prowjob = job.name_any(),
                    job = job.spec.job,
                    "marking what was reported failed, trying again: {error:#}"
                );
            }
        }
    }
}

/// Writes reported states to this object and to no other of its name. Without a resourceVersion:
/// other writers of the object write other fields.
async fn write_prev_report_states(
    crier: &CrierController,
    job: &ProwJob,
    marks: &PrevReportStates,
) -> Result<(), ReportError> {
    crier.ctx.fence.check_leading()?;
    let patch = Patch::Merge(json!({
        "metadata": {"uid": job.uid()},
        "status": {"prev_report_states": marks},
    }));
    let namespace = job.namespace().unwrap_or_default();
    let api: Api<ProwJob> = Api::namespaced(crier.ctx.clusters.infra().clone(), &namespace);
    let (name, params) = (job.name_any(), PatchParams::default());
    let written = api.patch_metadata(&name, &params, &patch);
    match tokio::time::timeout(PREV_STATES_TIMEOUT, written).await {
        Err(_) => Err(ReportError::TimedOut),
        // It was deleted, or another has its name now.
        Ok(Err(kube::Error::Api(status))) if [404, 409].contains(&status.code) => Ok(()),
        Ok(done) => Ok(done.map(drop)?),
    }
}
