//! The node: cleans up after an earlier run, then starts a worker for every pod.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use common::kube::{DeserializeGuard, watch_objects};
use common::private_files;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ObjectMeta;
use kube::runtime::watcher;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::events::{EventRecorder, EventType};
use super::launch::{ContainerRoot, ContainerUser, LaunchReport, LaunchSpec};
use super::spawn::spawn_container;
use super::worker::{PodWorker, is_gone, pod_reference};
use super::{
    Isolation, KubeletContext, KubeletOptions, NODE_NAME, config_sources, events, leftovers,
    node_registration,
};

/// `PATH` where the runner itself has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long writing the last events may take when the runner ends.
const EVENT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs pods until `shutdown`, and returns after everything it ran has ended.
///
/// # Errors
/// If its folders cannot be used, processes of an earlier run cannot be ended, or the kernel
/// refuses the requested [`Isolation::Namespaces`]. Errors of the API are retried instead.
pub async fn run_kubelet(
    options: KubeletOptions,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (changed, changes) = watch::channel(0);
    let (recorder, written) = events::make_recorder(options.client.clone());
    let node = Arc::new(prepare_node(options, changes, recorder).await?);
    let mut background = JoinSet::new();
    background.spawn(config_sources::watch_changes(node.client.clone(), changed));
    background.spawn(node_registration::sync_node_object(node.client.clone()));
    let written = tokio::spawn(written);
    let mut pods = PodWorkers {
        node: node.clone(),
        shutdown: shutdown.clone(),
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        listed: HashSet::new(),
        refused: HashSet::new(),
    };
    let api = Api::<DeserializeGuard<Pod>>::all(node.client.clone());
    let mut events = watch_objects(api, watcher::Config::default(), "pods").boxed();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => pods.handle_event(event).await,
                None => bail!("the watch of pods ended"),
            },
            Some(ended) = pods.tasks.join_next() => pods.on_worker_end(ended),
            () = shutdown.cancelled() => break,
        }
    }
    while pods.tasks.join_next().await.is_some() {}
    drop((pods, node));
    let _ = tokio::time::timeout(EVENT_DRAIN_TIMEOUT, written).await;
    Ok(())
}

/// Makes the folders, ends what an earlier run left, and finds out what the kernel allows.
async fn prepare_node(
    options: KubeletOptions,
    changes: watch::Receiver<u64>,
    events: EventRecorder,
) -> anyhow::Result<KubeletContext> {
    let state = private_folder(&options.state)?;
    let logs = private_folder(&options.logs)?;
    let staging = private_folder(&state.join("root"))?;
    let pods = private_folder(&state.join("pods"))?;
    let lost = tokio::task::spawn_blocking(move || leftovers::end_processes(&pods))
        .await?
        .context("cannot end what an earlier run left")?;
    let uid = nix::unistd::geteuid();
    let mut node = KubeletContext {
        client: options.client,
        exe: options.exe,
        images: options.images,
        hidden: vec![state.clone(), logs.clone()],
        state,
        logs,
        own_roots: false,
        user: (!uid.is_root()).then(|| ContainerUser {
            uid: uid.as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }),
        staging,
        path: std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned()),
        changes,
        lost,
        events,
    };
    node.own_roots = match options.isolation {
        Isolation::Translate => false,
        Isolation::Namespaces => probe_namespaces(&node)
            .await
            .map(|()| true)
            .context("containers cannot have a root of their own")?,
        Isolation::Auto => match probe_namespaces(&node).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "containers cannot have a root of their own here: mount paths are translated instead, and pods share /tmp"
                );
                false
            }
        },
    };
    Ok(node)
}

/// The absolute path of a folder that only this user can read.
fn private_folder(path: &Path) -> anyhow::Result<PathBuf> {
    private_files::ensure_private_dir(path)
        .and_then(|()| fs::canonicalize(path))
        .with_context(|| format!("cannot use the folder {}", path.display()))
}

/// Runs an empty program in its own root, to find out whether the kernel allows it.
async fn probe_namespaces(node: &KubeletContext) -> anyhow::Result<()> {
    let launch = LaunchSpec {
        program: "sh".to_owned(),
        arg0: None,
        args: vec!["-c".to_owned(), ":".to_owned()],
        env: vec![("PATH".to_owned(), node.path.clone())],
        dir: "/".into(),
        root: Some(ContainerRoot {
            hostname: NODE_NAME.to_owned(),
            user: node.user,
            staging: node.staging.clone(),
            binds: Vec::new(),
            hidden: node.hidden.clone(),
        }),
    };
    let mut spawned = spawn_container(&node.exe, true, &node.state.join("probe.json"))
        .context("cannot execute the runner's binary again")?;
    let report = spawned.send_launch_spec(&launch).await?;
    spawned.child.wait().await?;
    match report {
        LaunchReport::Started => Ok(()),
        LaunchReport::Failed(why) => bail!(why),
    }
}

struct PodWorkers {
    node: Arc<KubeletContext>,
    shutdown: CancellationToken,
    /// By UID: a name may be used again before the worker of the old pod has ended.
    workers: HashMap<String, watch::Sender<Arc<Pod>>>,
    tasks: JoinSet<()>,
    /// UIDs seen in the current listing.
    listed: HashSet<String>,
    /// UIDs of pods that cannot be decoded, with whether they were being deleted. Each is answered
    /// once.
    refused: HashSet<(String, bool)>,
}

impl PodWorkers {
    async fn handle_event(&mut self, event: watcher::Event<DeserializeGuard<Pod>>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed.extend(pod_uid(&pod));
                self.update_pod(pod);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.workers.retain(|uid, _| listed.contains(uid));
                self.remove_orphaned_dirs(listed).await;
            }
            watcher::Event::Apply(pod) => self.update_pod(pod),
            // The dropped sender tells the worker that its pod is gone.
            watcher::Event::Delete(pod) => {
                drop(pod_uid(&pod).and_then(|uid| self.workers.remove(&uid)))
            }
        }
    }

    fn update_pod(&mut self, pod: DeserializeGuard<Pod>) {
        let pod = match pod.0 {
            Ok(pod) => pod,
            Err(invalid) => {
                let deleted = invalid.metadata.deletion_timestamp.is_some();
                if self
                    .refused
                    .insert((invalid.metadata.uid.clone().unwrap_or_default(), deleted))
                {
                    self.tasks.spawn(reject_invalid_pod(
                        self.node.clone(),
                        invalid.metadata,
                        invalid.error,
                    ));
                }
                return;
            }
        };
        let elsewhere = |node: &String| !node.is_empty() && node != NODE_NAME;
        if pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_ref())
            .is_some_and(elsewhere)
        {
            return;
        }
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        if let Some(worker) = self.workers.get(&uid) {
            worker.send_replace(Arc::new(pod));
            return;
        }
        let (sender, receiver) = watch::channel(Arc::new(pod));
        self.workers.insert(uid, sender);
        self.tasks
            .spawn(PodWorker::new(self.node.clone(), receiver, self.shutdown.clone()).run_worker());
    }

    fn on_worker_end(&mut self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            tracing::error!(%error, "the worker of a pod broke");
        }
        self.workers.retain(|_, worker| !worker.is_closed());
    }

    /// Removes folders, except of pods that exist. Does nothing while a worker still cleans up its
    /// own.
    async fn remove_orphaned_dirs(&self, listed: HashSet<String>) {
        if self.tasks.len() > self.workers.len() {
            return;
        }
        let (pods, logs) = (self.node.pods_dir(), self.node.logs.clone());
        let swept = tokio::task::spawn_blocking(move || {
            leftovers::remove_orphaned_dirs(&pods, &logs, &listed)
        })
        .await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "folders of pods that are gone are left behind");
        }
    }
}

fn pod_uid(pod: &DeserializeGuard<Pod>) -> Option<String> {
    match &pod.0 {
        Ok(pod) => pod.metadata.uid.clone(),
        Err(invalid) => invalid.metadata.uid.clone(),
    }
}

/// Rejects a pod that cannot be decoded.
async fn reject_invalid_pod(node: Arc<KubeletContext>, meta: ObjectMeta, error: String) {
    let (name, namespace) = (
        meta.name.unwrap_or_default(),
        meta.namespace.unwrap_or_default(),
    );
    let api = Api::<DynamicObject>::namespaced_with(
        node.client.clone(),
        &namespace,
        &ApiResource::erase::<Pod>(&()),
    );
    let done = if meta.deletion_timestamp.is_some() {
        api.delete(&name, &DeleteParams::default().grace_period(0))
            .await
            .map(drop)
    } else {
        let reason = "InvalidPodSpec";
        let about = pod_reference(&namespace, &name, meta.uid.as_deref().unwrap_or_default());
        node.events
            .record_event(about, EventType::Warning, reason, &error);
        let status = json!({"status": {"phase": "Failed", "reason": reason, "message": error}});
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .map(drop)
    };
    if let Err(error) = done
        && !is_gone(&error)
    {
        tracing::warn!(pod = name, namespace, %error, "cannot refuse an invalid pod");
    }
}

impl KubeletContext {
    /// The folder that has each pod's folder, by UID.
    pub(crate) fn pods_dir(&self) -> PathBuf {
        self.state.join("pods")
    }
}
