//! One job: look, decide, do; again until there is nothing left to do now.

mod apply;
mod memory;
mod sight;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use common::{
    config::{Config, Plank as Section},
    prowjob::{ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    controller::Wake,
    decorate,
    fleet::Fleet,
    index::{Index, Slot},
    leftovers::Ended,
    pod_view::PodView,
    pods::BuildCluster,
    scheduler::Scheduler,
    transition::{Change, Cluster, Controllers, Settings, Sighting, Start, Step, transition},
    writer::{Error, Writer},
};

use apply::Next;
pub(crate) use memory::Memory;
use sight::{Answers, Place, Sight};

/// A job takes a handful of steps at once; more means that two rules contradict each other.
const MAX_STEPS: usize = 10;
/// When a decision was about an object that has changed: the change's own event comes sooner.
const STALE: Duration = Duration::from_secs(1);
/// The event of a pod that was created comes within this, or the pod is asked for.
const FIRST_EVENT: Duration = Duration::from_secs(1);
/// A job is looked at once in this time whatever it waits for, so that a timer outlives its job by
/// no more.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
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
    pub(crate) ended: Ended,
}

impl Reconciler {
    /// Takes a job as far as it goes now; when to look again if nothing happens.
    pub(crate) async fn reconcile(&self, job: Arc<ProwJob>) -> Result<Option<Duration>, Error> {
        // A claim that gets no answer may have been made: its slot stays its own.
        let done = tokio::time::timeout(PATIENCE, self.steps(&job)).await;
        match done.unwrap_or(Err(Error::TimedOut)) {
            Err(Error::Stale) => Ok(Some(STALE)),
            Err(error) => Err(error),
            Ok(wait) => {
                let (name, mut all) = (job.name_any(), self.memory());
                match all.get_mut(&name) {
                    Some(memory) if memory.is_over() => drop(all.remove(&name)),
                    Some(memory) => memory.failures = 0,
                    None => {}
                }
                Ok(wait.map(|wait| wait.min(LONGEST_WAIT)))
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

    async fn steps(&self, told: &Arc<ProwJob>) -> Result<Option<Duration>, Error> {
        let config = self.config.borrow().clone();
        let settings = settings(&config.prow.plank, self.controllers);
        let mut sight = self.look(told).await?;
        for _ in 0..MAX_STEPS {
            let now = Timestamp::now();
            let place = self.place(&sight);
            let decision = transition(&sight.observed(&place), &settings, now);
            let name = sight.job.name_any();
            if matches!(place.start, Start::NoKey(_)) {
                // Those that need no key go first.
                self.wake.all(self.index.park(&name));
            }
            if decision.sighting != place.before || decision.sighting.is_some() {
                let mut memory = self.memory();
                memory.entry(name.clone()).or_default().sighting = Some(decision.sighting);
            }
            if decision.step == Step::Wait {
                tracing::debug!(prowjob = name, why = decision.why, "nothing to do now");
                return match sight.answers.retry {
                    Some(error) => Err(error),
                    None => Ok(decision.look_again_at.map(|at| wait_until(at, now))),
                };
            }
            if self.dry_run && decision.step != Step::ReadJob {
                let message = "dry run: would take this step";
                log(&sight.job, message, &decision.step, decision.why);
                if sight.job.state() == ProwJobState::Triggered {
                    self.wake.all(self.index.park(&name));
                }
                return Ok(None);
            }
            if decision.step != Step::ReadJob {
                log(&sight.job, "next step", &decision.step, decision.why);
            }
            let next = self.apply(&decision.step, &mut sight, &config, now).await?;
            if next == Next::Rest {
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
    async fn look(&self, told: &Arc<ProwJob>) -> Result<Sight, Error> {
        let name = told.name_any();
        let job = match self.memory().get_mut(&name) {
            Some(memory) => memory.newest(told),
            None => Arc::clone(told),
        };
        let cluster = self.fleet.get(job.spec.cluster_alias());
        let pod_announced = self.announced(&job, cluster.as_deref());
        let pod = match pod_announced {
            Some(_) => None,
            None => self.find_pod(&job, cluster.as_deref()).await?,
        };
        Ok(Sight {
            job,
            told_version: told.resource_version(),
            is_fresh: false,
            cluster,
            pod,
            pod_announced,
            answers: Answers::default(),
        })
    }

    /// What is known of the job beyond itself.
    fn place(&self, sight: &Sight) -> Place {
        let job = &sight.job;
        let name = job.name_any();
        let unready = sight.cluster.as_ref().map(|it| it.pods.unready());
        let (cluster, obstacle) = match unready {
            None => (Cluster::Unknown, None),
            Some(None) => (Cluster::Ready, None),
            Some(Some((since, obstacle))) => (Cluster::Unready(since), Some(obstacle)),
        };
        let superseded_by = self.index.superseded_by(&name);
        // A pod that is there already needs no slot.
        let starts = cluster == Cluster::Ready
            && job.state() == ProwJobState::Triggered
            && !job.is_complete()
            && superseded_by.is_none()
            && sight.pod.is_none();
        let keyless = || self.writer.missing_key(&job.spec);
        let start = if let Some(error) = starts.then(keyless).flatten() {
            Start::NoKey(error)
        } else {
            match starts.then(|| self.index.slot(&name)) {
                None | Some(Slot::Held) => Start::Now,
                Some(Slot::Waits(limit)) => Start::Waits(limit),
                Some(Slot::NotYet) => Start::NotKnown,
            }
        };
        let memory = self.memory();
        let memory = memory.get(&name);
        let has_token = sight.pod.as_deref().is_none_or(|pod| {
            memory.is_some_and(|memory| memory.token_of.as_ref() == Some(&pod.uid))
        });
        Place {
            cluster,
            obstacle,
            start,
            superseded_by,
            needs_token: !has_token && decorate::needs_token(&job.spec),
            before: match memory.and_then(|memory| memory.sighting.clone()) {
                Some(known) => known,
                None => Sighting::persisted(job),
            },
        }
    }

    /// How long to wait for the first event of a pod that was just created: asking the API would
    /// tell what is known.
    fn announced(&self, job: &ProwJob, cluster: Option<&BuildCluster>) -> Option<Timestamp> {
        let name = job.name_any();
        if job.state() != ProwJobState::Pending || cluster?.pods.get(&name).is_some() {
            return None;
        }
        let created = self.memory().get(&name)?.created?;
        let left = FIRST_EVENT.checked_sub(created.elapsed())?;
        Timestamp::now().checked_add(left).ok()
    }

    /// The job's pod. "None" is asked of the API wherever it would start or end something.
    async fn find_pod(
        &self,
        job: &ProwJob,
        cluster: Option<&BuildCluster>,
    ) -> Result<Option<Arc<PodView>>, Error> {
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

fn wait_until(at: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    // A timer may fire a little early.
    wait + Duration::from_millis(5)
}

fn log(job: &ProwJob, message: &'static str, step: &Step, why: &'static str) {
    let refs = job.spec.main_refs().cloned().unwrap_or_default();
    let to = match step {
        Step::Change(Change::Claim { .. } | Change::Revive) => "pending",
        Step::Change(Change::Supersede { .. }) => "aborted",
        Step::Change(Change::Schedule { .. }) | Step::Schedule => "triggered",
        Step::Change(Change::Describe { .. }) => "say so",
        Step::ReadEvents { .. } => "read the pod's events",
        Step::Change(Change::Complete { state, .. }) => state.as_str(),
        Step::CreatePod => "create pod",
        Step::CreateToken { .. } => "create storage secret",
        Step::StopPod { .. } => "end pod",
        Step::DeletePod { .. } => "delete pod",
        Step::ReplacePod { .. } => "let go of the pod and delete it",
        Step::ReadJob => "read the job",
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
