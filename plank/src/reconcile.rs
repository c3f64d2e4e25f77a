//! Reconciles one job: load its state, decide, apply the step, until none is left.

mod apply;
mod job_memory;
mod reconcile_state;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use common::{
    config::{Config, PlankConfig},
    prowjob::{ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    build_clusters::ClusterWorkers,
    controller::JobEnqueuer,
    decorate,
    job_index::{PlankJobIndex, StartSlot},
    leftover_pods::EndedJobs,
    pod_view::PodView,
    pods::BuildCluster,
    scheduler::ClusterScheduler,
    transition::{
        ClusterReadiness, EnabledControllers, ObservedObstacle, ProwJobChange, StartPermission,
        TransitionSettings, TransitionStep, decide_next_step,
    },
    writer::{ClusterWriteError, ClusterWriter},
};

use apply::StepOutcome;
pub(crate) use job_memory::JobMemory;
use reconcile_state::{ApiAnswers, DecisionInputs, ReconcileState};

/// A job takes a few steps at once; more means that two rules contradict each other.
const MAX_STEPS: usize = 10;
/// Retry after a decision on an outdated object; the event of its change comes sooner.
const STALE_RETRY: Duration = Duration::from_secs(1);
/// How long to wait for the first event of a created pod before the API is asked for the pod.
const FIRST_POD_EVENT_WAIT: Duration = Duration::from_secs(1);
/// A job is reconciled once in this time whatever it waits for, so that a timer outlives its job by
/// no more.
const MAX_REQUEUE_WAIT: Duration = Duration::from_secs(3600);
/// Limit of all steps together: a connection that went silent must not hold a job for ever.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);

/// What reconciling a job needs.
pub(crate) struct Reconciler {
    pub(crate) fleet: ClusterWorkers,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) index: PlankJobIndex,
    pub(crate) writer: ClusterWriter,
    pub(crate) scheduler: ClusterScheduler,
    pub(crate) wake: JobEnqueuer,
    pub(crate) controllers: EnabledControllers,
    pub(crate) dry_run: bool,
    pub(crate) memory: Mutex<HashMap<String, JobMemory>>,
    pub(crate) ended: EndedJobs,
}

impl Reconciler {
    /// Takes a job as far as it goes now; returns when to reconcile it again if nothing happens.
    pub(crate) async fn reconcile_job(
        &self,
        job: Arc<ProwJob>,
    ) -> Result<Option<Duration>, ClusterWriteError> {
        // A claim without an answer may have been made, so the job keeps its slot.
        let done = tokio::time::timeout(RECONCILE_TIMEOUT, self.run_steps(&job)).await;
        match done.unwrap_or(Err(ClusterWriteError::TimedOut)) {
            Err(ClusterWriteError::Stale) => Ok(Some(STALE_RETRY)),
            Err(error) => Err(error),
            Ok(wait) => {
                let (name, mut all) = (job.name_any(), self.lock_memory());
                match all.get_mut(&name) {
                    Some(memory) if memory.is_about_ended_job() => drop(all.remove(&name)),
                    Some(memory) => memory.failures = 0,
                    None => {}
                }
                Ok(wait.map(|wait| wait.min(MAX_REQUEUE_WAIT)))
            }
        }
    }

    pub(crate) fn lock_memory(&self) -> MutexGuard<'_, HashMap<String, JobMemory>> {
        self.memory.lock().expect("nothing panics under this lock")
    }

    /// Drops the memory of a job that is complete or deleted.
    pub(crate) fn forget_job(&self, name: &str) {
        self.lock_memory().remove(name);
    }

    /// Drops the memory of all jobs but these.
    pub(crate) fn retain_jobs(&self, names: &HashSet<String>) {
        self.lock_memory().retain(|name, _| names.contains(name));
    }

    async fn run_steps(&self, told: &Arc<ProwJob>) -> Result<Option<Duration>, ClusterWriteError> {
        let config = self.config.borrow().clone();
        let settings = transition_settings(&config.prow.plank, self.controllers);
        let mut sight = self.load_state(told).await?;
        for _ in 0..MAX_STEPS {
            let now = Timestamp::now();
            let place = self.gather_inputs(&sight);
            let decision = decide_next_step(&sight.to_observed_job(&place), &settings, now);
            let name = sight.job.name_any();
            if matches!(place.start, StartPermission::NoKey(_)) {
                // Jobs that need no key go first.
                self.wake.enqueue_jobs(self.index.defer_job(&name));
            }
            if decision.sighting != place.before || decision.sighting.is_some() {
                let mut memory = self.lock_memory();
                memory.entry(name.clone()).or_default().sighting = Some(decision.sighting);
            }
            if decision.step == TransitionStep::Wait {
                tracing::debug!(prowjob = name, why = decision.why, "nothing to do now");
                return match sight.answers.retry {
                    Some(error) => Err(error),
                    None => Ok(decision.look_again_at.map(|at| wait_until(at, now))),
                };
            }
            if self.dry_run && decision.step != TransitionStep::ReadJob {
                let message = "dry run: would take this step";
                log_step(&sight.job, message, &decision.step, decision.why);
                if sight.job.state() == ProwJobState::Triggered {
                    self.wake.enqueue_jobs(self.index.defer_job(&name));
                }
                return Ok(None);
            }
            if decision.step != TransitionStep::ReadJob {
                log_step(&sight.job, "next step", &decision.step, decision.why);
            }
            let next = self
                .apply_step(&decision.step, &mut sight, &config, now)
                .await?;
            if next == StepOutcome::Rest {
                return Ok(None);
            }
        }
        tracing::error!(
            prowjob = told.name_any(),
            "a job does not come to rest; looking again later"
        );
        Ok(Some(Duration::from_secs(60)))
    }

    /// The job and its pod as far as they are known.
    async fn load_state(&self, told: &Arc<ProwJob>) -> Result<ReconcileState, ClusterWriteError> {
        let name = told.name_any();
        let job = match self.lock_memory().get_mut(&name) {
            Some(memory) => memory.newest_job(told),
            None => Arc::clone(told),
        };
        let cluster = self.fleet.get_cluster(job.spec.cluster_alias());
        let pod_announced = self.pod_event_deadline(&job, cluster.as_deref());
        let pod = match pod_announced {
            Some(_) => None,
            None => self.find_pod(&job, cluster.as_deref()).await?,
        };
        Ok(ReconcileState {
            job,
            told_version: told.resource_version(),
            is_fresh: false,
            cluster,
            pod,
            pod_announced,
            answers: ApiAnswers::default(),
        })
    }

    /// What a decision needs beyond the job and its pod.
    fn gather_inputs(&self, sight: &ReconcileState) -> DecisionInputs {
        let job = &sight.job;
        let name = job.name_any();
        let unready = sight.cluster.as_ref().map(|it| it.pods.unready_reason());
        let (cluster, obstacle) = match unready {
            None => (ClusterReadiness::Unknown, None),
            Some(None) => (ClusterReadiness::Ready, None),
            Some(Some((since, obstacle))) => (ClusterReadiness::Unready(since), Some(obstacle)),
        };
        let superseded_by = self.index.superseded_by(&name);
        // A job whose pod is there already needs no slot.
        let starts = cluster == ClusterReadiness::Ready
            && job.state() == ProwJobState::Triggered
            && !job.is_complete()
            && superseded_by.is_none()
            && sight.pod.is_none();
        let keyless = || self.writer.find_key_error(&job.spec);
        let start = if let Some(error) = starts.then(keyless).flatten() {
            StartPermission::NoKey(error)
        } else {
            match starts.then(|| self.index.request_slot(&name)) {
                None | Some(StartSlot::Held) => StartPermission::Now,
                Some(StartSlot::Waits(limit)) => StartPermission::Waits(limit),
                Some(StartSlot::NotYet) => StartPermission::NotKnown,
            }
        };
        let memory = self.lock_memory();
        let memory = memory.get(&name);
        let has_token = sight.pod.as_deref().is_none_or(|pod| {
            memory.is_some_and(|memory| memory.token_of.as_ref() == Some(&pod.uid))
        });
        DecisionInputs {
            cluster,
            obstacle,
            start,
            superseded_by,
            needs_token: !has_token && decorate::needs_token(&job.spec),
            before: match memory.and_then(|memory| memory.sighting.clone()) {
                Some(known) => known,
                None => ObservedObstacle::from_annotation(job),
            },
        }
    }

    /// Until when to wait for the first event of a pod that was just created: the API would tell
    /// nothing new.
    fn pod_event_deadline(
        &self,
        job: &ProwJob,
        cluster: Option<&BuildCluster>,
    ) -> Option<Timestamp> {
        let name = job.name_any();
        if job.state() != ProwJobState::Pending || cluster?.pods.get(&name).is_some() {
            return None;
        }
        let created = self.lock_memory().get(&name)?.created?;
        let left = FIRST_POD_EVENT_WAIT.checked_sub(created.elapsed())?;
        Timestamp::now().checked_add(left).ok()
    }

    /// The job's pod. The API is asked where the absence of the pod would start or end something.
    async fn find_pod(
        &self,
        job: &ProwJob,
        cluster: Option<&BuildCluster>,
    ) -> Result<Option<Arc<PodView>>, ClusterWriteError> {
        let Some(cluster) = cluster.filter(|cluster| cluster.pods.are_known()) else {
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
        Ok(cluster.read_pod(&name).await?)
    }
}

fn transition_settings(plank: &PlankConfig, controllers: EnabledControllers) -> TransitionSettings {
    let span =
        |timeout: common::duration::GoDuration| SignedDuration::from_nanos(timeout.as_nanos());
    TransitionSettings {
        pod_pending_timeout: span(plank.pod_pending_timeout()),
        pod_running_timeout: span(plank.pod_running_timeout()),
        pod_unscheduled_timeout: span(plank.pod_unscheduled_timeout()),
        max_revivals: plank.max_revivals(),
        fail_fast: plank.fail_fast(),
        missing_reference_timeout: span(plank.pod_missing_reference_timeout()),
        controllers,
    }
}

fn wait_until(at: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    // A timer may fire a little early.
    wait + Duration::from_millis(5)
}

fn log_step(job: &ProwJob, message: &'static str, step: &TransitionStep, why: &'static str) {
    let refs = job.spec.main_refs().cloned().unwrap_or_default();
    let to = match step {
        TransitionStep::Change(ProwJobChange::Claim { .. } | ProwJobChange::Revive) => "pending",
        TransitionStep::Change(ProwJobChange::Supersede { .. }) => "aborted",
        TransitionStep::Change(ProwJobChange::Schedule { .. }) | TransitionStep::Schedule => {
            "triggered"
        }
        TransitionStep::Change(ProwJobChange::Describe { .. }) => "say so",
        TransitionStep::ReadEvents { .. } => "read the pod's events",
        TransitionStep::Change(ProwJobChange::Complete { state, .. }) => state.as_str(),
        TransitionStep::CreatePod => "create pod",
        TransitionStep::CreateToken { .. } => "create storage secret",
        TransitionStep::StopPod { .. } => "end pod",
        TransitionStep::DeletePod { .. } => "delete pod",
        TransitionStep::ReplacePod { .. } => "let go of the pod and delete it",
        TransitionStep::ReadJob => "read the job",
        TransitionStep::Wait => "wait",
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
