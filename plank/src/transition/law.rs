//! What holds for every course of events: a job and its pod are played through at random, with
//! the steps applied as the API would.

use common::prowjob::{ProwJob, ProwJobAgent, ProwJobState};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    patch::{Run, merge_patch},
    pod_view::{ContainerState, ContainerView},
};

#[derive(Clone, Debug)]
enum Event {
    Phase(Phase),
    /// The pod as a whole fails for this reason.
    Reason(&'static str),
    /// The cluster announces that it ends the pod.
    Disrupt(&'static str),
    /// A container waits for this reason.
    Stuck(&'static str),
    /// Somebody deletes the pod.
    Delete,
    /// The node confirms a deletion.
    Gone,
    /// A pod is removed without a trace.
    Vanish,
    /// Somebody aborts the job.
    Abort,
    Superseded,
    Minutes(i64),
    /// The pod that is created next is refused.
    Refuse,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Phase(Phase::Pending)),
        Just(Event::Phase(Phase::Running)),
        Just(Event::Phase(Phase::Succeeded)),
        Just(Event::Phase(Phase::Failed)),
        Just(Event::Phase(Phase::Unknown)),
        Just(Event::Reason("Evicted")),
        Just(Event::Reason("NodeLost")),
        Just(Event::Reason("DeadlineExceeded")),
        Just(Event::Disrupt("PreemptionByScheduler")),
        Just(Event::Stuck("ErrImagePull")),
        Just(Event::Stuck("ImagePullBackOff")),
        Just(Event::Stuck("CreateContainerConfigError")),
        Just(Event::Delete),
        Just(Event::Gone),
        Just(Event::Vanish),
        Just(Event::Abort),
        Just(Event::Superseded),
        (1..400i64).prop_map(Event::Minutes),
        Just(Event::Refuse),
    ]
}

struct World {
    job: ProwJob,
    pod: Option<PodView>,
    now: Timestamp,
    superseded: bool,
    refuse: bool,
    /// Build ids that were claimed, and those of pods that were made.
    claims: usize,
    pods: Vec<String>,
}

impl World {
    fn new() -> Self {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.agent = ProwJobAgent::kubernetes();
        job.status = Some(Default::default());
        Self {
            job,
            pod: None,
            now: "2026-08-01T00:00:00Z".parse().unwrap(),
            superseded: false,
            refuse: false,
            claims: 0,
            pods: Vec::new(),
        }
    }

    fn happens(&mut self, event: &Event) {
        match (event, &mut self.pod) {
            (Event::Phase(phase), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = *phase;
                pod.started = pod.started.or(Some(self.now));
            }
            (Event::Reason(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = Phase::Failed;
                pod.reason = (*reason).to_owned();
            }
            (Event::Disrupt(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.disruption = Some((*reason).to_owned());
            }
            (Event::Stuck(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = Phase::Pending;
                let (reason, message) = ((*reason).to_owned(), "not found".to_owned());
                let state = ContainerState::Waiting { reason, message };
                let container = ContainerView {
                    name: "test".into(),
                    state,
                    ran_before: false,
                    pull_failures: 0,
                    pull_error: String::new(),
                };
                let before = pod.clone();
                pod.containers = vec![container];
                *pod = pod.clone().after(Some(&before));
            }
            (Event::Delete, Some(pod)) => pod.deleting = pod.deleting.or(Some(self.now)),
            (Event::Gone, Some(pod)) if pod.deleting.is_some() => self.pod = None,
            (Event::Vanish, _) => self.pod = None,
            (Event::Abort, _) if !self.job.is_complete() => {
                self.job.status.as_mut().unwrap().state = ProwJobState::Aborted;
            }
            (Event::Superseded, _) => self.superseded = true,
            (Event::Minutes(minutes), _) => self.now += SignedDuration::from_mins(*minutes),
            (Event::Refuse, _) => self.refuse = true,
            _ => {}
        }
    }

    /// Takes every step that there is to take; their number.
    fn settle(&mut self) -> usize {
        let mut refused = None;
        for steps in 0..20 {
            let decision = transition(
                &Observed {
                    job: &self.job,
                    pod: self.pod.as_ref(),
                    cluster: Cluster::Ready,
                    superseded_by: self.superseded.then_some("newer"),
                    blocked_by: None,
                    refused,
                    delayed: None,
                    references: References::NotAsked,
                    needs_storage_secret: false,
                },
                &Settings::default(),
                self.now,
            );
            match decision.step {
                Step::Wait => return steps,
                Step::Change(change) => self.change(&change),
                Step::CreatePod if std::mem::take(&mut self.refuse) => refused = Some("no"),
                Step::CreatePod => self.create_pod(),
                Step::DeletePod { uid, .. } => {
                    let pod = self
                        .pod
                        .as_mut()
                        .expect("only a pod that is there is deleted");
                    assert_eq!(pod.uid, uid);
                    assert_eq!(pod.deleting, None, "deleted twice");
                    pod.deleting = Some(self.now);
                }
                Step::CreateStorageSecret { .. } | Step::ReadEvents { .. } | Step::Schedule => {
                    unreachable!("none is needed")
                }
            }
        }
        panic!(
            "it does not come to rest: {:?} {:?}",
            self.job.status, self.pod
        );
    }

    fn change(&mut self, change: &Change) {
        if matches!(change, Change::Claim { .. } | Change::Revive) {
            self.claims += 1;
        }
        let build_id = self.claims.to_string();
        let url = String::new();
        let patch = merge_patch(&self.job, change, &Run { build_id, url }, self.now);
        let mut job = serde_json::to_value(&self.job).unwrap();
        merge(&mut job, &patch);
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
            phase: Phase::Pending,
            created: Some(self.now),
            ..PodView::default()
        });
    }
}

fn merge(base: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !base.is_object() {
                *base = Value::Object(Default::default());
            }
            for (key, value) in fields {
                merge(&mut base[key], value);
            }
        }
        value => *base = value.clone(),
    }
}

proptest! {
    #[test]
    fn a_final_state_stays_and_pods_are_claimed(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        world.settle();
        for event in &events {
            let before = world.job.clone();
            world.happens(event);
            world.settle();
            if before.is_complete() {
                prop_assert_eq!(&before.status, &world.job.status, "after {:?}", event);
            }
            let status = world.job.status.as_ref().unwrap();
            prop_assert!(status.pod_revival_count <= Settings::default().max_revivals);
            let claimed = world.pods.iter().all(|id| id.parse::<usize>().unwrap() <= world.claims);
            prop_assert!(claimed, "a pod without a claim");
            if status.state == ProwJobState::Aborted && world.job.is_complete() {
                let ended = world.pod.as_ref().is_none_or(|p| p.deleting.is_some() || p.phase.is_final());
                prop_assert!(ended, "an aborted job's pod goes on");
            }
        }
    }
}
