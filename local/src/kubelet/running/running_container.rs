//! One container of a running pod: its stage, its earlier runs, and the events to report about it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::kubelet::events::EventType;
use crate::kubelet::plan::{ContainerPlan, ContainerRole};
use crate::kubelet::progress::ContainerStage;
use crate::kubelet::restart::{BackOff, RestartPolicy};
use crate::kubelet::status::{ContainerTermination, EarlierRuns, RunState};
use crate::kubelet::task::{ContainerEvent, ContainerOrder};

/// How long something may be missing before an event reports it.
const MISSING_GRACE: Duration = Duration::from_secs(1);
/// Time between two events that report the same missing thing.
const REPEAT_INTERVAL: Duration = Duration::from_secs(30);

pub(super) struct RunningContainer {
    pub(super) plan: ContainerPlan,
    /// Identifies the current run of the container.
    pub(super) id: String,
    pub(super) state: RunState,
    pub(super) stage: ContainerStage,
    pub(super) order: watch::Sender<ContainerOrder>,
    pub(super) earlier: EarlierRuns,
    /// When it is started again.
    pub(super) again_at: Option<Instant>,
    back_off: BackOff,
    missing: MissingNotice,
}

/// What a pod or container waits for, and whether to report it: not at first, since most of it
/// comes at once, and then now and again.
#[derive(Default)]
pub(super) struct MissingNotice {
    what: String,
    since: Option<Instant>,
    said: Option<Instant>,
}

/// What an event says about a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventContent {
    pub(super) kind: EventType,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl MissingNotice {
    /// Whether an event must report now that `what` is missing.
    pub(super) fn should_report(&mut self, what: &str, now: Instant) -> bool {
        if self.what != what {
            *self = Self {
                what: what.to_owned(),
                ..Self::default()
            };
        }
        let since = *self.since.get_or_insert(now);
        let just_said = self.said.is_some_and(|said| now < said + REPEAT_INTERVAL);
        let is_news = now >= since + MISSING_GRACE && !just_said;
        if is_news {
            self.said = Some(now);
        }
        is_news
    }
}

impl RunningContainer {
    /// `reason` is why it waits at first.
    pub(super) fn new(plan: ContainerPlan, reason: &'static str) -> Self {
        Self {
            plan,
            id: new_run_id(),
            state: RunState::Waiting {
                reason,
                message: None,
            },
            stage: ContainerStage::Idle,
            order: watch::Sender::new(ContainerOrder::Run),
            earlier: EarlierRuns::default(),
            again_at: None,
            back_off: BackOff::default(),
            missing: MissingNotice::default(),
        }
    }

    pub(super) fn container_name(&self) -> &str {
        &self.plan.container.name
    }

    /// The container's field path in its pod, as events have it.
    pub(super) fn field_path(&self) -> Option<String> {
        let list = match self.plan.role {
            ContainerRole::Main => "containers",
            ContainerRole::Init | ContainerRole::Sidecar => "initContainers",
        };
        Some(format!("spec.{list}{{{}}}", self.container_name()))
    }

    /// Updates the container. Returns the events to report. `pod` is the pod's name in messages.
    pub(super) fn handle_event(
        &mut self,
        event: ContainerEvent,
        policy: RestartPolicy,
        pod: &str,
    ) -> Vec<EventContent> {
        let name = self.container_name();
        match event {
            ContainerEvent::Waiting(missing) => {
                let is_news = self.missing.should_report(&missing, Instant::now());
                let told = failed_event(&missing);
                self.state = RunState::Waiting {
                    reason: "CreateContainerConfigError",
                    message: Some(missing),
                };
                if is_news { vec![told] } else { Vec::new() }
            }
            ContainerEvent::Started(since) => {
                let told = [
                    ("Created", format!("Created container: {name}")),
                    ("Started", format!("Started container {name}")),
                ];
                self.stage = ContainerStage::Running;
                self.state = RunState::Running { since };
                let normal = |(reason, message)| EventContent {
                    kind: EventType::Normal,
                    reason,
                    message,
                };
                told.map(normal).into()
            }
            ContainerEvent::Ended(ended) => {
                let not_started = ended.message.as_ref().filter(|_| ended.started.is_none());
                let mut told: Vec<_> = not_started
                    .map(|why| failed_event(why))
                    .into_iter()
                    .collect();
                if policy.should_restart(self.plan.role, ended.code) {
                    told.extend(self.schedule_restart(ended, pod));
                } else {
                    self.stage = ContainerStage::Ended(ended.code);
                    self.state = RunState::Ended(ended);
                }
                told
            }
            ContainerEvent::Never => {
                self.stage = ContainerStage::Never;
                Vec::new()
            }
        }
    }

    /// Schedules the next run.
    fn schedule_restart(&mut self, ended: ContainerTermination, pod: &str) -> Option<EventContent> {
        let ran = ended
            .started
            .map(|started| ended.finished.duration_since(started));
        let ran = ran.and_then(|ran| Duration::try_from(ran).ok());
        let wait = self.back_off.next_delay(ran.unwrap_or_default());
        self.stage = ContainerStage::Resting;
        self.again_at = Some(Instant::now() + wait);
        if wait.is_zero() {
            self.state = RunState::Ended(ended);
            return None;
        }
        self.earlier.last = Some((ended, self.id.clone()));
        let name = self.container_name();
        let told = EventContent {
            kind: EventType::Warning,
            reason: "BackOff",
            message: format!("Back-off restarting failed container {name} in pod {pod}"),
        };
        let message = format!("back-off {wait:?} restarting failed container={name} pod={pod}");
        self.state = RunState::Waiting {
            reason: "CrashLoopBackOff",
            message: Some(message),
        };
        Some(told)
    }

    /// Makes the container ready to start if its wait is over.
    pub(super) fn restart_if_due(&mut self, now: Instant) {
        if self.again_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        if let RunState::Ended(ended) = &self.state {
            self.earlier.last = Some((ended.clone(), self.id.clone()));
        }
        self.earlier.count += 1;
        self.id = new_run_id();
        self.stage = ContainerStage::Idle;
    }
}

fn new_run_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn failed_event(why: &str) -> EventContent {
    EventContent {
        kind: EventType::Warning,
        reason: "Failed",
        message: format!("Error: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn slot() -> RunningContainer {
        let container = serde_json::from_value(json!({"name": "c"})).unwrap();
        let plan = ContainerPlan {
            role: ContainerRole::Main,
            container,
        };
        RunningContainer::new(plan, "ContainerCreating")
    }

    fn ended(started: Option<Timestamp>) -> ContainerEvent {
        ContainerEvent::Ended(ContainerTermination {
            code: 1,
            reason: "Error",
            message: Some("why".to_owned()),
            started,
            finished: Timestamp::UNIX_EPOCH,
        })
    }

    fn reasons(told: &[EventContent]) -> Vec<&'static str> {
        told.iter().map(|told| told.reason).collect()
    }

    #[test]
    fn what_is_missing_is_told_after_a_second_and_twice_a_minute() {
        let start = Instant::now();
        let mut missing = MissingNotice::default();
        let mut told = |second: u64, what: &str| {
            missing.should_report(what, start + Duration::from_secs(second))
        };
        let seconds: Vec<u64> = (0..=65).filter(|second| told(*second, "a")).collect();
        assert_eq!(seconds, [1, 31, 61]);
        assert!(!told(66, "b"));
        assert!(told(67, "b"));
    }

    #[test]
    fn what_happens_is_told() {
        let mut slot = slot();
        let waiting = || ContainerEvent::Waiting("secret \"s\" not found".to_owned());
        let now = Timestamp::UNIX_EPOCH;
        for (event, expected) in [
            (waiting(), &[][..]),
            (ContainerEvent::Started(now), &["Created", "Started"]),
            // No event reports what the container printed at its end.
            (ended(Some(now)), &[]),
        ] {
            assert_eq!(
                reasons(&slot.handle_event(event, RestartPolicy::Never, "p")),
                expected
            );
        }
        assert_eq!(slot.stage, ContainerStage::Ended(1));
    }

    #[test]
    fn one_that_runs_again_counts_its_runs() {
        let mut slot = slot();
        let first = slot.id.clone();
        assert_eq!(
            reasons(&slot.handle_event(ended(None), RestartPolicy::Always, "p")),
            ["Failed"]
        );
        slot.restart_if_due(Instant::now());
        assert_eq!((slot.stage, slot.earlier.count), (ContainerStage::Idle, 1));
        assert_eq!(slot.earlier.last.as_ref().unwrap().1, first);
        let told = slot.handle_event(ended(None), RestartPolicy::Always, "p");
        assert_eq!(reasons(&told), ["Failed", "BackOff"]);
        slot.restart_if_due(Instant::now());
        assert_eq!(
            (slot.stage, slot.earlier.count),
            (ContainerStage::Resting, 1)
        );
    }
}
