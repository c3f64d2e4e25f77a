//! Simulates a job, its pod, and everybody who changes them.

use common::prowjob::{DecorationConfig, ProwJob, ProwJobAgent, ProwJobState};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::*;
use crate::{
    patch::{ClaimedRun, merge_patch},
    pod_view::{ContainerState, ContainerView},
};

#[derive(Clone, Debug)]
pub(super) enum SimulatedEvent {
    Phase(PodPhase),
    /// The pod as a whole fails for this reason.
    Reason(&'static str),
    /// The cluster deletes the pod and says why.
    Drain(&'static str),
    /// A container waits for this reason.
    Stuck(&'static str),
    /// The test ends with this code, or its sidecar is killed, while the pod runs.
    Exit(i32, bool),
    /// crier adds its finalizer.
    Hold,
    /// Somebody deletes the pod.
    Delete,
    /// The node confirms a deletion.
    Confirm,
    /// A pod is removed without a trace.
    Vanish,
    /// Somebody aborts the job.
    Abort,
    Superseded,
    Seconds(i64),
    /// Pods that are created are refused.
    Refuse(bool),
    /// Pods that are created are not accepted now.
    Delay(bool),
    /// Every DELETE fails.
    Undeletable(bool),
    /// The pod's events report a Secret that has been missing for so many seconds.
    Missing(Option<i64>),
    /// The API's answer to the Secret with the token.
    Token(u8),
    /// Ready, away, or gone from the configuration.
    Cluster(u8),
    /// It may start, a limit blocks it, or that is not known.
    Start(u8),
    /// plank restarts.
    Restart,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SimulationSetup {
    pub(super) decorated: bool,
    pub(super) needs_token: bool,
    pub(super) fail_fast: bool,
    /// It runs and releases pods of complete jobs.
    pub(super) crier: bool,
    /// The entrypoint of an ended test says that it left its exit code.
    pub(super) marks: bool,
    pub(super) max_revivals: i64,
    /// The CRD keeps `pod_revival_count`; upstream's of 2024 does not.
    pub(super) counts_revivals: bool,
}

#[derive(Debug)]
pub(super) struct RunSimulation {
    setup: SimulationSetup,
    pub(super) job: ProwJob,
    pub(super) pod: Option<PodView>,
    pub(super) now: Timestamp,
    superseded: bool,
    refuse: bool,
    delay: bool,
    undeletable: bool,
    missing: Option<Timestamp>,
    token: u8,
    token_of: Option<String>,
    cluster: ClusterReadiness,
    start: StartPermission,
    before: Option<ObservedObstacle>,
    undeleted_since: Option<Timestamp>,
    look_again_at: Option<Timestamp>,
    changed: bool,
    /// Build ids that were claimed, and those of pods that were made.
    pub(super) claims: usize,
    pub(super) pods: Vec<String>,
}

/// The API's answers during one reconciliation.
#[derive(Default)]
struct SimulatedAnswers {
    refused: bool,
    delayed: bool,
    asked: bool,
    token: Option<StorageTokenState<'static>>,
    undeleted: bool,
}

impl RunSimulation {
    pub(super) fn new(setup: SimulationSetup) -> Self {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.agent = ProwJobAgent::kubernetes();
        job.spec.decoration_config = setup.decorated.then(DecorationConfig::default);
        job.status = Some(Default::default());
        Self {
            setup,
            job,
            pod: None,
            now: "2026-08-01T00:00:00Z".parse().unwrap(),
            superseded: false,
            refuse: false,
            delay: false,
            undeletable: false,
            missing: None,
            token: 0,
            token_of: None,
            cluster: ClusterReadiness::Ready,
            start: StartPermission::Now,
            before: None,
            undeleted_since: None,
            look_again_at: None,
            changed: false,
            claims: 0,
            pods: Vec::new(),
        }
    }

    pub(super) fn apply_event(&mut self, event: &SimulatedEvent) {
        let now = self.now;
        match (event, &mut self.pod) {
            (SimulatedEvent::Phase(phase), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = *phase;
                pod.started = pod.started.or(Some(now));
            }
            (SimulatedEvent::Reason(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = PodPhase::Failed;
                pod.reason = (*reason).to_owned();
            }
            (SimulatedEvent::Drain(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.disruption = Some((*reason).to_owned());
                pod.deleting = pod.deleting.or(Some(now));
            }
            (SimulatedEvent::Stuck(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = PodPhase::Pending;
                let (reason, message) = ((*reason).to_owned(), "not found".to_owned());
                let state = ContainerState::Waiting { reason, message };
                pod.containers = vec![container_view("test", state)];
            }
            (SimulatedEvent::Exit(code, sidecar), Some(pod)) if pod.phase == PodPhase::Running => {
                let ended = |exit_code| ContainerState::Terminated {
                    reason: String::new(),
                    exit_code,
                    finished: Some(now),
                };
                let runs = ContainerState::Running;
                let (test, other) = if *sidecar {
                    (runs, ended(137))
                } else {
                    (ended(*code), runs)
                };
                let mut test = container_view("test", test);
                test.is_marked = self.setup.marks && !*sidecar;
                pod.containers = vec![test, container_view("sidecar", other)];
            }
            (SimulatedEvent::Hold, Some(pod))
                if pod.deleting.is_none() && !self.job.is_complete() =>
            {
                pod.has_report_finalizer = true;
            }
            (SimulatedEvent::Delete, Some(pod)) => pod.deleting = pod.deleting.or(Some(now)),
            (SimulatedEvent::Confirm, Some(pod)) if pod.deleting.is_some() => {
                pod.deletion_confirmed = true;
                self.remove_if_free();
            }
            (SimulatedEvent::Vanish, _) => self.pod = None,
            (SimulatedEvent::Abort, _) if !self.job.is_complete() => {
                self.job.status.as_mut().unwrap().state = ProwJobState::Aborted;
            }
            (SimulatedEvent::Superseded, _) => self.superseded = true,
            (SimulatedEvent::Seconds(seconds), _) => {
                self.now += SignedDuration::from_secs(*seconds)
            }
            (SimulatedEvent::Refuse(refuse), _) => self.refuse = *refuse,
            (SimulatedEvent::Delay(delay), _) => self.delay = *delay,
            (SimulatedEvent::Undeletable(undeletable), _) => self.undeletable = *undeletable,
            (SimulatedEvent::Missing(seconds), _) => {
                self.missing = seconds.map(|s| now - SignedDuration::from_secs(s));
            }
            (SimulatedEvent::Token(answer), _) => self.token = *answer,
            (SimulatedEvent::Cluster(answer), _) => {
                self.cluster = [
                    ClusterReadiness::Ready,
                    ClusterReadiness::Unready(now),
                    ClusterReadiness::Unknown,
                ][usize::from(*answer)];
            }
            (SimulatedEvent::Start(answer), _) => {
                self.start = [
                    StartPermission::Now,
                    StartPermission::Waits(ReachedLimit::Job),
                    StartPermission::NotKnown,
                ][usize::from(*answer)];
            }
            (SimulatedEvent::Restart, _) => {
                self.before = ObservedObstacle::from_annotation(&self.job);
                (self.undeleted_since, self.token_of) = (None, None);
            }
            _ => {}
        }
    }

    fn remove_if_free(&mut self) {
        let goes = |pod: &PodView| pod.deletion_confirmed && !pod.has_report_finalizer;
        if self.pod.as_ref().is_some_and(goes) {
            self.pod = None;
            self.changed = true;
        }
    }

    /// Reports the pods of complete jobs, and then releases them.
    pub(super) fn run_crier(&mut self) {
        let tells = self.setup.crier && self.job.is_complete();
        if let Some(pod) = self.pod.as_mut().filter(|_| tells) {
            pod.has_report_finalizer = false;
            self.remove_if_free();
        }
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.look_again_at
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn sleep_until(&mut self, at: Option<Timestamp>) {
        self.changed = false;
        let retry = self.now + SignedDuration::from_secs(10);
        self.now = at.map_or(retry, |at| at.max(self.now + SignedDuration::from_secs(1)));
    }

    /// Takes every step that there is to take.
    pub(super) fn take_steps(&mut self) {
        let mut answers = SimulatedAnswers::default();
        for _ in 0..20 {
            let decision = self.decide_step(&answers);
            self.before.clone_from(&decision.sighting);
            self.look_again_at = decision.look_again_at;
            match decision.step {
                TransitionStep::Wait => {
                    let retries = answers.undeleted || answers.delayed || answers.token.is_some();
                    self.changed |= retries;
                    return;
                }
                TransitionStep::Change(change) => self.apply_change(&change),
                TransitionStep::CreatePod if self.refuse => answers.refused = true,
                TransitionStep::CreatePod if self.delay => answers.delayed = true,
                TransitionStep::CreatePod => self.create_pod(),
                TransitionStep::ReadEvents { .. } => answers.asked = true,
                TransitionStep::CreateToken { pod_uid } => match self.token {
                    0 => self.token_of = Some(pod_uid),
                    1 => answers.token = Some(StorageTokenState::Refused("no")),
                    _ => answers.token = Some(StorageTokenState::Delayed),
                },
                TransitionStep::StopPod { uid } => answers.undeleted = !self.stop_pod(&uid),
                TransitionStep::DeletePod { uid } => answers.undeleted = !self.delete_pod(&uid),
                TransitionStep::ReplacePod {
                    uid,
                    is_held,
                    is_ending,
                } => {
                    let pod = self.pod.as_mut().expect("only what is there is replaced");
                    assert_eq!(
                        (is_held, is_ending),
                        (pod.has_report_finalizer, pod.deleting.is_some())
                    );
                    let claimed = &self.job.status.as_ref().unwrap().build_id;
                    assert_ne!(
                        pod.build_id.as_ref(),
                        Some(claimed),
                        "crier has yet to tell of it"
                    );
                    pod.has_report_finalizer = false;
                    if !is_ending {
                        answers.undeleted = !self.delete_pod(&uid);
                    }
                    self.remove_if_free();
                }
                TransitionStep::ReadJob | TransitionStep::Schedule => {
                    unreachable!("none is needed")
                }
            }
        }
        panic!("it does not come to rest: {self:?}");
    }

    fn decide_step(&self, answers: &SimulatedAnswers) -> TransitionDecision {
        let needs = self.setup.needs_token
            && self
                .pod
                .as_ref()
                .is_some_and(|pod| self.token_of.as_ref() != Some(&pod.uid));
        let ready = self.cluster == ClusterReadiness::Ready;
        let seen = ObservedJob {
            cluster: self.cluster,
            superseded_by: self.superseded.then_some("newer"),
            start: self.start,
            refused: answers.refused.then_some("no"),
            delayed: answers.delayed.then_some("quota"),
            references: match (answers.asked, self.missing) {
                (false, _) => ReferenceCheck::NotAsked,
                (true, None) => ReferenceCheck::NoneMissing,
                (true, Some(since)) => ReferenceCheck::Missing {
                    message: "secret \"s\" not found",
                    since: Some(since),
                },
            },
            token: match (needs, answers.token) {
                (false, _) => StorageTokenState::NotNeeded,
                (true, None) => StorageTokenState::Missing,
                (true, Some(answer)) => answer,
            },
            undeleted: self
                .undeleted_since
                .filter(|_| answers.undeleted)
                .map(|since| FailedDeletion {
                    since,
                    why: "forbidden",
                }),
            before: self.before.as_ref(),
            ..ObservedJob::new(&self.job, self.pod.as_ref().filter(|_| ready))
        };
        let settings = TransitionSettings {
            fail_fast: self.setup.fail_fast,
            max_revivals: self.setup.max_revivals,
            ..TransitionSettings::default()
        };
        decide_next_step(&seen, &settings, self.now)
    }

    /// Returns whether it succeeded.
    fn delete_pod(&mut self, uid: &str) -> bool {
        let pod = self
            .pod
            .as_mut()
            .expect("only a pod that is there is deleted");
        assert_eq!((pod.uid.as_str(), pod.deleting), (uid, None));
        if self.undeletable {
            self.undeleted_since.get_or_insert(self.now);
            return false;
        }
        self.undeleted_since = None;
        pod.deleting = Some(self.now);
        true
    }

    /// Returns whether it succeeded.
    fn stop_pod(&mut self, uid: &str) -> bool {
        let pod = self
            .pod
            .as_mut()
            .expect("only a pod that is there is stopped");
        assert_eq!(
            (pod.uid.as_str(), pod.phase, pod.is_told_to_end),
            (uid, PodPhase::Running, false)
        );
        if self.undeletable {
            self.undeleted_since.get_or_insert(self.now);
            return false;
        }
        self.undeleted_since = None;
        pod.is_told_to_end = true;
        true
    }

    fn apply_change(&mut self, change: &ProwJobChange) {
        if matches!(change, ProwJobChange::Claim { .. } | ProwJobChange::Revive) {
            self.claims += 1;
        }
        let build_id = self.claims.to_string();
        let url = String::new();
        let patch = merge_patch(&self.job, change, &ClaimedRun { build_id, url }, self.now);
        let mut job = serde_json::to_value(&self.job).unwrap();
        apply_merge_patch(&mut job, &patch);
        if !self.setup.counts_revivals {
            job["status"]["pod_revival_count"] = Value::Null;
        }
        self.job = serde_json::from_value(job).unwrap();
    }

    fn create_pod(&mut self) {
        assert!(self.pod.is_none(), "two pods at once");
        let build_id = self.job.status.as_ref().unwrap().build_id.clone();
        self.pods.push(build_id.clone());
        self.pod = Some(PodView {
            name: "pj".into(),
            uid: self.pods.len().to_string(),
            job: Some("pj".into()),
            build_id: Some(build_id),
            phase: PodPhase::Pending,
            created: Some(self.now),
            mounts_references: true,
            ..PodView::default()
        });
    }
}

fn container_view(name: &str, state: ContainerState) -> ContainerView {
    ContainerView {
        name: name.into(),
        state,
        ..ContainerView::default()
    }
}

fn apply_merge_patch(base: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !base.is_object() {
                *base = Value::Object(Default::default());
            }
            for (key, value) in fields {
                if value.is_null() {
                    base.as_object_mut().map(|base| base.remove(key));
                } else {
                    apply_merge_patch(&mut base[key], value);
                }
            }
        }
        value => *base = value.clone(),
    }
}
