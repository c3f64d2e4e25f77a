//! One scene from beginning to end.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::prowjob::ProwJob;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use local::testing::TestCluster;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{
    hand::{self, Hand},
    jobs::{self, CLUSTERS, Fate, Job, MAX_REVIVALS, QUEUE},
    proxy::Proxy,
    record::{Limits, Record, follow},
    replica::{Program, Replica},
    weather::Weather,
};

/// The settings of a scene.
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) jobs: usize,
    /// How long the creation of the second half takes; the first half is created at once.
    pub(crate) coming: Duration,
    pub(crate) limits: Limits,
    pub(crate) planks: usize,
    /// How long a stalled request is held, and how long a plank is cut off.
    pub(crate) stall: Duration,
    /// Between two disruptions of a plank; the first is a kill after a quarter of it.
    pub(crate) blows: Duration,
    /// Flags of the planks, in addition to Prow's.
    pub(crate) flags: Vec<String>,
    /// The time limit. Only a broken plank reaches it.
    pub(crate) patience: Duration,
}

#[expect(clippy::print_stderr, reason = "the seed, and how far a long scene is")]
pub(crate) async fn run(scene: Scene) {
    eprintln!("faults: PROW_SOAK_SEED={}", scene.seed);
    let folder = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_cluster(&folder.path().join("logs"))
        .await
        .unwrap();
    let config = config(&cluster.namespace, scene.limits).to_string();
    fs::write(folder.path().join("config.yaml"), config).unwrap();

    let jobs = jobs::jobs(scene.jobs, &cluster.namespace, scene.seed);
    let record = Arc::new(Mutex::new(Record::new(scene.limits)));
    let tasks = observe(&cluster, &jobs, &record).await;

    let program = Program {
        name: "prow-controller-manager",
        contexts: &CLUSTERS,
        flags: &scene.flags,
    };
    let mut planks = Vec::new();
    for number in 0..scene.planks {
        let weather = Weather::new(scene.seed + number as u64, scene.stall);
        let proxy = Proxy::start(cluster.client.clone(), weather).await;
        planks.push(Replica::start(&program, proxy, folder.path(), number));
    }
    let create = create(&cluster, &jobs, &scene);
    let ended = until_all_ended(&record, jobs.len());
    let blows = blows(&mut planks, scene.seed, scene.blows, scene.stall);
    let begin = Instant::now();
    let played = async { tokio::join!(create, ended) };
    let in_time = tokio::select! {
        outcome = tokio::time::timeout(scene.patience, played) => outcome.is_ok(),
        () = blows => unreachable!("there is always another blow"),
    };
    // Anything that happens after the end would be wrong, too.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for plank in &planks {
        eprintln!("faults: {}", plank.proxy.told());
    }
    drop(tasks);
    let record = record.lock().unwrap();
    let peaks = record.peaks();
    eprintln!("faults: {:?}, most at once: {peaks:?}", begin.elapsed());
    let mut violations = record.judge(&jobs);
    if !in_time {
        violations.push(format!("not all ended:\n{}", record.unfinished()));
    }
    if !violations.is_empty() {
        let logs: Vec<String> = planks.iter().map(Replica::last_words).collect();
        let kept = folder.keep();
        panic!(
            "seed {}: {}\n{}\nall in {}",
            scene.seed,
            violations.join("\n"),
            logs.join("\n---\n"),
            kept.display()
        );
    }
}

fn config(namespace: &str, limits: Limits) -> Value {
    let clusters = CLUSTERS.map(|cluster| (cluster.to_owned(), limits.cluster.into()));
    json!({
        "prowjob_namespace": namespace, "pod_namespace": namespace,
        "plank": {
            "max_concurrency": limits.all, "max_revivals": MAX_REVIVALS,
            "job_queue_capacities": {QUEUE: limits.queue},
            "build_cluster_capacities": Map::from_iter(clusters),
        },
    })
}

fn jobs_of(cluster: &TestCluster) -> Api<ProwJob> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

fn pods_of(cluster: &TestCluster) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

/// Starts the record, and the fake kubelet that runs the pods.
async fn observe(cluster: &TestCluster, jobs: &[Job], record: &Arc<Mutex<Record>>) -> JoinSet<()> {
    let fates = jobs.iter().map(|job| (job.object.name_any(), job.fate));
    let hand = Hand {
        pods: pods_of(cluster),
        fates: Arc::new(fates.collect()),
        record: Arc::clone(record),
        pace: Duration::from_millis(150),
    };
    let (all, mut tasks) = (ListParams::default(), JoinSet::new());
    let version = jobs_of(cluster)
        .list(&all)
        .await
        .unwrap()
        .metadata
        .resource_version;
    let seen = Arc::clone(record);
    tasks.spawn(follow(jobs_of(cluster), version.unwrap(), move |event| {
        seen.lock().unwrap().see_job(&event);
    }));
    let version = pods_of(cluster)
        .list(&all)
        .await
        .unwrap()
        .metadata
        .resource_version;
    tasks.spawn(follow(pods_of(cluster), version.unwrap(), move |event| {
        hand.see(&event)
    }));
    tasks
}

/// Creates the jobs, a burst at first, and aborts those that are to be aborted.
async fn create(cluster: &TestCluster, jobs: &[Job], scene: &Scene) {
    let mut random = StdRng::seed_from_u64(scene.seed);
    let gap = scene.coming / jobs.len() as u32 * 4;
    let mut aborts = JoinSet::new();
    for (number, job) in jobs.iter().enumerate() {
        jobs_of(cluster)
            .create(&PostParams::default(), &job.object)
            .await
            .unwrap();
        if job.fate == Fate::Aborted {
            let (api, name) = (jobs_of(cluster), job.object.name_any());
            let after = Duration::from_millis(random.random_range(0..3000));
            aborts.spawn(async move {
                tokio::time::sleep(after).await;
                hand::abort(&api, &name).await;
            });
        }
        if number > jobs.len() / 2 {
            tokio::time::sleep(random.random_range(Duration::ZERO..gap)).await;
        }
    }
    aborts.join_all().await;
}

#[expect(clippy::print_stderr, reason = "how far a long scene is")]
async fn until_all_ended(record: &Mutex<Record>, count: usize) {
    let mut told = Instant::now();
    loop {
        let completed = record.lock().unwrap().completed();
        if completed == count {
            return;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            eprintln!("faults: {completed} of {count} jobs have ended");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Again and again kills the replica that leads, cuts it off, or silences its watches.
pub(super) async fn blows(replicas: &mut [Replica], seed: u64, every: Duration, stall: Duration) {
    let mut random = StdRng::seed_from_u64(seed);
    tokio::time::sleep(every / 4).await;
    busiest(replicas).kill_and_restart();
    loop {
        tokio::time::sleep(every).await;
        let replica = busiest(replicas);
        match random.random_range(0..4) {
            0 | 1 => replica.kill_and_restart(),
            2 => replica.proxy.silence_watches(),
            _ => {
                replica.proxy.cut(true);
                tokio::time::sleep(stall).await;
                replica.proxy.cut(false);
            }
        }
    }
}

/// The replica with the most requests since the last disruption: the one that leads.
fn busiest(replicas: &mut [Replica]) -> &mut Replica {
    let requests: Vec<u64> = replicas.iter().map(|it| it.proxy.recent()).collect();
    let (number, _) = (0..).zip(requests).max_by_key(|(_, count)| *count).unwrap();
    &mut replicas[number]
}
