//! A pod that runs: events of its containers and of its object in, starts, signals and statuses out.

mod slot;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus, Volume};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::events::Kind;
use super::plan::{PodPlan, Role, deadline};
use super::progress::{Stage, next};
use super::restart::Policy;
use super::status::{self, End, Observed, State};
use super::task::{Event, Order, Task};
use super::worker::{Left, RETRY, Worker, is_gone};
use super::{config, volume};
use slot::{Missing, Slot};

/// What a pod gets between SIGTERM and SIGKILL when the runner itself ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long a pod has to start before its first status says that it has not.
const FIRST_STATUS: Duration = Duration::from_millis(20);

/// Why a pod ended that ran too long: reason and message.
const DEADLINE_EXCEEDED: (&str, &str) = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
);

/// Why a pod is ended before its containers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Deleted,
    Deadline,
    Gone,
    Shutdown,
}

enum Happened {
    /// The volumes are there; or an error that no waiting mends.
    Prepared(std::io::Result<()>),
    /// A volume cannot be made yet.
    NotPrepared(String),
    Container(usize, Event),
}

pub(crate) struct Running<'a> {
    worker: &'a mut Worker,
    pod: Arc<Pod>,
    volumes: Arc<[Volume]>,
    grace: Duration,
    restart: Policy,
    began: Instant,
    deadline: Option<Instant>,
    slots: Vec<Slot>,
    prepared: bool,
    missing: Missing,
    stop: Option<Stop>,
    /// When SIGTERM turns into SIGKILL.
    kill_at: Option<Instant>,
    taken: Timestamp,
    conditions: Vec<PodCondition>,
    published: Option<PodStatus>,
    /// Until when no status is written: after a failure, and at first, since most pods start at once.
    publish_at: Option<Instant>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Happened>,
    happened: mpsc::UnboundedReceiver<Happened>,
}

impl<'a> Running<'a> {
    pub(crate) fn new(worker: &'a mut Worker, pod: Arc<Pod>, plan: PodPlan) -> Self {
        let has_init = plan
            .containers
            .iter()
            .any(|container| container.role != Role::Main);
        let reason = if has_init {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        let slots = plan.containers.into_iter();
        let slots = slots.map(|plan| Slot::new(plan, reason));
        let (events, happened) = mpsc::unbounded_channel();
        Self {
            worker,
            pod,
            volumes: plan.volumes.into(),
            grace: plan.grace,
            restart: plan.restart,
            began: Instant::now(),
            // When the pod is looked at, since it may change.
            deadline: None,
            slots: slots.collect(),
            prepared: false,
            missing: Missing::default(),
            stop: None,
            kill_at: None,
            taken: Timestamp::now(),
            conditions: Vec::new(),
            published: None,
            publish_at: Some(Instant::now() + FIRST_STATUS),
            tasks: JoinSet::new(),
            events,
            happened,
        }
    }

    /// Runs the pod to its end.
    pub(crate) async fn run(&mut self) -> Result<(), Left> {
        self.prepare();
        self.look_at_pod();
        loop {
            let stages: Vec<_> = self
                .slots
                .iter()
                .map(|slot| (slot.plan.role, slot.stage))
                .collect();
            let next = next(&stages, self.stop.is_some());
            if let Some(succeeded) = next.done {
                return self.end(succeeded).await;
            }
            if self.prepared {
                next.start.into_iter().for_each(|index| self.start(index));
            }
            if !next.stop.is_empty() {
                self.terminate(&next.stop);
            }
            self.publish().await;
            self.wait().await;
        }
    }

    /// Makes the volumes, as soon as what they hold is there.
    fn prepare(&mut self) {
        let (volumes, dir, events) = (self.volumes.clone(), self.worker.dir(), self.events.clone());
        let (client, changes) = (
            self.worker.node.client.clone(),
            self.worker.node.changes.clone(),
        );
        let namespace = self.worker.namespace.clone();
        self.tasks.spawn(async move {
            let sources = volume::sources(&volumes);
            let resolve = |found: &_| {
                volumes
                    .iter()
                    .map(|volume| volume::content(volume, found))
                    .collect::<Result<Vec<_>, _>>()
            };
            let waiting = |missing| drop(events.send(Happened::NotPrepared(missing)));
            let contents =
                config::resolved(&client, &namespace, &sources, changes, resolve, waiting).await;
            let mut volumes = volumes.iter().zip(contents);
            let written = volumes
                .try_for_each(|(made, files)| volume::write(&dir.volume(&made.name), &files));
            drop(events.send(Happened::Prepared(written)));
        });
    }

    fn start(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.stage = Stage::Starting;
        let task = Task {
            node: self.worker.node.clone(),
            pod: self.pod.clone(),
            container: slot.plan.container.clone(),
            volumes: self.volumes.clone(),
            dir: self.worker.dir(),
            log: self.worker.log(&slot.plan.container.name),
            order: slot.order.subscribe(),
        };
        let events = self.events.clone();
        self.tasks
            .spawn(task.run(move |event| drop(events.send(Happened::Container(index, event)))));
    }

    fn terminate(&mut self, slots: &[usize]) {
        for index in slots {
            self.order(*index, Order::Terminate);
        }
        let kill_at = Instant::now() + self.grace;
        self.kill_at.get_or_insert(kill_at);
    }

    fn order(&self, index: usize, order: Order) {
        self.slots[index].order.send_if_modified(|current| {
            let rises = order > *current;
            *current = order.max(*current);
            rises
        });
    }

    fn stop(&mut self, stop: Stop, grace: Duration) {
        if stop == Stop::Deadline {
            let message = DEADLINE_EXCEEDED.1;
            self.worker
                .tell(None, Kind::Normal, DEADLINE_EXCEEDED.0, message);
        }
        if matches!(stop, Stop::Deleted | Stop::Deadline) {
            for slot in self
                .slots
                .iter()
                .filter(|slot| slot.stage == Stage::Running)
            {
                let message = format!("Stopping container {}", slot.name());
                self.worker
                    .tell(slot.path(), Kind::Normal, "Killing", &message);
            }
        }
        self.stop = Some(stop);
        self.grace = grace;
        let kill_at = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |before| before.min(kill_at)));
    }

    async fn wait(&mut self) {
        let shutdown = self.worker.shutdown.clone();
        let again = self.slots.iter().filter_map(|slot| slot.again_at).min();
        tokio::select! {
            happened = self.happened.recv() => if let Some(happened) = happened { self.note(happened) },
            changed = self.worker.pods.changed(), if self.stop != Some(Stop::Gone) => match changed {
                Ok(()) => self.look_at_pod(),
                Err(_) => self.stop(Stop::Gone, Duration::ZERO),
            },
            () = at(self.kill_at) => {
                self.kill_at = None;
                (0..self.slots.len()).for_each(|index| self.order(index, Order::Kill));
            }
            () = at(self.deadline), if self.stop.is_none() => self.stop(Stop::Deadline, self.grace),
            () = at(self.publish_at) => self.publish_at = None,
            () = at(again) => self.run_again(),
            () = shutdown.cancelled(), if !matches!(self.stop, Some(Stop::Shutdown | Stop::Gone)) => {
                self.stop(Stop::Shutdown, SHUTDOWN_GRACE.min(self.grace));
            }
        }
    }

    fn look_at_pod(&mut self) {
        let pod = self.worker.pods.borrow_and_update().clone();
        if pod.metadata.deletion_timestamp.is_some()
            && matches!(self.stop, None | Some(Stop::Deadline))
        {
            let grace = pod
                .metadata
                .deletion_grace_period_seconds
                .and_then(|seconds| u64::try_from(seconds).ok());
            self.stop(Stop::Deleted, grace.map_or(self.grace, Duration::from_secs));
        }
        let deadline = pod.spec.as_ref().and_then(deadline);
        self.deadline = deadline.map(|deadline| self.began + deadline);
    }

    fn note(&mut self, happened: Happened) {
        match happened {
            Happened::Prepared(Ok(())) => {
                self.prepared = true;
                self.all_waiting(None);
            }
            Happened::Prepared(Err(error)) => {
                let message = format!("cannot make the volumes: {error}");
                self.worker
                    .tell(None, Kind::Warning, "FailedMount", &message);
                self.all_waiting(Some(message));
            }
            Happened::NotPrepared(missing) => {
                if self.missing.is_news(&missing, Instant::now()) {
                    self.worker
                        .tell(None, Kind::Warning, "FailedMount", &missing);
                }
                self.all_waiting(Some(missing));
            }
            Happened::Container(index, event) => self.note_container(index, event),
        }
    }

    fn note_container(&mut self, index: usize, event: Event) {
        let policy = if self.stop.is_none() {
            self.restart
        } else {
            Policy::Never
        };
        let (name, namespace, uid) = (&self.worker.name, &self.worker.namespace, &self.worker.uid);
        let pod = format!("{name}_{namespace}({uid})");
        let slot = &mut self.slots[index];
        for told in slot.note(event, policy, &pod) {
            self.worker
                .tell(slot.path(), told.kind, told.reason, &told.message);
        }
    }

    /// Lets those have their turn again whose wait is over.
    fn run_again(&mut self) {
        let now = Instant::now();
        self.slots.iter_mut().for_each(|slot| slot.run_again(now));
    }

    fn all_waiting(&mut self, problem: Option<String>) {
        for slot in &mut self.slots {
            if let State::Waiting { message, .. } = &mut slot.state {
                message.clone_from(&problem);
            }
        }
    }

    fn status(&self, end: Option<&End>) -> PodStatus {
        let observed: Vec<_> = self
            .slots
            .iter()
            .map(|slot| Observed {
                role: slot.plan.role,
                name: &slot.plan.container.name,
                image: slot.plan.container.image.as_deref().unwrap_or_default(),
                id: &slot.id,
                state: &slot.state,
                earlier: &slot.earlier,
            })
            .collect();
        status::compute(
            &observed,
            end,
            self.taken,
            &self.conditions,
            Timestamp::now(),
        )
    }

    /// Writes the status if it has changed; a failure is tried again later.
    async fn publish(&mut self) {
        let status = self.status(None);
        let ends = matches!(self.stop, Some(Stop::Gone | Stop::Shutdown));
        if ends || self.publish_at.is_some() || self.published.as_ref() == Some(&status) {
            return;
        }
        match self.worker.publish(&status).await {
            Err(error) if !is_gone(&error) => {
                tracing::warn!(pod = self.worker.name, namespace = self.worker.namespace, %error, "cannot write the status of a pod");
                self.publish_at = Some(Instant::now() + RETRY);
            }
            _ => {
                self.conditions = status.conditions.clone().unwrap_or_default();
                self.published = Some(status);
            }
        }
    }

    async fn end(&mut self, succeeded: bool) -> Result<(), Left> {
        self.tasks.shutdown().await;
        match self.stop {
            Some(Stop::Gone) => return Err(Left::Gone),
            // The next start finds it and tells it lost.
            Some(Stop::Shutdown) => return Err(Left::Shutdown),
            Some(Stop::Deleted | Stop::Deadline) | None => {}
        }
        let (reason, message) = match self.stop {
            Some(Stop::Deadline) => (
                Some(DEADLINE_EXCEEDED.0),
                Some(DEADLINE_EXCEEDED.1.to_owned()),
            ),
            _ => (None, None),
        };
        let end = End {
            succeeded: succeeded && reason.is_none(),
            reason,
            message,
        };
        let status = self.status(Some(&end));
        self.worker.publish_last(&status).await?;
        let volumes = self.worker.dir().volumes();
        let removed = tokio::task::spawn_blocking(move || volume::remove(&volumes)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(pod = self.worker.name, namespace = self.worker.namespace, %error, "volumes of a pod are left behind");
        }
        Ok(())
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
