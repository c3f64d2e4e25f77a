//! One container of a pod that runs: how far it is, what came before, and what is to be told of it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::kubelet::events::Kind;
use crate::kubelet::plan::{ContainerPlan, Role};
use crate::kubelet::progress::Stage;
use crate::kubelet::restart::{BackOff, Policy};
use crate::kubelet::status::{Earlier, Ended, State};
use crate::kubelet::task::{Event, Order};

/// How long something may be missing before an event says so.
const COMES_SOON: Duration = Duration::from_secs(1);
/// Between two events that say the same of what waits.
const SAY_AGAIN: Duration = Duration::from_secs(30);

pub(super) struct Slot {
    pub(super) plan: ContainerPlan,
    /// Of this one run of the container.
    pub(super) id: String,
    pub(super) state: State,
    pub(super) stage: Stage,
    pub(super) order: watch::Sender<Order>,
    pub(super) earlier: Earlier,
    /// When it runs again.
    pub(super) again_at: Option<Instant>,
    back_off: BackOff,
    missing: Missing,
}

/// What something waits for, as its events tell it: not at first, since most of it comes at once, and then now and again.
#[derive(Default)]
pub(super) struct Missing {
    what: String,
    since: Option<Instant>,
    said: Option<Instant>,
}

/// What an event says of a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Missing {
    /// Whether an event is to say now that this is missing.
    pub(super) fn is_news(&mut self, what: &str, now: Instant) -> bool {
        if self.what != what {
            *self = Self {
                what: what.to_owned(),
                ..Self::default()
            };
        }
        let since = *self.since.get_or_insert(now);
        let just_said = self.said.is_some_and(|said| now < said + SAY_AGAIN);
        let is_news = now >= since + COMES_SOON && !just_said;
        if is_news {
            self.said = Some(now);
        }
        is_news
    }
}

impl Slot {
    /// `reason` is why it waits at first.
    pub(super) fn new(plan: ContainerPlan, reason: &'static str) -> Self {
        Self {
            plan,
            id: new_id(),
            state: State::Waiting {
                reason,
                message: None,
            },
            stage: Stage::Idle,
            order: watch::Sender::new(Order::Run),
            earlier: Earlier::default(),
            again_at: None,
            back_off: BackOff::default(),
            missing: Missing::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.plan.container.name
    }

    /// The container's place in its pod, as events name it.
    pub(super) fn path(&self) -> Option<String> {
        let list = match self.plan.role {
            Role::Main => "containers",
            Role::Init | Role::Sidecar => "initContainers",
        };
        Some(format!("spec.{list}{{{}}}", self.name()))
    }

    /// Takes in what became of it. `pod` is the pod as messages name it.
    pub(super) fn note(&mut self, event: Event, policy: Policy, pod: &str) -> Vec<Told> {
        let name = self.name();
        match event {
            Event::Waiting(missing) => {
                let is_news = self.missing.is_news(&missing, Instant::now());
                let told = failed(&missing);
                self.state = State::Waiting {
                    reason: "CreateContainerConfigError",
                    message: Some(missing),
                };
                if is_news { vec![told] } else { Vec::new() }
            }
            Event::Started(since) => {
                let told = [
                    ("Created", format!("Created container: {name}")),
                    ("Started", format!("Started container {name}")),
                ];
                self.stage = Stage::Running;
                self.state = State::Running { since };
                let normal = |(reason, message)| Told {
                    kind: Kind::Normal,
                    reason,
                    message,
                };
                told.map(normal).into()
            }
            Event::Ended(ended) => {
                let not_started = ended.message.as_ref().filter(|_| ended.started.is_none());
                let mut told: Vec<_> = not_started.map(|why| failed(why)).into_iter().collect();
                if policy.restarts(self.plan.role, ended.code) {
                    told.extend(self.rest(ended, pod));
                } else {
                    self.stage = Stage::Ended(ended.code);
                    self.state = State::Ended(ended);
                }
                told
            }
            Event::Never => {
                self.stage = Stage::Never;
                Vec::new()
            }
        }
    }

    /// Waits for the next run.
    fn rest(&mut self, ended: Ended, pod: &str) -> Option<Told> {
        let ran = ended
            .started
            .map(|started| ended.finished.duration_since(started));
        let ran = ran.and_then(|ran| Duration::try_from(ran).ok());
        let wait = self.back_off.next(ran.unwrap_or_default());
        self.stage = Stage::Resting;
        self.again_at = Some(Instant::now() + wait);
        if wait.is_zero() {
            self.state = State::Ended(ended);
            return None;
        }
        self.earlier.last = Some((ended, self.id.clone()));
        let name = self.name();
        let told = Told {
            kind: Kind::Warning,
            reason: "BackOff",
            message: format!("Back-off restarting failed container {name} in pod {pod}"),
        };
        let message = format!("back-off {wait:?} restarting failed container={name} pod={pod}");
        self.state = State::Waiting {
            reason: "CrashLoopBackOff",
            message: Some(message),
        };
        Some(told)
    }

    /// Lets it have its turn again if its wait is over.
    pub(super) fn run_again(&mut self, now: Instant) {
        if self.again_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        if let State::Ended(ended) = &self.state {
            self.earlier.last = Some((ended.clone(), self.id.clone()));
        }
        self.earlier.count += 1;
        self.id = new_id();
        self.stage = Stage::Idle;
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn failed(why: &str) -> Told {
    Told {
        kind: Kind::Warning,
        reason: "Failed",
        message: format!("Error: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn slot() -> Slot {
        let container = serde_json::from_value(json!({"name": "c"})).unwrap();
        let plan = ContainerPlan {
            role: Role::Main,
            container,
        };
        Slot::new(plan, "ContainerCreating")
    }

    fn ended(started: Option<Timestamp>) -> Event {
        Event::Ended(Ended {
            code: 1,
            reason: "Error",
            message: Some("why".to_owned()),
            started,
            finished: Timestamp::UNIX_EPOCH,
        })
    }

    fn reasons(told: &[Told]) -> Vec<&'static str> {
        told.iter().map(|told| told.reason).collect()
    }

    #[test]
    fn what_is_missing_is_told_after_a_second_and_twice_a_minute() {
        let start = Instant::now();
        let mut missing = Missing::default();
        let mut told =
            |second: u64, what: &str| missing.is_news(what, start + Duration::from_secs(second));
        let seconds: Vec<u64> = (0..=65).filter(|second| told(*second, "a")).collect();
        assert_eq!(seconds, [1, 31, 61]);
        assert!(!told(66, "b"));
        assert!(told(67, "b"));
    }

    #[test]
    fn what_happens_is_told() {
        let mut slot = slot();
        let waiting = || Event::Waiting("secret \"s\" not found".to_owned());
        let now = Timestamp::UNIX_EPOCH;
        for (event, expected) in [
            (waiting(), &[][..]),
            (Event::Started(now), &["Created", "Started"]),
            // What it printed at its end is its own.
            (ended(Some(now)), &[]),
        ] {
            assert_eq!(reasons(&slot.note(event, Policy::Never, "p")), expected);
        }
        assert_eq!(slot.stage, Stage::Ended(1));
    }

    #[test]
    fn one_that_runs_again_counts_its_runs() {
        let mut slot = slot();
        let first = slot.id.clone();
        assert_eq!(
            reasons(&slot.note(ended(None), Policy::Always, "p")),
            ["Failed"]
        );
        slot.run_again(Instant::now());
        assert_eq!((slot.stage, slot.earlier.count), (Stage::Idle, 1));
        assert_eq!(slot.earlier.last.as_ref().unwrap().1, first);
        let told = slot.note(ended(None), Policy::Always, "p");
        assert_eq!(reasons(&told), ["Failed", "BackOff"]);
        slot.run_again(Instant::now());
        assert_eq!((slot.stage, slot.earlier.count), (Stage::Resting, 1));
    }
}
