//! One container from its turn to its end: environment, process, log, exit code.

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

use super::launch::{ContainerDir, Inputs, Isolated, Launch, PodDir, Report, launch};
use super::spawn::{Spawned, spawn};
use super::status::Ended;
use super::{Node, config, env, log, volume};

/// How long a log may take to arrive after its container ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// As much of a termination log as kubelet takes.
const MESSAGE_BYTES: usize = 4096;
/// Exit code of a container that could not be started, as container runtimes have it.
const NOT_STARTED: i32 = 128;

/// What a container is to do. It only ever rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Run,
    Terminate,
    Kill,
}

/// What became of a container.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something it needs is not there.
    Waiting(String),
    Started(Timestamp),
    Ended(Ended),
    /// It was told to end before it ran.
    Never,
}

/// One container to run.
pub(crate) struct Task {
    pub(crate) node: Arc<Node>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) container: Container,
    pub(crate) volumes: Arc<[Volume]>,
    pub(crate) dir: PodDir,
    pub(crate) log: LogSource,
    pub(crate) order: watch::Receiver<Order>,
}

impl Task {
    /// Runs it to its end; the last event is Ended or Never.
    pub(crate) async fn run(mut self, events: impl Fn(Event)) {
        let mut order = self.order.clone();
        let env = tokio::select! {
            env = self.env(&events) => env,
            () = ordered(&mut order, Order::Terminate) => return events(Event::Never),
        };
        let ended = match self.start(env).await {
            Ok(Some(spawned)) => {
                let started = Timestamp::now();
                events(Event::Started(started));
                self.wait(spawned, started).await
            }
            Ok(None) => return events(Event::Never),
            Err(error) => Ended {
                code: NOT_STARTED,
                reason: "StartError",
                message: Some(format!("{error:#}")),
                started: None,
                finished: Timestamp::now(),
            },
        };
        events(Event::Ended(ended));
    }

    async fn env(&self, events: &impl Fn(Event)) -> Vec<(String, String)> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let resolve =
            |found: &env::Found| env::resolve(&self.container, &self.pod, super::NODE, found);
        let waiting = |missing| events(Event::Waiting(missing));
        let sources = env::sources(&self.container);
        config::resolved(
            &self.node.client,
            namespace,
            &sources,
            self.node.changes.clone(),
            resolve,
            waiting,
        )
        .await
    }

    /// None if it was told to end before its program ran.
    async fn start(
        &mut self,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<Option<(Spawned, log::Files)>> {
        let dir = self.dir.container(&self.container.name);
        let log = make_folders(&dir, &self.log).context("cannot make the container's folders")?;
        let launch = self.launch(env);
        let own_root = launch.root.is_some();
        let mut spawned = spawn(&self.node.exe, own_root, &dir.process())
            .context("cannot start the container's process")?;
        let process = spawned.process.clone();
        let mut order = self.order.clone();
        let report = tokio::select! {
            report = spawned.tell(&launch) => report.context("cannot reach the container's process")?,
            // Nothing of the pod's runs yet, so there is nobody to ask.
            () = ordered(&mut order, Order::Terminate) => {
                tokio::task::spawn_blocking(move || process.end_tree()).await?;
                spawned.child.wait().await?;
                return Ok(None);
            }
        };
        match report {
            Report::Started => Ok(Some((spawned, log))),
            Report::Failed(why) => {
                spawned.child.wait().await?;
                Err(anyhow::Error::msg(why))
            }
        }
    }

    fn launch(&self, env: Vec<(String, String)>) -> Launch {
        let inputs = Inputs {
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
        let isolated = Isolated {
            hostname: self.pod.metadata.name.as_deref().unwrap_or_default(),
            user: self.node.user,
            staging: &self.node.staging,
            hidden: &self.node.hidden,
        };
        launch(inputs, self.node.own_roots.then_some(&isolated))
    }

    async fn wait(
        &mut self,
        (mut spawned, log): (Spawned, log::Files),
        started: Timestamp,
    ) -> Ended {
        let copy = tokio::spawn(log::copy(spawned.output, log, log::LIMIT));
        let mut done = Order::Run;
        let status = loop {
            let next = if done == Order::Run {
                Order::Terminate
            } else {
                Order::Kill
            };
            tokio::select! {
                status = spawned.child.wait() => break status,
                () = ordered(&mut self.order, next), if done < Order::Kill => {
                    done = *self.order.borrow();
                    let process = spawned.process.clone();
                    if done == Order::Kill {
                        tokio::task::spawn_blocking(move || process.end_tree());
                    } else {
                        process.terminate();
                    }
                }
            }
        };
        match tokio::time::timeout(LAST_WORDS, copy).await {
            Ok(Ok(Err(error))) => {
                tracing::warn!(log = %self.log.path().display(), %error, "the rest of a container's log is lost")
            }
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(log = %self.log.path().display(), "something still writes to the log of a container that ended")
            }
        }
        let code = status.map_or(NOT_STARTED, exit_code);
        Ended {
            code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message: self.message(code),
            started: Some(started),
            finished: Timestamp::now(),
        }
    }

    /// The end of what the container left in its termination log, or the end of its log where it asks for that.
    fn message(&self, code: i32) -> Option<String> {
        let written = fs::read(self.dir.container(&self.container.name).termination_log())
            .unwrap_or_default();
        let start = written.len().saturating_sub(MESSAGE_BYTES);
        let written = String::from_utf8_lossy(&written[start..]).into_owned();
        let fall_back =
            self.container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let message = if written.is_empty() && code != 0 && fall_back {
            log::tail(self.log.path()).unwrap_or_default()
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
async fn ordered(order: &mut watch::Receiver<Order>, least: Order) {
    if order.wait_for(|order| *order >= least).await.is_err() {
        // Whoever gives orders is gone, and takes this with it.
        std::future::pending::<()>().await;
    }
}

/// The folders of a container, as empty as at its first run, and its log. That of the run before is kept.
fn make_folders(dir: &ContainerDir, log: &LogSource) -> io::Result<log::Files> {
    for (scratch, _) in dir.scratch() {
        volume::remove(&scratch)?;
        fs::create_dir_all(&scratch)?;
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o1777))?;
    }
    File::create(dir.termination_log())?;
    fs::create_dir_all(log.path().parent().expect("a log is in a folder"))?;
    let previous = log.previous();
    for (of_before, kept) in [
        (log.path().to_owned(), previous.path().to_owned()),
        (log.times(), previous.times()),
    ] {
        match fs::rename(of_before, kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(log::Files {
        times: File::create(log.times())?,
        text: File::create(log.path())?,
    })
}
