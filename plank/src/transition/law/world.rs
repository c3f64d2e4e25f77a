//! A job, its pod, and everybody who does something to them.

use common::prowjob::{DecorationConfig, ProwJob, ProwJobAgent, ProwJobState};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::*;
use crate::{
    patch::{Run, merge_patch},
    pod_view::{ContainerState, ContainerView},
};

#[derive(Clone, Debug)]
pub(super) enum Event {
    Phase(Phase),
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
    /// Pods that are created are not taken now.
    Delay(bool),
    /// Every DELETE fails.
    Undeletable(bool),
    /// The pod's events tell of a missing Secret since so many seconds.
    Missing(Option<i64>),
    /// What the API says to the Secret with the token.
    Token(u8),
    /// Ready, away, or gone from the configuration.
    Cluster(u8),
    /// May start, a limit keeps it, or it is not known.
    Start(u8),
    /// plank starts anew.
    Restart,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) decorated: bool,
    pub(super) needs_token: bool,
    pub(super) fail_fast: bool,
    /// It runs and lets go of pods of complete jobs.
    pub(super) crier: bool,
    /// An ended test's entrypoint says that it left its code.
    pub(super) marks: bool,
    pub(super) max_revivals: i64,
}

#[derive(Debug)]
pub(super) struct World {
    setup: Setup,
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
    cluster: Cluster,
    start: Start,
    before: Option<Sighting>,
    undeleted_since: Option<Timestamp>,
    look_again_at: Option<Timestamp>,
    changed: bool,
    /// Build ids that were claimed, and those of pods that were made.
    pub(super) claims: usize,
    pub(super) pods: Vec<String>,
}

/// What the API has answered while the job is worked on.
#[derive(Default)]
struct Answers {
    refused: bool,
    delayed: bool,
    asked: bool,
    token: Option<Token<'static>>,
    undeleted: bool,
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
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
            cluster: Cluster::Ready,
            start: Start::Now,
            before: None,
            undeleted_since: None,
            look_again_at: None,
            changed: false,
            claims: 0,
            pods: Vec::new(),
        }
    }

    pub(super) fn happens(&mut self, event: &Event) {
        let now = self.now;
        match (event, &mut self.pod) {
            (Event::Phase(phase), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = *phase;
                pod.started = pod.started.or(Some(now));
            }
            (Event::Reason(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = Phase::Failed;
                pod.reason = (*reason).to_owned();
            }
            (Event::Drain(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.disruption = Some((*reason).to_owned());
                pod.deleting = pod.deleting.or(Some(now));
            }
            (Event::Stuck(reason), Some(pod)) if !pod.phase.is_final() => {
                pod.phase = Phase::Pending;
                let (reason, message) = ((*reason).to_owned(), "not found".to_owned());
                let state = ContainerState::Waiting { reason, message };
                pod.containers = vec![container("test", state)];
            }
            (Event::Exit(code, sidecar), Some(pod)) if pod.phase == Phase::Running => {
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
                let mut test = container("test", test);
                test.is_marked = self.setup.marks && !*sidecar;
                pod.containers = vec![test, container("sidecar", other)];
            }
            (Event::Hold, Some(pod)) if pod.deleting.is_none() && !self.job.is_complete() => {
                pod.has_report_finalizer = true;
            }
            (Event::Delete, Some(pod)) => pod.deleting = pod.deleting.or(Some(now)),
            (Event::Confirm, Some(pod)) if pod.deleting.is_some() => {
                pod.deletion_confirmed = true;
                self.remove_if_free();
            }
            (Event::Vanish, _) => self.pod = None,
            (Event::Abort, _) if !self.job.is_complete() => {
                self.job.status.as_mut().unwrap().state = ProwJobState::Aborted;
            }
            (Event::Superseded, _) => self.superseded = true,
            (Event::Seconds(seconds), _) => self.now += SignedDuration::from_secs(*seconds),
            (Event::Refuse(refuse), _) => self.refuse = *refuse,
            (Event::Delay(delay), _) => self.delay = *delay,
            (Event::Undeletable(undeletable), _) => self.undeletable = *undeletable,
            (Event::Missing(seconds), _) => {
                self.missing = seconds.map(|s| now - SignedDuration::from_secs(s));
            }
            (Event::Token(answer), _) => self.token = *answer,
            (Event::Cluster(answer), _) => {
                self.cluster =
                    [Cluster::Ready, Cluster::Unready(now), Cluster::Unknown][usize::from(*answer)];
            }
            (Event::Start(answer), _) => {
                self.start =
                    [Start::Now, Start::Waits(Limit::Job), Start::NotKnown][usize::from(*answer)];
            }
            (Event::Restart, _) => {
                self.before = Sighting::persisted(&self.job);
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

    /// It tells of the pods of complete jobs, and lets them go then.
    pub(super) fn crier_acts(&mut self) {
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
    pub(super) fn settle(&mut self) {
        let mut answers = Answers::default();
        for _ in 0..20 {
            let decision = self.decide(&answers);
            self.before.clone_from(&decision.sighting);
            self.look_again_at = decision.look_again_at;
            match decision.step {
                Step::Wait => {
                    let retries = answers.undeleted || answers.delayed || answers.token.is_some();
                    self.changed |= retries;
                    return;
                }
                Step::Change(change) => self.change(&change),
                Step::CreatePod if self.refuse => answers.refused = true,
                Step::CreatePod if self.delay => answers.delayed = true,
                Step::CreatePod => self.create_pod(),
                Step::ReadEvents { .. } => answers.asked = true,
                Step::CreateToken { pod_uid } => match self.token {
                    0 => self.token_of = Some(pod_uid),
                    1 => answers.token = Some(Token::Refused("no")),
                    _ => answers.token = Some(Token::Delayed),
                },
                Step::StopPod { uid } => answers.undeleted = !self.stop(&uid),
                Step::DeletePod { uid } => answers.undeleted = !self.delete(&uid),
                Step::ReplacePod {
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
                        answers.undeleted = !self.delete(&uid);
                    }
                    self.remove_if_free();
                }
                Step::ReadJob | Step::Schedule => unreachable!("none is needed"),
            }
        }
        panic!("it does not come to rest: {self:?}");
    }

    fn decide(&self, answers: &Answers) -> Decision {
        let needs = self.setup.needs_token
            && self
                .pod
                .as_ref()
                .is_some_and(|pod| self.token_of.as_ref() != Some(&pod.uid));
        let ready = self.cluster == Cluster::Ready;
        let seen = Observed {
            cluster: self.cluster,
            superseded_by: self.superseded.then_some("newer"),
            start: self.start,
            refused: answers.refused.then_some("no"),
            delayed: answers.delayed.then_some("quota"),
            references: match (answers.asked, self.missing) {
                (false, _) => References::NotAsked,
                (true, None) => References::NoneMissing,
                (true, Some(since)) => References::Missing {
                    message: "secret \"s\" not found",
                    since: Some(since),
                },
            },
            token: match (needs, answers.token) {
                (false, _) => Token::NotNeeded,
                (true, None) => Token::Missing,
                (true, Some(answer)) => answer,
            },
            undeleted: self
                .undeleted_since
                .filter(|_| answers.undeleted)
                .map(|since| Undeleted {
                    since,
                    why: "forbidden",
                }),
            before: self.before.as_ref(),
            ..Observed::new(&self.job, self.pod.as_ref().filter(|_| ready))
        };
        let settings = Settings {
            fail_fast: self.setup.fail_fast,
            max_revivals: self.setup.max_revivals,
            ..Settings::default()
        };
        transition(&seen, &settings, self.now)
    }

    /// Whether it is done.
    fn delete(&mut self, uid: &str) -> bool {
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

    /// Whether it is done.
    fn stop(&mut self, uid: &str) -> bool {
        let pod = self
            .pod
            .as_mut()
            .expect("only a pod that is there is stopped");
        assert_eq!(
            (pod.uid.as_str(), pod.phase, pod.is_told_to_end),
            (uid, Phase::Running, false)
        );
        if self.undeletable {
            self.undeleted_since.get_or_insert(self.now);
            return false;
        }
        self.undeleted_since = None;
        pod.is_told_to_end = true;
        true
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
            mounts_references: true,
            ..PodView::default()
        });
    }
}

fn container(name: &str, state: ContainerState) -> ContainerView {
    ContainerView {
        name: name.into(),
        state,
        ..ContainerView::default()
    }
}

fn merge(base: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !base.is_object() {
                *base = Value::Object(Default::default());
            }
            for (key, value) in fields {
                if value.is_null() {
                    base.as_object_mut().map(|base| base.remove(key));
                } else {
                    merge(&mut base[key], value);
                }
            }
        }
        value => *base = value.clone(),
    }
}
