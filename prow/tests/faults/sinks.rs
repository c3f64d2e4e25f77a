//! Sinkers under faults.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::prowjob::{ProwJob, labels};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent},
};
use local::testing::{SCHEDULER, TestCluster};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    proxy::{AWAY, Proxy},
    record::follow,
    replica::{Program, Replica},
    scene::blows,
    weather::Weather,
};

const HOUR: i64 = 3600;
const FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

/// The settings of a scene with sinkers.
pub(crate) struct Sinks {
    pub(crate) seed: u64,
    /// How many of each kind in [`KINDS`].
    pub(crate) objects: usize,
    pub(crate) sinkers: usize,
    /// How long a stalled request is held, and how long a sinker is cut off.
    pub(crate) stall: Duration,
    /// Between two disruptions of a sinker.
    pub(crate) blows: Duration,
    /// Flags of the sinkers, in addition to Prow's.
    pub(crate) flags: Vec<String>,
    /// The time limit. Only a broken sinker reaches it.
    pub(crate) patience: Duration,
}

/// A job with its pod, and whether each of the two stays.
struct Kind {
    name: &'static str,
    /// How many seconds ago it began and ended; `None` when there is no job.
    job: Option<(i64, Option<i64>)>,
    /// The pod is being deleted, and a finalizer holds it for a report.
    held: bool,
    /// The pod is not Prow's.
    foreign: bool,
    job_stays: bool,
    pod_stays: bool,
}

const fn kind(name: &'static str, job: Option<(i64, Option<i64>)>, stays: (bool, bool)) -> Kind {
    Kind {
        name,
        job,
        held: false,
        foreign: false,
        job_stays: stays.0,
        pod_stays: stays.1,
    }
}

const KINDS: [Kind; 7] = [
    kind("aged", Some((50 * HOUR, Some(49 * HOUR))), (false, false)),
    kind("ttled", Some((3 * HOUR, Some(2 * HOUR))), (true, false)),
    kind("fresh", Some((HOUR / 2, Some(HOUR / 4))), (true, true)),
    kind("running", Some((60 * HOUR, None)), (true, true)),
    kind("orphan", None, (false, false)),
    Kind {
        held: true,
        ..kind("held", None, (false, false))
    },
    Kind {
        foreign: true,
        ..kind("foreign", None, (false, true))
    },
];

/// The objects that must stay, by UID, and those of them that are gone.
#[derive(Default)]
struct Watched {
    stays: BTreeMap<String, String>,
    gone: Vec<String>,
    violations: Vec<String>,
}

impl Watched {
    fn see<K: Resource<DynamicType = ()>>(&mut self, event: &WatchEvent<K>) {
        let (object, gone) = match event {
            WatchEvent::Modified(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            _ => return,
        };
        let (uid, kind) = (object.uid().unwrap(), K::kind(&()));
        let name = format!("{kind} {}", object.name_any());
        if gone && self.gone.contains(&uid) {
            self.violations.push(format!("{name} went twice"));
        }
        let goes = gone || object.meta().deletion_timestamp.is_some();
        if goes && self.stays.contains_key(&uid) {
            self.violations.push(format!("{name} goes and should stay"));
        }
        self.gone.extend(gone.then_some(uid));
    }
}

struct Stage {
    jobs: Api<ProwJob>,
    pods: Api<Pod>,
    watched: Arc<Mutex<Watched>>,
}

impl Stage {
    async fn observe(&self) -> JoinSet<()> {
        let (mut tasks, all) = (JoinSet::new(), ListParams::default());
        let version = |list: kube::api::ListMeta| list.resource_version.unwrap();
        let jobs = version(self.jobs.list(&all).await.unwrap().metadata);
        let pods = version(self.pods.list(&all).await.unwrap().metadata);
        let seen = Arc::clone(&self.watched);
        tasks.spawn(follow(self.jobs.clone(), jobs, move |event| {
            seen.lock().unwrap().see(&event);
        }));
        let seen = Arc::clone(&self.watched);
        tasks.spawn(follow(self.pods.clone(), pods, move |event| {
            seen.lock().unwrap().see(&event);
        }));
        tasks
    }

    fn keep(&self, stays: bool, object: &impl ResourceExt) {
        if stays {
            let (uid, name) = (object.uid().unwrap(), object.name_any());
            self.watched.lock().unwrap().stays.insert(uid, name);
        }
    }

    async fn create(&self, kind: &Kind, name: &str) {
        let params = PostParams::default();
        if let Some((began, ended)) = kind.job {
            let job = job(name, began, ended);
            let job = self.jobs.create(&params, &job).await.unwrap();
            self.keep(kind.job_stays, &job);
        }
        let began = kind.job.map_or(HOUR, |(began, _)| began);
        let pod = self.pods.create(&params, &pod(kind, name)).await.unwrap();
        self.keep(kind.pod_stays, &pod);
        let status = json!({"status": {"phase": "Succeeded", "startTime": ago(began)}});
        let (params, status) = (PatchParams::default(), Patch::Merge(status));
        // It may be gone already.
        let _ = self.pods.patch_status(name, &params, &status).await;
        if kind.held {
            let at_once = DeleteParams::default().grace_period(0);
            self.pods.delete(name, &at_once).await.unwrap();
        }
    }

    /// The objects that are there and should not be, and those that are missing.
    async fn wrong(&self, objects: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        for kind in &KINDS {
            for number in 0..objects {
                let name = format!("{}-{number}", kind.name);
                let job = self.jobs.get_opt(&name).await.unwrap();
                if job.is_some() != kind.job_stays {
                    wrong.push(format!("ProwJob {name}"));
                }
                // A deleted pod counts as gone: its node ends it, unless a finalizer holds it.
                let pod = self.pods.get_opt(&name).await.unwrap();
                let there = pod.is_some_and(|pod| {
                    pod.metadata.deletion_timestamp.is_none() || !pod.finalizers().is_empty()
                });
                if there != kind.pod_stays {
                    wrong.push(format!("Pod {name}"));
                }
            }
        }
        wrong
    }
}

fn job(name: &str, began: i64, ended: Option<i64>) -> ProwJob {
    let mut status = json!({"state": "pending", "startTime": ago(began)});
    if let Some(ended) = ended {
        status["state"] = "success".into();
        status["completionTime"] = ago(ended).into();
    }
    let job = json!({
        "apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": name},
        "spec": {"type": "presubmit", "job": "unit", "agent": "kubernetes"}, "status": status,
    });
    serde_json::from_value(job).unwrap()
}

fn pod(kind: &Kind, name: &str) -> Pod {
    let mut metadata = json!({"name": name});
    if !kind.foreign {
        metadata["labels"] = json!({(labels::CREATED_BY_PROW): "true", (labels::ID): name});
    }
    if kind.held {
        metadata["finalizers"] = json!([FINALIZER]);
    }
    let spec = json!({
        "schedulerName": SCHEDULER, "containers": [{"name": "test", "image": "golang"}],
    });
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn ago(seconds: i64) -> String {
    let at = Timestamp::now() - SignedDuration::from_secs(seconds);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn config(namespace: &str) -> Value {
    json!({
        "prowjob_namespace": namespace, "pod_namespace": namespace,
        "sinker": {
            "resync_period": "2s", "max_prowjob_age": "48h", "max_pod_age": "12h",
            "terminated_pod_ttl": "1h",
        },
    })
}

#[expect(
    clippy::print_stderr,
    reason = "the seed, and what the weather was like"
)]
pub(crate) async fn sink(scene: Sinks) {
    eprintln!("faults: PROW_SOAK_SEED={}", scene.seed);
    let folder = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_cluster(&folder.path().join("logs"))
        .await
        .unwrap();
    let config = config(&cluster.namespace).to_string();
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let stage = Stage {
        jobs: Api::namespaced(cluster.client.clone(), &cluster.namespace),
        pods: Api::namespaced(cluster.client.clone(), &cluster.namespace),
        watched: Arc::default(),
    };
    let tasks = stage.observe().await;
    let program = Program {
        name: "sinker",
        contexts: &["default", AWAY],
        flags: &scene.flags,
    };
    let mut sinkers = Vec::new();
    for number in 0..scene.sinkers {
        let weather = Weather::new(scene.seed + number as u64, scene.stall);
        let proxy = Proxy::start(cluster.client.clone(), weather).await;
        sinkers.push(Replica::start(&program, proxy, folder.path(), number));
    }
    let played = async {
        for number in 0..scene.objects {
            for kind in &KINDS {
                stage.create(kind, &format!("{}-{number}", kind.name)).await;
            }
        }
        while !stage.wrong(scene.objects).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let begin = Instant::now();
    let in_time = tokio::select! {
        outcome = tokio::time::timeout(scene.patience, played) => outcome.is_ok(),
        () = blows(&mut sinkers, scene.seed, scene.blows, scene.stall) => unreachable!("they go on"),
    };
    // Anything that happens after the end would be wrong, too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let wrong = stage.wrong(scene.objects).await;
    drop(tasks);
    for sinker in &sinkers {
        eprintln!("faults: {}", sinker.proxy.told());
    }
    eprintln!("faults: {:?}", begin.elapsed());
    let violations = &stage.watched.lock().unwrap().violations;
    if !in_time || !wrong.is_empty() || !violations.is_empty() {
        let logs: Vec<String> = sinkers.iter().map(Replica::last_words).collect();
        let kept = folder.keep();
        panic!(
            "seed {}: {violations:?}, wrong: {wrong:?}\n{}\nall in {}",
            scene.seed,
            logs.join("\n---\n"),
            kept.display()
        );
    }
}
