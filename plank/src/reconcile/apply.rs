//! Applies one step and records its result.

use std::{sync::Arc, time::Instant};

use common::{
    config::Config,
    prowjob::{ProwJob, ProwJobState},
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    Reconciler,
    reconcile_state::{ReconcileState, TokenAnswer},
};
use crate::{
    pods::BuildCluster,
    transition::{ProwJobChange, TransitionStep},
    writer::{ClusterWriteError, PodCreation, api_message, is_final_refusal},
};

/// Whether another step may follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepOutcome {
    Look,
    /// An event brings the next step, or there is nothing left to do.
    Rest,
}

impl Reconciler {
    pub(super) async fn apply_step(
        &self,
        step: &TransitionStep,
        sight: &mut ReconcileState,
        config: &Config,
        now: Timestamp,
    ) -> Result<StepOutcome, ClusterWriteError> {
        let name = sight.job.name_any();
        match (step, sight.cluster.clone()) {
            (TransitionStep::ReadJob, _) => {
                // A cache may lag behind; what cannot be taken back is decided on the API's job.
                let Some(current) = self.writer.read_job(&sight.job).await? else {
                    return Ok(StepOutcome::Rest);
                };
                sight.job = Arc::new(current);
                sight.is_fresh = true;
                Ok(StepOutcome::Look)
            }
            (TransitionStep::Change(change), _) => {
                self.apply_change(change, sight, config, now).await
            }
            (TransitionStep::Schedule, _) => {
                let section = &config.prow.scheduler;
                let cluster = self.scheduler.choose_cluster(section, &sight.job).await;
                let change = ProwJobChange::Schedule { cluster };
                self.apply_change(&change, sight, config, now).await?;
                // The workers of its cluster go on with it.
                Ok(match sight.answers.refused {
                    Some(_) => StepOutcome::Look,
                    None => StepOutcome::Rest,
                })
            }
            (TransitionStep::CreatePod, Some(cluster)) => {
                match self.writer.create_pod(&cluster, &sight.job, config).await? {
                    PodCreation::Pod(pod) => {
                        sight.pod = Some(Arc::new(*pod));
                        self.lock_memory().entry(name).or_default().created = Some(Instant::now());
                    }
                    PodCreation::Exists => sight.pod = cluster.read_pod(&name).await?,
                    PodCreation::Refused(why) => sight.answers.refused = Some(why),
                    PodCreation::Delayed { why, seconds } => {
                        sight.answers.delayed = Some(why.clone());
                        sight.answers.retry = Some(ClusterWriteError::Delayed { why, seconds });
                    }
                }
                Ok(StepOutcome::Look)
            }
            (TransitionStep::ReadEvents { pod_uid }, Some(cluster)) => {
                sight.answers.references = Some(cluster.find_missing_reference(pod_uid).await);
                Ok(StepOutcome::Look)
            }
            (TransitionStep::CreateToken { pod_uid }, Some(cluster)) => {
                self.create_token(&cluster, sight, pod_uid, config, now)
                    .await;
                Ok(StepOutcome::Look)
            }
            (TransitionStep::StopPod { uid }, Some(cluster)) => {
                let stopped = self.writer.stop_pod(&cluster, &name, uid).await;
                self.handle_pod_deletion(stopped, &cluster, sight, now)
                    .await
            }
            (TransitionStep::DeletePod { uid }, Some(cluster)) => {
                let deleted = self.writer.delete_pod(&cluster, &name, uid).await;
                self.handle_pod_deletion(deleted, &cluster, sight, now)
                    .await
            }
            (
                TransitionStep::ReplacePod {
                    uid,
                    is_held,
                    is_ending,
                },
                Some(cluster),
            ) => {
                let (held, ending) = (*is_held, *is_ending);
                let replaced = self
                    .writer
                    .replace_pod(&cluster, &name, uid, held, ending)
                    .await;
                self.handle_pod_deletion(replaced, &cluster, sight, now)
                    .await
            }
            (TransitionStep::Wait, _) | (_, None) => Ok(StepOutcome::Rest),
        }
    }

    async fn create_token(
        &self,
        cluster: &BuildCluster,
        sight: &mut ReconcileState,
        pod_uid: &str,
        config: &Config,
        now: Timestamp,
    ) {
        let job = &sight.job;
        let created = self
            .writer
            .create_storage_secret(cluster, job, pod_uid, config, now)
            .await;
        match created {
            Ok(()) => {
                let mut memory = self.lock_memory();
                memory.entry(job.name_any()).or_default().token_of = Some(pod_uid.to_owned());
            }
            Err(ClusterWriteError::Api(kube::Error::Api(status))) if is_final_refusal(&status) => {
                sight.answers.token = TokenAnswer::Refused(status.message.clone());
            }
            Err(error) => {
                sight.answers.token = TokenAnswer::Delayed;
                sight.answers.retry = Some(error);
            }
        }
    }

    /// A failed deletion or stop of a pod is an answer, too: it is tolerated for a while.
    async fn handle_pod_deletion(
        &self,
        deleted: Result<(), ClusterWriteError>,
        cluster: &BuildCluster,
        sight: &mut ReconcileState,
        now: Timestamp,
    ) -> Result<StepOutcome, ClusterWriteError> {
        let name = sight.job.name_any();
        if let Err(error) = deleted {
            if matches!(error, ClusterWriteError::Stale) {
                return Err(error);
            }
            let mut memory = self.lock_memory();
            let since = &mut memory.entry(name).or_default().undeleted_since;
            let since = *since.get_or_insert(now);
            sight.answers.undeleted = Some((since, api_message(&error)));
            sight.answers.retry = Some(ClusterWriteError::Undeleted(Box::new(error)));
            return Ok(StepOutcome::Look);
        }
        if let Some(memory) = self.lock_memory().get_mut(&name) {
            memory.undeleted_since = None;
        }
        // The deletion is an event of its own, unless the cache never had the pod.
        if cluster.pods.get(&name).is_some() {
            return Ok(StepOutcome::Rest);
        }
        sight.pod = cluster.read_pod(&name).await?;
        Ok(match sight.pod {
            Some(_) => StepOutcome::Rest,
            None => StepOutcome::Look,
        })
    }

    async fn apply_change(
        &self,
        change: &ProwJobChange,
        sight: &mut ReconcileState,
        config: &Config,
        now: Timestamp,
    ) -> Result<StepOutcome, ClusterWriteError> {
        let changed = match self.writer.patch_job(&sight.job, change, config, now).await {
            Ok(changed) => Arc::new(changed),
            Err(error) => {
                self.settle_failed_change(&error, sight).await?;
                let why = refusal_message(change, &error).ok_or(error)?;
                sight.answers.refused = Some(why);
                return Ok(StepOutcome::Look);
            }
        };
        self.wake
            .enqueue_jobs(self.index.observe_own_change(&changed));
        self.remember_job(&changed, sight);
        sight.job = changed;
        sight.is_fresh = true;
        Ok(StepOutcome::Look)
    }

    fn remember_job(&self, current: &Arc<ProwJob>, sight: &ReconcileState) {
        let mut memory = self.lock_memory();
        let memory = memory.entry(current.name_any()).or_default();
        memory.remember_job(Arc::clone(current), sight.told_version.clone());
    }

    /// Handles a failed change: a claim without an answer may have been made, and so may one whose
    /// second try is refused. No other job gets the slot before that is known.
    async fn settle_failed_change(
        &self,
        error: &ClusterWriteError,
        sight: &ReconcileState,
    ) -> Result<(), ClusterWriteError> {
        let name = sight.job.name_any();
        let news = match error {
            ClusterWriteError::Stale => match self.writer.read_job(&sight.job).await? {
                Some(current) => {
                    let current = Arc::new(current);
                    self.remember_job(&current, sight);
                    match current.state() {
                        ProwJobState::Triggered => self.index.defer_job(&name),
                        _ => self.index.observe_own_change(&current),
                    }
                }
                None => self.index.remove_job(&name),
            },
            error if gives_up_slot(sight.job.state(), error) => self.index.defer_job(&name),
            _ => Vec::new(),
        };
        self.wake.enqueue_jobs(news);
        Ok(())
    }
}

/// Whether a job whose change failed gives up its slot. A job that has started keeps it whatever
/// becomes of a change.
fn gives_up_slot(state: ProwJobState, error: &ClusterWriteError) -> bool {
    let not_made = match error {
        ClusterWriteError::Api(kube::Error::Api(status)) => status.code < 500,
        ClusterWriteError::Tot(_) => true,
        _ => false,
    };
    state == ProwJobState::Triggered && not_made
}

/// Why a change that leads to a pod can never be made, for example for a name too long for a label.
/// A change that ends a job is retried whatever the API says.
fn refusal_message(change: &ProwJobChange, error: &ClusterWriteError) -> Option<String> {
    let ClusterWriteError::Api(kube::Error::Api(status)) = error else {
        return None;
    };
    let leads_on = !matches!(
        change,
        ProwJobChange::Complete { .. } | ProwJobChange::Supersede { .. }
    );
    (leads_on && matches!(status.code, 400 | 422)).then(|| status.message.clone())
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16) -> ClusterWriteError {
        let status = Status {
            code,
            message: "no".into(),
            ..Status::default()
        };
        ClusterWriteError::Api(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn only_a_job_that_has_not_started_gives_its_slot_away() {
        use ProwJobState::{Pending, Triggered};
        for (state, error, expected) in [
            (Triggered, answer(403), true),
            (
                Triggered,
                ClusterWriteError::Tot(anyhow::anyhow!("away")),
                true,
            ),
            (Triggered, answer(503), false),
            (Triggered, ClusterWriteError::TimedOut, false),
            (Pending, answer(403), false),
            (Pending, answer(422), false),
            (
                Pending,
                ClusterWriteError::Tot(anyhow::anyhow!("away")),
                false,
            ),
        ] {
            assert_eq!(gives_up_slot(state, &error), expected, "{state} {error}");
        }
    }

    #[test]
    fn a_change_that_is_invalid_is_refused_for_good_unless_it_ends_the_job() {
        let claim = ProwJobChange::Claim { build_id: None };
        let end = ProwJobChange::Complete {
            state: ProwJobState::Error,
            description: None,
        };
        for (change, code, expected) in [
            (&claim, 422, true),
            (&claim, 400, true),
            (&claim, 403, false),
            (&claim, 500, false),
            (&end, 422, false),
        ] {
            let refused = refusal_message(change, &answer(code)).is_some();
            assert_eq!(refused, expected, "{change:?} {code}");
        }
    }
}
