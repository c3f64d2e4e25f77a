//! A running pod: handles events of its containers and object, starts and signals containers,
//! writes statuses.

mod running_container;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus, Volume};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::events::EventType;
use super::plan::{ContainerRole, PodPlan, active_deadline};
use super::progress::{ContainerStage, next_steps};
use super::restart::RestartPolicy;
use super::status::{self, ObservedContainer, PodOutcome, RunState};
use super::task::{ContainerEvent, ContainerOrder, ContainerTask};
use super::worker::{PodWorker, RETRY_DELAY, WorkerExit, is_gone};
use super::{config_sources, volume};
use running_container::{MissingNotice, RunningContainer};

/// Longest time between SIGTERM and SIGKILL when the runner itself ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long a pod may take to start before its first status says that it has not started.
const FIRST_STATUS_DELAY: Duration = Duration::from_millis(20);

/// Reason and message of a pod that ran too long.
const DEADLINE_EXCEEDED: (&str, &str) = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
);

/// Why a pod is stopped before its containers have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PodStopReason {
    Deleted,
    Deadline,
    Gone,
    Shutdown,
}

enum PodEvent {
    /// The volumes are ready, or there is an error that waiting does not fix.
    Prepared(std::io::Result<()>),
    /// A volume cannot be made yet.
    NotPrepared(String),
    Container(usize, ContainerEvent),
}

pub(crate) struct RunningPod<'a> {
    worker: &'a mut PodWorker,
    pod: Arc<Pod>,
    volumes: Arc<[Volume]>,
    grace: Duration,
    restart: RestartPolicy,
    began: Instant,
    deadline: Option<Instant>,
    slots: Vec<RunningContainer>,
    prepared: bool,
    missing: MissingNotice,
    stop: Option<PodStopReason>,
    /// When containers that got SIGTERM get SIGKILL.
    kill_at: Option<Instant>,
    taken: Timestamp,
    conditions: Vec<PodCondition>,
    published: Option<PodStatus>,
    /// No status is written before this time: after a failure, and at first, since most pods start
    /// at once.
    publish_at: Option<Instant>,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<PodEvent>,
    happened: mpsc::UnboundedReceiver<PodEvent>,
}

impl<'a> RunningPod<'a> {
    pub(crate) fn new(worker: &'a mut PodWorker, pod: Arc<Pod>, plan: PodPlan) -> Self {
        let has_init = plan
            .containers
            .iter()
            .any(|container| container.role != ContainerRole::Main);
        let reason = if has_init {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        let slots = plan.containers.into_iter();
        let slots = slots.map(|plan| RunningContainer::new(plan, reason));
        let (events, happened) = mpsc::unbounded_channel();
        Self {
            worker,
            pod,
            volumes: plan.volumes.into(),
            grace: plan.grace,
            restart: plan.restart,
            began: Instant::now(),
            // Set by `check_pod`, since the pod may change.
            deadline: None,
            slots: slots.collect(),
            prepared: false,
            missing: MissingNotice::default(),
            stop: None,
            kill_at: None,
            taken: Timestamp::now(),
            conditions: Vec::new(),
            published: None,
            publish_at: Some(Instant::now() + FIRST_STATUS_DELAY),
            tasks: JoinSet::new(),
            events,
            happened,
        }
    }

    /// Runs the pod to its end.
    pub(crate) async fn run_to_end(&mut self) -> Result<(), WorkerExit> {
        self.prepare_volumes();
        self.check_pod();
        loop {
            let stages: Vec<_> = self
                .slots
                .iter()
                .map(|slot| (slot.plan.role, slot.stage))
                .collect();
            let next = next_steps(&stages, self.stop.is_some());
            if let Some(succeeded) = next.done {
                return self.finish_pod(succeeded).await;
            }
            if self.prepared {
                next.start
                    .into_iter()
                    .for_each(|index| self.start_container(index));
            }
            if !next.stop.is_empty() {
                self.terminate_containers(&next.stop);
            }
            self.publish_status().await;
            self.await_event().await;
        }
    }

    /// Makes the volumes as soon as their contents exist.
    fn prepare_volumes(&mut self) {
        let (volumes, dir, events) = (
            self.volumes.clone(),
            self.worker.pod_dir(),
            self.events.clone(),
        );
        let (client, changes) = (
            self.worker.node.client.clone(),
            self.worker.node.changes.clone(),
        );
        let namespace = self.worker.namespace.clone();
        self.tasks.spawn(async move {
            let sources = volume::list_volume_sources(&volumes);
            let resolve = |found: &_| {
                volumes
                    .iter()
                    .map(|volume| volume::volume_files(volume, found))
                    .collect::<Result<Vec<_>, _>>()
            };
            let waiting = |missing| drop(events.send(PodEvent::NotPrepared(missing)));
            let contents = config_sources::await_resolved(
                &client, &namespace, &sources, changes, resolve, waiting,
            )
            .await;
            let mut volumes = volumes.iter().zip(contents);
            let written = volumes.try_for_each(|(made, files)| {
                volume::write_volume(&dir.volume_dir(&made.name), &files)
            });
            drop(events.send(PodEvent::Prepared(written)));
        });
    }

    fn start_container(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.stage = ContainerStage::Starting;
        let task = ContainerTask {
            node: self.worker.node.clone(),
            pod: self.pod.clone(),
            container: slot.plan.container.clone(),
            volumes: self.volumes.clone(),
            dir: self.worker.pod_dir(),
            log: self.worker.container_log(&slot.plan.container.name),
            order: slot.order.subscribe(),
        };
        let events = self.events.clone();
        self.tasks.spawn(
            task.run_container(move |event| drop(events.send(PodEvent::Container(index, event)))),
        );
    }

    fn terminate_containers(&mut self, slots: &[usize]) {
        for index in slots {
            self.send_order(*index, ContainerOrder::Terminate);
        }
        let kill_at = Instant::now() + self.grace;
        self.kill_at.get_or_insert(kill_at);
    }

    fn send_order(&self, index: usize, order: ContainerOrder) {
        self.slots[index].order.send_if_modified(|current| {
            let rises = order > *current;
            *current = order.max(*current);
            rises
        });
    }

    fn stop_pod(&mut self, stop: PodStopReason, grace: Duration) {
        if stop == PodStopReason::Deadline {
            let message = DEADLINE_EXCEEDED.1;
            self.worker
                .record_event(None, EventType::Normal, DEADLINE_EXCEEDED.0, message);
        }
        if matches!(stop, PodStopReason::Deleted | PodStopReason::Deadline) {
            for slot in self
                .slots
                .iter()
                .filter(|slot| slot.stage == ContainerStage::Running)
            {
                let message = format!("Stopping container {}", slot.container_name());
                self.worker
                    .record_event(slot.field_path(), EventType::Normal, "Killing", &message);
            }
        }
        self.stop = Some(stop);
        self.grace = grace;
        let kill_at = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |before| before.min(kill_at)));
    }

    async fn await_event(&mut self) {
        let shutdown = self.worker.shutdown.clone();
        let again = self.slots.iter().filter_map(|slot| slot.again_at).min();
        tokio::select! {
            happened = self.happened.recv() => if let Some(happened) = happened { self.handle_event(happened) },
            changed = self.worker.pods.changed(), if self.stop != Some(PodStopReason::Gone) => match changed {
                Ok(()) => self.check_pod(),
                Err(_) => self.stop_pod(PodStopReason::Gone, Duration::ZERO),
            },
            () = wait_until(self.kill_at) => {
                self.kill_at = None;
                (0..self.slots.len()).for_each(|index| self.send_order(index, ContainerOrder::Kill));
            }
            () = wait_until(self.deadline), if self.stop.is_none() => self.stop_pod(PodStopReason::Deadline, self.grace),
            () = wait_until(self.publish_at) => self.publish_at = None,
            () = wait_until(again) => self.restart_due_containers(),
            () = shutdown.cancelled(), if !matches!(self.stop, Some(PodStopReason::Shutdown | PodStopReason::Gone)) => {
                self.stop_pod(PodStopReason::Shutdown, SHUTDOWN_GRACE.min(self.grace));
            }
        }
    }

    fn check_pod(&mut self) {
        let pod = self.worker.pods.borrow_and_update().clone();
        if pod.metadata.deletion_timestamp.is_some()
            && matches!(self.stop, None | Some(PodStopReason::Deadline))
        {
            let grace = pod
                .metadata
                .deletion_grace_period_seconds
                .and_then(|seconds| u64::try_from(seconds).ok());
            self.stop_pod(
                PodStopReason::Deleted,
                grace.map_or(self.grace, Duration::from_secs),
            );
        }
        let deadline = pod.spec.as_ref().and_then(active_deadline);
        self.deadline = deadline.map(|deadline| self.began + deadline);
    }

    fn handle_event(&mut self, happened: PodEvent) {
        match happened {
            PodEvent::Prepared(Ok(())) => {
                self.prepared = true;
                self.set_waiting_messages(None);
            }
            PodEvent::Prepared(Err(error)) => {
                let message = format!("cannot make the volumes: {error}");
                self.worker
                    .record_event(None, EventType::Warning, "FailedMount", &message);
                self.set_waiting_messages(Some(message));
            }
            PodEvent::NotPrepared(missing) => {
                if self.missing.should_report(&missing, Instant::now()) {
                    self.worker
                        .record_event(None, EventType::Warning, "FailedMount", &missing);
                }
                self.set_waiting_messages(Some(missing));
            }
            PodEvent::Container(index, event) => self.handle_container_event(index, event),
        }
    }

    fn handle_container_event(&mut self, index: usize, event: ContainerEvent) {
        let policy = if self.stop.is_none() {
            self.restart
        } else {
            RestartPolicy::Never
        };
        let (name, namespace, uid) = (&self.worker.name, &self.worker.namespace, &self.worker.uid);
        let pod = format!("{name}_{namespace}({uid})");
        let slot = &mut self.slots[index];
        for told in slot.handle_event(event, policy, &pod) {
            self.worker
                .record_event(slot.field_path(), told.kind, told.reason, &told.message);
        }
    }

    /// Makes containers ready to start whose wait is over.
    fn restart_due_containers(&mut self) {
        let now = Instant::now();
        self.slots
            .iter_mut()
            .for_each(|slot| slot.restart_if_due(now));
    }

    fn set_waiting_messages(&mut self, problem: Option<String>) {
        for slot in &mut self.slots {
            if let RunState::Waiting { message, .. } = &mut slot.state {
                message.clone_from(&problem);
            }
        }
    }

    fn pod_status(&self, end: Option<&PodOutcome>) -> PodStatus {
        let observed: Vec<_> = self
            .slots
            .iter()
            .map(|slot| ObservedContainer {
                role: slot.plan.role,
                name: &slot.plan.container.name,
                image: slot.plan.container.image.as_deref().unwrap_or_default(),
                id: &slot.id,
                state: &slot.state,
                earlier: &slot.earlier,
            })
            .collect();
        status::compute_pod_status(
            &observed,
            end,
            self.taken,
            &self.conditions,
            Timestamp::now(),
        )
    }

    /// Writes the status if it has changed. A failed write is retried later.
    async fn publish_status(&mut self) {
        let status = self.pod_status(None);
        let ends = matches!(
            self.stop,
            Some(PodStopReason::Gone | PodStopReason::Shutdown)
        );
        if ends || self.publish_at.is_some() || self.published.as_ref() == Some(&status) {
            return;
        }
        match self.worker.publish_status(&status).await {
            Err(error) if !is_gone(&error) => {
                tracing::warn!(pod = self.worker.name, namespace = self.worker.namespace, %error, "cannot write the status of a pod");
                self.publish_at = Some(Instant::now() + RETRY_DELAY);
            }
            _ => {
                self.conditions = status.conditions.clone().unwrap_or_default();
                self.published = Some(status);
            }
        }
    }

    async fn finish_pod(&mut self, succeeded: bool) -> Result<(), WorkerExit> {
        self.tasks.shutdown().await;
        match self.stop {
            Some(PodStopReason::Gone) => return Err(WorkerExit::Gone),
            // The next start finds the pod and reports it as lost.
            Some(PodStopReason::Shutdown) => return Err(WorkerExit::Shutdown),
            Some(PodStopReason::Deleted | PodStopReason::Deadline) | None => {}
        }
        let (reason, message) = match self.stop {
            Some(PodStopReason::Deadline) => (
                Some(DEADLINE_EXCEEDED.0),
                Some(DEADLINE_EXCEEDED.1.to_owned()),
            ),
            _ => (None, None),
        };
        let end = PodOutcome {
            succeeded: succeeded && reason.is_none(),
            reason,
            message,
        };
        let status = self.pod_status(Some(&end));
        self.worker.publish_final_status(&status).await?;
        let volumes = self.worker.pod_dir().volumes_dir();
        let removed = tokio::task::spawn_blocking(move || volume::remove_folder(&volumes)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(pod = self.worker.name, namespace = self.worker.namespace, %error, "volumes of a pod are left behind");
        }
        Ok(())
    }
}

async fn wait_until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
