//! One container from its start to its end: environment, process, log, exit code.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use tokio::sync::watch;

use crate::apiserver::LogSource;

use super::launch::{
    ContainerDir, ContainerRootOptions, LaunchInputs, LaunchReport, LaunchSpec, PodDir,
    build_launch_spec,
};
use super::spawn::{SpawnedContainer, spawn_container};
use super::status::ContainerTermination;
use super::{KubeletContext, config_sources, env, log, volume};

/// How long the rest of the log may take to arrive after the container ended.
const LOG_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of a termination log kubelet takes.
const TERMINATION_MESSAGE_BYTES: usize = 4096;
/// Exit code of a container that could not be started, as in container runtimes.
const START_ERROR_CODE: i32 = 128;

/// What a container is to do. An order only ever increases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContainerOrder {
    Run,
    Terminate,
    Kill,
}

/// What happened to a container.
#[derive(Debug)]
pub(crate) enum ContainerEvent {
    /// Something that it needs is missing.
    Waiting(String),
    Started(Timestamp),
    Ended(ContainerTermination),
    /// It was ordered to end before it ran.
    Never,
}

/// One container to run.
pub(crate) struct ContainerTask {
    pub(crate) node: Arc<KubeletContext>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) container: Container,
    pub(crate) volumes: Arc<[Volume]>,
    pub(crate) dir: PodDir,
    pub(crate) log: LogSource,
    pub(crate) order: watch::Receiver<ContainerOrder>,
}

impl ContainerTask {
    /// Runs the container to its end. The last event is `Ended` or `Never`.
    pub(crate) async fn run_container(mut self, events: impl Fn(ContainerEvent)) {
        let mut order = self.order.clone();
        let env = tokio::select! {
            env = self.resolve_env(&events) => env,
            () = await_order(&mut order, ContainerOrder::Terminate) => return events(ContainerEvent::Never),
        };
        let ended = match self.start_container(env).await {
            Ok(Some(spawned)) => {
                let started = Timestamp::now();
                events(ContainerEvent::Started(started));
                self.await_exit(spawned, started).await
            }
            Ok(None) => return events(ContainerEvent::Never),
            Err(error) => ContainerTermination {
                code: START_ERROR_CODE,
                reason: "StartError",
                message: Some(format!("{error:#}")),
                started: None,
                finished: Timestamp::now(),
            },
        };
        events(ContainerEvent::Ended(ended));
    }

    async fn resolve_env(&self, events: &impl Fn(ContainerEvent)) -> Vec<(String, String)> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let resolve = |found: &env::SourceValues| {
            env::resolve_env(&self.container, &self.pod, super::NODE_NAME, found)
        };
        let waiting = |missing| events(ContainerEvent::Waiting(missing));
        let sources = env::list_env_sources(&self.container);
        config_sources::await_resolved(
            &self.node.client,
            namespace,
            &sources,
            self.node.changes.clone(),
            resolve,
            waiting,
        )
        .await
    }

    /// `None` if it was ordered to end before its program ran.
    async fn start_container(
        &mut self,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<Option<(SpawnedContainer, log::LogFiles)>> {
        let dir = self.dir.container_dir(&self.container.name);
        let log =
            make_container_dirs(&dir, &self.log).context("cannot make the container's folders")?;
        let launch = self.make_launch_spec(env);
        let own_root = launch.root.is_some();
        let mut spawned = spawn_container(&self.node.exe, own_root, &dir.process_record_path())
            .context("cannot start the container's process")?;
        let process = spawned.process.clone();
        let mut order = self.order.clone();
        let report = tokio::select! {
            report = spawned.send_launch_spec(&launch) => report.context("cannot reach the container's process")?,
            // No program of the pod runs yet, so there is none to send SIGTERM to.
            () = await_order(&mut order, ContainerOrder::Terminate) => {
                tokio::task::spawn_blocking(move || process.kill_tree()).await?;
                spawned.child.wait().await?;
                return Ok(None);
            }
        };
        match report {
            LaunchReport::Started => Ok(Some((spawned, log))),
            LaunchReport::Failed(why) => {
                spawned.child.wait().await?;
                Err(anyhow::Error::msg(why))
            }
        }
    }

    fn make_launch_spec(&self, env: Vec<(String, String)>) -> LaunchSpec {
        let inputs = LaunchInputs {
            container: &self.container,
            volumes: &self.volumes,
            env,
            path: &self.node.path,
            utility: self
                .container
                .image
                .as_ref()
                .and_then(|image| self.node.images.get(image)),
            pod: &self.dir,
        };
        let isolated = ContainerRootOptions {
            hostname: self.pod.metadata.name.as_deref().unwrap_or_default(),
            user: self.node.user,
            staging: &self.node.staging,
            hidden: &self.node.hidden,
        };
        build_launch_spec(inputs, self.node.own_roots.then_some(&isolated))
    }

    async fn await_exit(
        &mut self,
        (mut spawned, log): (SpawnedContainer, log::LogFiles),
        started: Timestamp,
    ) -> ContainerTermination {
        let copy = tokio::spawn(log::copy_output(spawned.output, log, log::LOG_LIMIT_BYTES));
        let mut done = ContainerOrder::Run;
        let status = loop {
            let next = if done == ContainerOrder::Run {
                ContainerOrder::Terminate
            } else {
                ContainerOrder::Kill
            };
            tokio::select! {
                status = spawned.child.wait() => break status,
                () = await_order(&mut self.order, next), if done < ContainerOrder::Kill => {
                    done = *self.order.borrow();
                    let process = spawned.process.clone();
                    if done == ContainerOrder::Kill {
                        tokio::task::spawn_blocking(move || process.kill_tree());
                    } else {
                        process.send_sigterm();
                    }
                }
            }
        };
        match tokio::time::timeout(LOG_DRAIN_TIMEOUT, copy).await {
            Ok(Ok(Err(error))) => {
                tracing::warn!(log = %self.log.path().display(), %error, "the rest of a container's log is lost")
            }
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(log = %self.log.path().display(), "something still writes to the log of a container that ended")
            }
        }
        let code = status.map_or(START_ERROR_CODE, exit_code);
        ContainerTermination {
            code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message: self.termination_message(code),
            started: Some(started),
            finished: Timestamp::now(),
        }
    }

    /// The end of the container's termination log, or of its log where the pod asks for that.
    fn termination_message(&self, code: i32) -> Option<String> {
        let written = fs::read(
            self.dir
                .container_dir(&self.container.name)
                .termination_log(),
        )
        .unwrap_or_default();
        let start = written.len().saturating_sub(TERMINATION_MESSAGE_BYTES);
        let written = String::from_utf8_lossy(&written[start..]).into_owned();
        let fall_back =
            self.container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let message = if written.is_empty() && code != 0 && fall_back {
            log::read_tail(self.log.path()).unwrap_or_default()
        } else {
            written
        };
        Some(message).filter(|message| !message.is_empty())
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Returns once the order is `least` or more.
async fn await_order(order: &mut watch::Receiver<ContainerOrder>, least: ContainerOrder) {
    if order.wait_for(|order| *order >= least).await.is_err() {
        // The sender of orders is gone, and this future is dropped with it.
        std::future::pending::<()>().await;
    }
}

/// Makes the container's folders, empty as at its first run, and its log. The previous run's log is
/// kept.
fn make_container_dirs(dir: &ContainerDir, log: &LogSource) -> io::Result<log::LogFiles> {
    for (scratch, _) in dir.scratch_dirs() {
        volume::remove_folder(&scratch)?;
        fs::create_dir_all(&scratch)?;
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o1777))?;
    }
    File::create(dir.termination_log())?;
    fs::create_dir_all(log.path().parent().expect("a log is in a folder"))?;
    let previous = log.previous_log();
    for (of_before, kept) in [
        (log.path().to_owned(), previous.path().to_owned()),
        (log.times_path(), previous.times_path()),
    ] {
        match fs::rename(of_before, kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(log::LogFiles {
        times: File::create(log.times_path())?,
        text: File::create(log.path())?,
    })
}
