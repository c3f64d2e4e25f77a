//! One step done, and what came of it.

use std::{sync::Arc, time::Instant};

use common::{
    config::Config,
    prowjob::{ProwJob, ProwJobState},
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    Reconciler,
    sight::{Sight, TokenAnswer},
};
use crate::{
    pods::BuildCluster,
    transition::{Change, Step},
    writer::{Created, Error, is_final, words},
};

/// Whether there may be another step at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Look,
    /// An event will tell, or there is nothing left to do.
    Rest,
}

impl Reconciler {
    pub(super) async fn apply(
        &self,
        step: &Step,
        sight: &mut Sight,
        config: &Config,
        now: Timestamp,
    ) -> Result<Next, Error> {
        let name = sight.job.name_any();
        match (step, sight.cluster.clone()) {
            (Step::ReadJob, _) => {
                // A cache may lag behind; what cannot be taken back is decided on the truth.
                let Some(current) = self.writer.read(&sight.job).await? else {
                    return Ok(Next::Rest);
                };
                sight.job = Arc::new(current);
                sight.is_fresh = true;
                Ok(Next::Look)
            }
            (Step::Change(change), _) => self.change(change, sight, config, now).await,
            (Step::Schedule, _) => {
                let section = &config.prow.scheduler;
                let cluster = self.scheduler.choose(section, &sight.job).await;
                let change = Change::Schedule { cluster };
                self.change(&change, sight, config, now).await?;
                // It goes on where its cluster's jobs are worked on.
                Ok(match sight.answers.refused {
                    Some(_) => Next::Look,
                    None => Next::Rest,
                })
            }
            (Step::CreatePod, Some(cluster)) => {
                match self.writer.create_pod(&cluster, &sight.job, config).await? {
                    Created::Pod(pod) => {
                        sight.pod = Some(Arc::new(*pod));
                        self.memory().entry(name).or_default().created = Some(Instant::now());
                    }
                    Created::Exists => sight.pod = cluster.read(&name).await?,
                    Created::Refused(why) => sight.answers.refused = Some(why),
                    Created::Delayed { why, seconds } => {
                        sight.answers.delayed = Some(why.clone());
                        sight.answers.retry = Some(Error::Delayed { why, seconds });
                    }
                }
                Ok(Next::Look)
            }
            (Step::ReadEvents { pod_uid }, Some(cluster)) => {
                sight.answers.references = Some(cluster.missing_reference(pod_uid).await);
                Ok(Next::Look)
            }
            (Step::CreateToken { pod_uid }, Some(cluster)) => {
                self.create_token(&cluster, sight, pod_uid, config, now)
                    .await;
                Ok(Next::Look)
            }
            (Step::StopPod { uid }, Some(cluster)) => {
                let stopped = self.writer.stop_pod(&cluster, &name, uid).await;
                self.deleted(stopped, &cluster, sight, now).await
            }
            (Step::DeletePod { uid }, Some(cluster)) => {
                let deleted = self.writer.delete_pod(&cluster, &name, uid).await;
                self.deleted(deleted, &cluster, sight, now).await
            }
            (
                Step::ReplacePod {
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
                self.deleted(replaced, &cluster, sight, now).await
            }
            (Step::Wait, _) | (_, None) => Ok(Next::Rest),
        }
    }

    async fn create_token(
        &self,
        cluster: &BuildCluster,
        sight: &mut Sight,
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
                let mut memory = self.memory();
                memory.entry(job.name_any()).or_default().token_of = Some(pod_uid.to_owned());
            }
            Err(Error::Api(kube::Error::Api(status))) if is_final(&status) => {
                sight.answers.token = TokenAnswer::Refused(status.message.clone());
            }
            Err(error) => {
                sight.answers.token = TokenAnswer::Delayed;
                sight.answers.retry = Some(error);
            }
        }
    }

    /// A deletion, or an end, that fails is an answer, too: it is borne for a while.
    async fn deleted(
        &self,
        deleted: Result<(), Error>,
        cluster: &BuildCluster,
        sight: &mut Sight,
        now: Timestamp,
    ) -> Result<Next, Error> {
        let name = sight.job.name_any();
        if let Err(error) = deleted {
            if matches!(error, Error::Stale) {
                return Err(error);
            }
            let mut memory = self.memory();
            let since = &mut memory.entry(name).or_default().undeleted_since;
            let since = *since.get_or_insert(now);
            sight.answers.undeleted = Some((since, words(&error)));
            sight.answers.retry = Some(Error::Undeleted(Box::new(error)));
            return Ok(Next::Look);
        }
        if let Some(memory) = self.memory().get_mut(&name) {
            memory.undeleted_since = None;
        }
        // Its end is an event of its own, unless the cache never had the pod.
        if cluster.pods.get(&name).is_some() {
            return Ok(Next::Rest);
        }
        sight.pod = cluster.read(&name).await?;
        Ok(match sight.pod {
            Some(_) => Next::Rest,
            None => Next::Look,
        })
    }

    async fn change(
        &self,
        change: &Change,
        sight: &mut Sight,
        config: &Config,
        now: Timestamp,
    ) -> Result<Next, Error> {
        let changed = match self.writer.change(&sight.job, change, config, now).await {
            Ok(changed) => Arc::new(changed),
            Err(error) => {
                self.account_for(&error, sight).await?;
                let why = refusal(change, &error).ok_or(error)?;
                sight.answers.refused = Some(why);
                return Ok(Next::Look);
            }
        };
        self.wake.all(self.index.learn(&changed));
        self.learn(&changed, sight);
        sight.job = changed;
        sight.is_fresh = true;
        Ok(Next::Look)
    }

    fn learn(&self, current: &Arc<ProwJob>, sight: &Sight) {
        let mut memory = self.memory();
        let memory = memory.entry(current.name_any()).or_default();
        memory.learn(Arc::clone(current), sight.told_version.clone());
    }

    /// After a change that failed: a claim without an answer may have been made, and so may one
    /// that is refused the second time. Nobody else gets the slot before that is known.
    async fn account_for(&self, error: &Error, sight: &Sight) -> Result<(), Error> {
        let name = sight.job.name_any();
        let news = match error {
            Error::Stale => match self.writer.read(&sight.job).await? {
                Some(current) => {
                    let current = Arc::new(current);
                    self.learn(&current, sight);
                    match current.state() {
                        ProwJobState::Triggered => self.index.park(&name),
                        _ => self.index.learn(&current),
                    }
                }
                None => self.index.remove(&name),
            },
            error if gives_up_slot(sight.job.state(), error) => self.index.park(&name),
            _ => Vec::new(),
        };
        self.wake.all(news);
        Ok(())
    }
}

/// Whether a job whose change failed lets others start first. One that has started is counted
/// whatever becomes of a change.
fn gives_up_slot(state: ProwJobState, error: &Error) -> bool {
    let not_made = match error {
        Error::Api(kube::Error::Api(status)) => status.code < 500,
        Error::Tot(_) => true,
        _ => false,
    };
    state == ProwJobState::Triggered && not_made
}

/// Why a change that leads to a pod can never be made: a name too long for a label, say. What
/// ends a job is tried again whatever the API says.
fn refusal(change: &Change, error: &Error) -> Option<String> {
    let Error::Api(kube::Error::Api(status)) = error else {
        return None;
    };
    let leads_on = !matches!(change, Change::Complete { .. } | Change::Supersede { .. });
    (leads_on && matches!(status.code, 400 | 422)).then(|| status.message.clone())
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16) -> Error {
        let status = Status {
            code,
            message: "no".into(),
            ..Status::default()
        };
        Error::Api(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn only_a_job_that_has_not_started_gives_its_slot_away() {
        use ProwJobState::{Pending, Triggered};
        for (state, error, expected) in [
            (Triggered, answer(403), true),
            (Triggered, Error::Tot(anyhow::anyhow!("away")), true),
            (Triggered, answer(503), false),
            (Triggered, Error::TimedOut, false),
            (Pending, answer(403), false),
            (Pending, answer(422), false),
            (Pending, Error::Tot(anyhow::anyhow!("away")), false),
        ] {
            assert_eq!(gives_up_slot(state, &error), expected, "{state} {error}");
        }
    }

    #[test]
    fn a_change_that_is_invalid_is_refused_for_good_unless_it_ends_the_job() {
        let claim = Change::Claim { build_id: None };
        let end = Change::Complete {
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
            let refused = refusal(change, &answer(code)).is_some();
            assert_eq!(refused, expected, "{change:?} {code}");
        }
    }
}
