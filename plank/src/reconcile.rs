//! One job: look, decide, do; again until there is nothing left to do now.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    config::{Config, Plank as Section},
    prowjob::{ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::controller::Action};
use tokio::sync::watch;

use crate::{
    controller::Wake,
    decorate,
    index::Index,
    pod_view::PodView,
    pods::BuildCluster,
    transition::{Change, Cluster, Observed, Settings, Step, transition},
    writer::{Created, Error, Writer},
};

/// A job takes a handful of steps at once; more means that two rules contradict each other.
const MAX_STEPS: usize = 10;
/// When a decision was about an object that has changed: the change's own event comes sooner.
const STALE: Duration = Duration::from_secs(1);
/// For all steps together: a connection that went silent must not hold a job for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that reconciling a job needs.
pub(crate) struct Reconciler {
    pub(crate) clusters: BTreeMap<String, BuildCluster>,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) index: Index,
    pub(crate) writer: Writer,
    pub(crate) wake: Wake,
    pub(crate) dry_run: bool,
    /// By pod name, the UID of the pod that has its storage secret.
    pub(crate) secrets: Mutex<HashMap<String, String>>,
    /// Failures in a row, by job.
    pub(crate) failures: Mutex<HashMap<String, u32>>,
}

/// What is known of a job while it is worked on.
struct Sight {
    job: ProwJob,
    pod: Option<Arc<PodView>>,
    refused: Option<String>,
    /// The job is as the API has it, not as a cache had it.
    fresh: bool,
}

impl Reconciler {
    /// Takes a job as far as it goes now.
    pub(crate) async fn reconcile(&self, job: Arc<ProwJob>) -> Result<Action, Error> {
        match tokio::time::timeout(PATIENCE, self.steps(&job)).await {
            Err(_) => {
                self.release(&job);
                Err(Error::TimedOut)
            }
            Ok(Err(error @ (Error::Api(_) | Error::TimedOut))) => Err(error),
            Ok(done) => {
                let name = job.name_any();
                self.failures
                    .lock()
                    .expect("nothing panics under this lock")
                    .remove(&name);
                Ok(done.unwrap_or_else(|_| Action::requeue(STALE)))
            }
        }
    }

    /// Drops what is kept of a job that was deleted.
    pub(crate) fn forget(&self, name: &str) {
        self.failures
            .lock()
            .expect("nothing panics under this lock")
            .remove(name);
        self.secrets
            .lock()
            .expect("nothing panics under this lock")
            .remove(name);
    }

    async fn steps(&self, job: &ProwJob) -> Result<Action, Error> {
        let config = self.config.borrow().clone();
        let settings = settings(&config.prow.plank);
        let cluster = self.clusters.get(job.spec.cluster_alias());
        let mut sight = Sight {
            job: job.clone(),
            pod: self.find_pod(job, cluster).await?,
            refused: None,
            fresh: false,
        };
        for _ in 0..MAX_STEPS {
            let now = Timestamp::now();
            let decision = {
                let superseded_by = self.index.superseded_by(&sight.job.name_any());
                let seen = self.observe(&sight, cluster, superseded_by.as_deref());
                transition(&seen, &settings, now)
            };
            if decision.step == Step::Wait {
                let name = sight.job.name_any();
                tracing::debug!(prowjob = name, why = decision.why, "nothing to do now");
                return Ok(requeue(decision.look_again_at, now));
            }
            if self.dry_run {
                log(
                    &sight.job,
                    "dry run: would take this step",
                    &decision.step,
                    decision.why,
                );
                self.release(&sight.job);
                return Ok(Action::await_change());
            }
            let careful = matches!(decision.step, Step::CreatePod | Step::DeletePod { .. });
            if careful && !sight.fresh {
                // A cache may lag behind; what cannot be taken back is decided on the truth.
                let Some(current) = self.writer.read(&sight.job).await? else {
                    return Ok(Action::await_change());
                };
                sight.job = current;
                sight.fresh = true;
                continue;
            }
            log(&sight.job, "next step", &decision.step, decision.why);
            if !self
                .apply(&decision.step, &mut sight, cluster, &config, now)
                .await?
            {
                return Ok(Action::await_change());
            }
        }
        tracing::error!(
            prowjob = job.name_any(),
            "a job does not come to rest; looking again later"
        );
        Ok(Action::requeue(Duration::from_secs(60)))
    }

    fn observe<'a>(
        &self,
        sight: &'a Sight,
        cluster: Option<&BuildCluster>,
        superseded_by: Option<&'a str>,
    ) -> Observed<'a> {
        let (job, pod) = (&sight.job, sight.pod.as_deref());
        let cluster = match cluster {
            None => Cluster::Unknown,
            Some(cluster) if cluster.pods.is_listed() => Cluster::Ready,
            Some(_) => Cluster::Unready,
        };
        let starts = cluster == Cluster::Ready
            && job.state() == ProwJobState::Triggered
            && !job.is_complete()
            && superseded_by.is_none();
        let blocked_by = match starts {
            true => self.index.reserve(&job.name_any()).err(),
            false => None,
        };
        let secrets = self.secrets.lock().expect("nothing panics under this lock");
        let has_secret = |pod: &PodView| secrets.get(&pod.name) == Some(&pod.uid);
        Observed {
            job,
            pod,
            cluster,
            superseded_by,
            // A pod that is there already needs no slot.
            blocked_by: blocked_by.filter(|_| pod.is_none()),
            refused: sight.refused.as_deref(),
            needs_storage_secret: decorate::needs_token(&job.spec)
                && pod.is_some_and(|pod| !has_secret(pod)),
        }
    }

    /// Does one step. Whether there may be a next one before anything else happens.
    async fn apply(
        &self,
        step: &Step,
        sight: &mut Sight,
        cluster: Option<&BuildCluster>,
        config: &Config,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let name = sight.job.name_any();
        match (step, cluster) {
            (Step::Change(change), _) => self.change(change, sight, config, now).await,
            (Step::CreatePod, Some(cluster)) => {
                match self.writer.create_pod(cluster, &sight.job).await? {
                    Created::Pod(pod) => sight.pod = Some(Arc::new(*pod)),
                    Created::Exists => {
                        sight.pod = cluster.read(&name).await?;
                    }
                    Created::Refused(why) => sight.refused = Some(why),
                }
                Ok(true)
            }
            (Step::CreateStorageSecret { pod_uid }, Some(cluster)) => {
                self.writer
                    .create_storage_secret(cluster, &sight.job, pod_uid, config, now)
                    .await?;
                let mut secrets = self.secrets.lock().expect("nothing panics under this lock");
                secrets.insert(name, pod_uid.clone());
                Ok(true)
            }
            (
                Step::DeletePod {
                    uid,
                    has_report_finalizer,
                },
                Some(cluster),
            ) => {
                let finalizer = *has_report_finalizer;
                self.writer
                    .delete_pod(cluster, &name, uid, finalizer)
                    .await?;
                // Its end is an event of its own, unless the cache never had the pod.
                if cluster.pods.get(&name).is_none() {
                    sight.pod = cluster.read(&name).await?;
                    return Ok(sight.pod.is_none());
                }
                Ok(false)
            }
            (Step::Wait, _) | (_, None) => Ok(false),
        }
    }

    async fn change(
        &self,
        change: &Change,
        sight: &mut Sight,
        config: &Config,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let changed = match self.writer.change(&sight.job, change, config, now).await {
            Ok(changed) => changed,
            Err(error) => {
                self.release(&sight.job);
                return Err(error);
            }
        };
        self.wake.all(self.index.observe(&changed));
        if changed.is_complete() {
            let name = changed.name_any();
            self.secrets
                .lock()
                .expect("nothing panics under this lock")
                .remove(&name);
        }
        sight.job = changed;
        sight.fresh = true;
        Ok(true)
    }

    /// Gives back the slot of a job that did not start after all.
    fn release(&self, job: &ProwJob) {
        if job.state() == ProwJobState::Triggered && !job.is_complete() {
            // Not woken here: the job itself would be first in line, and it is retried anyway.
            drop(self.index.release(&job.name_any()));
        }
    }

    /// The job's pod. "None" is asked of the API wherever it would start or end something.
    async fn find_pod(
        &self,
        job: &ProwJob,
        cluster: Option<&BuildCluster>,
    ) -> Result<Option<Arc<PodView>>, Error> {
        let Some(cluster) = cluster.filter(|cluster| cluster.pods.is_listed()) else {
            return Ok(None);
        };
        let name = job.name_any();
        let cached = cluster.pods.get(&name);
        let claimed = job
            .status
            .as_ref()
            .is_some_and(|status| !status.build_id.is_empty());
        let unsure = claimed
            && !job.is_complete()
            && matches!(job.state(), ProwJobState::Pending | ProwJobState::Aborted);
        if cached.is_some() || !unsure {
            return Ok(cached);
        }
        Ok(cluster.read(&name).await?)
    }
}

fn settings(plank: &Section) -> Settings {
    let span = |timeout: common::duration::GoDuration| SignedDuration::from_nanos(timeout.nanos());
    Settings {
        pod_pending_timeout: span(plank.pod_pending_timeout()),
        pod_running_timeout: span(plank.pod_running_timeout()),
        pod_unscheduled_timeout: span(plank.pod_unscheduled_timeout()),
        max_revivals: plank.max_revivals(),
        ..Settings::default()
    }
}

fn requeue(at: Option<Timestamp>, now: Timestamp) -> Action {
    match at {
        Some(at) => {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            // A timer may fire a little early.
            Action::requeue(wait + Duration::from_millis(5))
        }
        None => Action::await_change(),
    }
}

fn log(job: &ProwJob, message: &'static str, step: &Step, why: &'static str) {
    let refs = job.spec.main_refs().cloned().unwrap_or_default();
    let to = match step {
        Step::Change(Change::Claim { .. } | Change::Revive) => "pending",
        Step::Change(Change::Supersede) => "aborted",
        Step::Change(Change::Complete { state, .. }) => state.as_str(),
        Step::CreatePod => "create pod",
        Step::CreateStorageSecret { .. } => "create storage secret",
        Step::DeletePod { .. } => "delete pod",
        Step::Wait => "wait",
    };
    tracing::info!(
        prowjob = job.name_any(),
        job = job.spec.job,
        org = refs.org,
        repo = refs.repo,
        pr = refs.pulls.first().map(|pull| pull.number),
        state = job.state().as_str(),
        to,
        why,
        "{message}"
    );
}
