//! The work that plank gets, `ProwJob`s that are created and pods that end, and what comes of it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use anyhow::bail;
use common::prowjob::{ProwJob, ProwJobState, new_prowjob};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use local::testing::{SCHEDULER, TestCluster};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Requests that create objects at once.
const AT_ONCE: usize = 32;
/// How long a pod of the fake kubelet runs.
const POD: Duration = Duration::from_secs(1);
/// The name of crier's reporter.
const REPORTER: &str = "gcsreporter";

/// Writes `config.yaml`: a namespace, and a bucket for crier.
pub(super) fn config(folder: &Path, namespace: &str) -> anyhow::Result<()> {
    let bucket = format!("file://{}", folder.join("bucket").display());
    let config = json!({
        "prowjob_namespace": namespace, "pod_namespace": namespace,
        "plank": {"default_decoration_config_entries": [
            {"config": {"gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"}}},
        ]},
    });
    Ok(fs::write(folder.join("config.yaml"), config.to_string())?)
}

/// A presubmit's `ProwJob`, with the fields of a real one.
fn job(
    namespace: &str,
    name: String,
    number: usize,
    state: ProwJobState,
) -> anyhow::Result<ProwJob> {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let spec = serde_json::from_value(json!({
        "type": "presubmit", "agent": "kubernetes", "cluster": "default",
        "job": format!("pull-acme-widgets-{}", number % 40), "context": "unit",
        "refs": {
            "org": "acme", "repo": "widgets", "base_ref": "main", "base_sha": sha,
            "pulls": [{"number": number + 1, "author": "maria", "sha": sha, "title": "Widgets that last"}],
        },
        "pod_spec": {
            "schedulerName": SCHEDULER,
            "containers": [{
                "image": "golang:1.26", "command": ["make"], "args": ["test"],
                "env": [{"name": "GOFLAGS", "value": "-mod=readonly"}],
                "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
            }],
        },
    }))?;
    let (none, now) = (Default::default(), Timestamp::now());
    let mut job = new_prowjob(name.clone(), namespace, spec, &none, &none, state, now);
    if state == ProwJobState::Success {
        job.status = serde_json::from_value(json!({
            "state": state, "startTime": now, "pendingTime": now, "completionTime": now,
            "pod_name": name, "build_id": number.to_string(), "description": "Job succeeded.",
            "url": format!("https://prow.example.com/view/gs/bucket/{number}"),
            "prev_report_states": {REPORTER: state},
        }))?;
    }
    Ok(job)
}

/// Creates `count` `ProwJob`s.
pub(super) async fn create(
    cluster: &TestCluster,
    count: usize,
    prefix: &str,
    state: ProwJobState,
) -> anyhow::Result<()> {
    let jobs = Api::default_namespaced(cluster.client.clone());
    let made = stream::iter(0..count).map(|number| {
        let job = job(
            &cluster.namespace,
            format!("{prefix}-{number:06}"),
            number,
            state,
        );
        let jobs = &jobs;
        async move {
            jobs.create(&PostParams::default(), &job?).await?;
            anyhow::Ok(())
        }
    });
    made.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// Creates `a_second` `ProwJob`s per second for `time`. Returns how many.
pub(super) fn feed(
    cluster: &TestCluster,
    a_second: u32,
    time: Duration,
) -> impl Future<Output = anyhow::Result<usize>> + use<> {
    let jobs: Api<ProwJob> = Api::default_namespaced(cluster.client.clone());
    let namespace = cluster.namespace.clone();
    async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / a_second);
        let (begin, mut count) = (Instant::now(), 0);
        while begin.elapsed() < time {
            tick.tick().await;
            let name = format!("fed-{count:06}");
            let job = job(&namespace, name, count, ProwJobState::Triggered)?;
            jobs.create(&PostParams::default(), &job).await?;
            count += 1;
        }
        Ok(count)
    }
}

/// The fake kubelet, and the counters.
pub(super) struct Play {
    seen: Arc<Mutex<Seen>>,
    /// They end with this.
    _tasks: JoinSet<anyhow::Result<()>>,
}

#[derive(Default)]
pub(super) struct Seen {
    pods: HashSet<String>,
    jobs: HashMap<String, Run>,
    changes: usize,
    most_writes: usize,
    told: usize,
    complete: usize,
}

struct Run {
    state: ProwJobState,
    /// Writes of the object in this state; its creation does not count.
    writes: usize,
    complete: bool,
    told: bool,
}

impl Play {
    /// Counts what happens from now on. `ends`: whether pods end.
    pub(super) async fn start(cluster: &TestCluster, ends: bool) -> anyhow::Result<Self> {
        let jobs: Api<ProwJob> = Api::default_namespaced(cluster.client.clone());
        let pods: Api<Pod> = Api::default_namespaced(cluster.client.clone());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        let (of_jobs, of_pods) = (version(&jobs).await?, version(&pods).await?);
        let jobs_seen = Arc::clone(&seen);
        tasks.spawn(follow(jobs, of_jobs, move |job| {
            jobs_seen.lock().expect("nobody panics").see_job(&job);
        }));
        let (pods_seen, hand) = (Arc::clone(&seen), pods.clone());
        tasks.spawn(follow(pods, of_pods, move |pod: Pod| {
            let name = pod.name_any();
            let is_new = pods_seen
                .lock()
                .expect("nobody panics")
                .pods
                .insert(name.clone());
            if is_new && ends {
                tokio::spawn(play(hand.clone(), name));
            }
        }));
        Ok(Self {
            seen,
            _tasks: tasks,
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics")
    }

    pub(super) fn changes(&self) -> usize {
        self.seen().changes
    }

    pub(super) fn most_writes(&self) -> usize {
        self.seen().most_writes
    }

    pub(super) async fn until(
        &self,
        what: &str,
        patience: Duration,
        is: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !is(&self.seen()) {
            if begin.elapsed() > patience {
                bail!("{what} did not come");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Seen {
    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }

    pub(super) fn complete(&self) -> usize {
        self.complete
    }

    /// The `ProwJob`s whose last state crier has reported.
    pub(super) fn told(&self) -> usize {
        self.told
    }

    fn see_job(&mut self, job: &ProwJob) {
        let state = job.state();
        let Some(run) = self.jobs.get_mut(&job.name_any()) else {
            let run = Run {
                state,
                writes: 0,
                complete: false,
                told: false,
            };
            self.jobs.insert(job.name_any(), run);
            return;
        };
        if run.state != state {
            run.state = state;
            run.writes = 0;
            self.changes += 1;
        }
        run.writes += 1;
        self.most_writes = self.most_writes.max(run.writes);
        let status = job.status.as_ref();
        let told =
            status.and_then(|status| status.prev_report_states.get(REPORTER)) == Some(&state);
        for (now, before, count) in [
            (job.is_complete(), &mut run.complete, &mut self.complete),
            (job.is_complete() && told, &mut run.told, &mut self.told),
        ] {
            if now && !*before {
                *before = true;
                *count += 1;
            }
        }
    }
}

async fn version<K>(api: &Api<K>) -> anyhow::Result<String>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let list = api.list_metadata(&ListParams::default().limit(1)).await?;
    Ok(list.metadata.resource_version.unwrap_or_default())
}

/// Calls `see` for every object that is created or changed after `version`.
async fn follow<K>(api: Api<K>, mut version: String, mut see: impl FnMut(K)) -> anyhow::Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    loop {
        let mut watch = api.watch(&WatchParams::default(), &version).await?.boxed();
        while let Some(event) = watch.try_next().await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = object.resource_version().unwrap_or_default();
                    see(object);
                }
                WatchEvent::Error(status) => bail!("a watch ended: {status:?}"),
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
            }
        }
    }
}

async fn play(pods: Api<Pod>, name: String) -> anyhow::Result<()> {
    let container = |state: Value| {
        json!([{"name": "test", "image": "golang:1.26", "imageID": "", "ready": false,
            "restartCount": 0, "state": state}])
    };
    let now = Timestamp::now();
    let running = json!({"running": {"startedAt": now}});
    let ended = json!({"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}});
    for (phase, state) in [("Running", running), ("Succeeded", ended)] {
        let status = json!({"status": {"phase": phase, "containerStatuses": container(state)}});
        let patch = Patch::Merge(status);
        pods.patch_status(&name, &PatchParams::default(), &patch)
            .await?;
        tokio::time::sleep(POD).await;
    }
    Ok(())
}
