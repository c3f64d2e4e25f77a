//! One job: look, decide, do; again until there is nothing left to do now.

mod sight;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
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
    fleet::Fleet,
    index::{Index, Slot},
    pod_view::PodView,
    pods::BuildCluster,
    scheduler::Scheduler,
    transition::{Change, Cluster, Controllers, Settings, Step, transition},
    writer::{Created, Error, Writer},
};

use sight::{Delay, Sight};

/// A job takes a handful of steps at once; more means that two rules contradict each other.
const MAX_STEPS: usize = 10;
/// When a decision was about an object that has changed: the change's own event comes sooner.
const STALE: Duration = Duration::from_secs(1);
/// The event of a pod that was created comes within this, or the pod is asked for.
const FIRST_EVENT: Duration = Duration::from_secs(1);
/// For all steps together: a connection that went silent must not hold a job for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that reconciling a job needs.
pub(crate) struct Reconciler {
    pub(crate) fleet: Fleet,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) index: Index,
    pub(crate) writer: Writer,
    pub(crate) scheduler: Scheduler,
    pub(crate) wake: Wake,
    pub(crate) controllers: Controllers,
    pub(crate) dry_run: bool,
    pub(crate) memory: Mutex<HashMap<String, Memory>>,
}

/// What is kept of an unfinished job beside its objects.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The UID of the pod that has its storage secret.
    secret_of: Option<String>,
    /// When its pod was created.
    created: Option<Instant>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

impl Reconciler {
    /// Takes a job as far as it goes now.
    pub(crate) async fn reconcile(&self, job: Arc<ProwJob>) -> Result<Action, Error> {
        // A claim that gets no answer may have been made: its slot stays its own.
        let done = tokio::time::timeout(PATIENCE, self.steps(&job)).await;
        match done.unwrap_or(Err(Error::TimedOut)) {
            Err(Error::Stale) => Ok(Action::requeue(STALE)),
            Err(error) => Err(error),
            Ok(action) => {
                if let Some(memory) = self.memory().get_mut(&job.name_any()) {
                    memory.failures = 0;
                }
                Ok(action)
            }
        }
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.memory.lock().expect("nothing panics under this lock")
    }

    /// Drops what is kept of a job that is complete or deleted.
    pub(crate) fn forget(&self, name: &str) {
        self.memory().remove(name);
    }

    /// Drops what is kept of all jobs but these.
    pub(crate) fn retain(&self, names: &HashSet<String>) {
        self.memory().retain(|name, _| names.contains(name));
    }

    async fn steps(&self, job: &Arc<ProwJob>) -> Result<Action, Error> {
        let config = self.config.borrow().clone();
        let settings = settings(&config.prow.plank, self.controllers);
        let cluster = self.fleet.get(job.spec.cluster_alias());
        if let Some(wait) = self.awaits_new_pod(job, cluster.as_deref()) {
            return Ok(Action::requeue(wait));
        }
        let mut sight = Sight {
            job: Arc::clone(job),
            pod: self.find_pod(job, cluster.as_deref()).await?,
            cluster,
            refused: None,
            delayed: None,
            references: None,
            fresh: false,
        };
        for _ in 0..MAX_STEPS {
            let now = Timestamp::now();
            let name = sight.job.name_any();
            let superseded_by = self.index.superseded_by(&name);
            let decision = {
                let (cluster, slot) = self.place(&sight, superseded_by.is_some(), now);
                let needs_secret = self.needs_storage_secret(&sight);
                let by = superseded_by.as_deref();
                let seen = sight.observed(cluster, by, slot, needs_secret);
                transition(&seen, &settings, now)
            };
            if decision.step == Step::Wait {
                tracing::debug!(prowjob = name, why = decision.why, "nothing to do now");
                return match sight.delayed {
                    Some(Delay { why, seconds }) => Err(Error::Delayed { why, seconds }),
                    None => Ok(requeue(decision.look_again_at, now)),
                };
            }
            if self.dry_run {
                let message = "dry run: would take this step";
                log(&sight.job, message, &decision.step, decision.why);
                self.wake.all(self.index.park(&name));
                return Ok(Action::await_change());
            }
            let careful = matches!(decision.step, Step::CreatePod | Step::DeletePod { .. });
            if careful && !sight.fresh {
                // A cache may lag behind; what cannot be taken back is decided on the truth.
                let Some(current) = self.writer.read(&sight.job).await? else {
                    return Ok(Action::await_change());
                };
                sight.job = Arc::new(current);
                sight.fresh = true;
                continue;
            }
            log(&sight.job, "next step", &decision.step, decision.why);
            if !self.apply(&decision.step, &mut sight, &config, now).await? {
                return Ok(Action::await_change());
            }
        }
        tracing::error!(
            prowjob = job.name_any(),
            "a job does not come to rest; looking again later"
        );
        Ok(Action::requeue(Duration::from_secs(60)))
    }

    /// Whether the job's cluster can be asked and, of a job that would start, whether it may.
    fn place(&self, sight: &Sight, superseded: bool, now: Timestamp) -> (Cluster, Option<Slot>) {
        let job = &sight.job;
        let cluster = match &sight.cluster {
            None => Cluster::Unknown,
            Some(cluster) => cluster
                .pods
                .unready_since()
                .map_or(Cluster::Ready, Cluster::Unready),
        };
        let starts = cluster == Cluster::Ready
            && job.state() == ProwJobState::Triggered
            && !job.is_complete()
            && !superseded;
        if !starts {
            return (cluster, None);
        }
        match self.index.slot(&job.name_any()) {
            // The index has not heard yet; when it has, the job is woken.
            Slot::NotYet if sight.pod.is_none() => (Cluster::Unready(now), None),
            slot => (cluster, Some(slot)),
        }
    }

    fn needs_storage_secret(&self, sight: &Sight) -> bool {
        let Some(pod) = sight.pod.as_deref() else {
            return false;
        };
        let has = |memory: &Memory| memory.secret_of.as_ref() == Some(&pod.uid);
        decorate::needs_token(&sight.job.spec) && !self.memory().get(&pod.name).is_some_and(has)
    }

    /// Does one step. Whether there may be a next one before anything else happens.
    async fn apply(
        &self,
        step: &Step,
        sight: &mut Sight,
        config: &Config,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let name = sight.job.name_any();
        match (step, sight.cluster.clone()) {
            (Step::Change(change), _) => self.change(change, sight, config, now).await,
            (Step::Schedule, _) => {
                let cluster = self
                    .scheduler
                    .choose(&config.prow.scheduler, &sight.job)
                    .await;
                let change = Change::Schedule { cluster };
                self.change(&change, sight, config, now).await?;
                // It goes on where its cluster's jobs are worked on.
                Ok(false)
            }
            (Step::CreatePod, Some(cluster)) => {
                match self.writer.create_pod(&cluster, &sight.job).await? {
                    Created::Pod(pod) => {
                        sight.pod = Some(Arc::new(*pod));
                        self.memory().entry(name).or_default().created = Some(Instant::now());
                    }
                    Created::Exists => {
                        sight.pod = cluster.read(&name).await?;
                    }
                    Created::Refused(why) => sight.refused = Some(why),
                    Created::Delayed { why, seconds } => {
                        sight.delayed = Some(Delay { why, seconds })
                    }
                }
                Ok(true)
            }
            (Step::ReadEvents { pod_uid }, Some(cluster)) => {
                sight.references = Some(cluster.missing_reference(pod_uid).await);
                Ok(true)
            }
            (Step::CreateStorageSecret { pod_uid }, Some(cluster)) => {
                self.writer
                    .create_storage_secret(&cluster, &sight.job, pod_uid, config, now)
                    .await?;
                self.memory().entry(name).or_default().secret_of = Some(pod_uid.clone());
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
                    .delete_pod(&cluster, &name, uid, finalizer)
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
                self.account_for(&error, &sight.job).await?;
                return Err(error);
            }
        };
        self.wake.all(self.index.learn(&changed));
        if changed.is_complete() {
            self.memory().remove(&changed.name_any());
        }
        sight.job = Arc::new(changed);
        sight.fresh = true;
        Ok(true)
    }

    /// After a change that failed: a claim without an answer may have been made, and so may one
    /// that is refused the second time. Nobody else gets the slot before that is known.
    async fn account_for(&self, error: &Error, job: &ProwJob) -> Result<(), Error> {
        let name = job.name_any();
        let news = match error {
            Error::Stale => match self.writer.read(job).await? {
                Some(current) if current.state() == ProwJobState::Triggered => {
                    self.index.park(&name)
                }
                Some(current) => self.index.learn(&current),
                None => self.index.remove(&name),
            },
            Error::Api(kube::Error::Api(status)) if status.code < 500 => self.index.park(&name),
            Error::Tot(_) => self.index.park(&name),
            _ => Vec::new(),
        };
        self.wake.all(news);
        Ok(())
    }

    /// How long to wait for the first event of a pod that was just created: asking the API would
    /// tell what is known.
    fn awaits_new_pod(&self, job: &ProwJob, cluster: Option<&BuildCluster>) -> Option<Duration> {
        let name = job.name_any();
        if job.state() != ProwJobState::Pending || cluster?.pods.get(&name).is_some() {
            return None;
        }
        let created = self.memory().get(&name)?.created?;
        FIRST_EVENT.checked_sub(created.elapsed())
    }

    /// The job's pod. "None" is asked of the API wherever it would start or end something.
    async fn find_pod(
        &self,
        job: &ProwJob,
        cluster: Option<&BuildCluster>,
    ) -> Result<Option<Arc<PodView>>, Error> {
        let Some(cluster) = cluster.filter(|cluster| cluster.pods.unready_since().is_none()) else {
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

fn settings(plank: &Section, controllers: Controllers) -> Settings {
    let span = |timeout: common::duration::GoDuration| SignedDuration::from_nanos(timeout.nanos());
    Settings {
        pod_pending_timeout: span(plank.pod_pending_timeout()),
        pod_running_timeout: span(plank.pod_running_timeout()),
        pod_unscheduled_timeout: span(plank.pod_unscheduled_timeout()),
        max_revivals: plank.max_revivals(),
        fail_fast: plank.fail_fast(),
        missing_reference_timeout: span(plank.pod_missing_reference_timeout()),
        controllers,
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
        Step::Change(Change::Supersede { .. }) => "aborted",
        Step::Change(Change::Schedule { .. }) | Step::Schedule => "triggered",
        Step::Change(Change::Describe(_)) => "say so",
        Step::ReadEvents { .. } => "read the pod's events",
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
