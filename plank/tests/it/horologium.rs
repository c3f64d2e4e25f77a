//! Horologium on the embedded API; the test plays plank.

use std::{collections::HashSet, sync::Arc, time::Duration};

use common::{
    config::{Config, ConfigAgent, JobBase, Periodic, PodSpecJson},
    prowjob::{ProwJob, ProwJobState},
    service::ServiceReadiness,
};
use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use plank::horologium::{self, HorologiumContext};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, candidate, prowjob};

struct World {
    cluster: Cluster,
    agent: ConfigAgent,
    config: watch::Receiver<Arc<Config>>,
    running: JoinHandle<anyhow::Result<()>>,
}

fn periodic(name: &str, schedule: Value) -> Periodic {
    let span = |key: &str| schedule[key].as_str().map(|text| text.parse().unwrap());
    let spec = serde_json::from_value(json!({"containers": [{"image": "i"}]})).unwrap();
    Periodic {
        base: JobBase {
            name: name.into(),
            agent: common::prowjob::ProwJobAgent::kubernetes(),
            cluster: "default".into(),
            spec: Some(PodSpecJson::new(&spec)),
            labels: [("team".to_owned(), "blue".to_owned())].into(),
            max_concurrency: schedule["max_concurrency"].as_i64().unwrap_or_default(),
            ..JobBase::default()
        },
        interval: span("interval"),
        minimum_interval: span("minimum_interval"),
        cron: schedule["cron"].as_str().unwrap_or_default().into(),
        retry: serde_json::from_value(schedule["retry"].clone()).unwrap(),
        ..Periodic::default()
    }
}

fn config(cluster: &Cluster, periodics: Vec<Periodic>) -> Config {
    let mut config = Config {
        prow: serde_json::from_value(json!({
            "horologium": {"tick_interval": "1s"},
            "prowjob_namespace": cluster.on.namespace,
        }))
        .unwrap(),
        ..Config::default()
    };
    config.jobs.periodics = periodics.into_iter().map(Arc::new).collect();
    config
}

impl World {
    async fn new(periodics: Vec<Periodic>) -> Self {
        let cluster = Cluster::new().await;
        let (agent, config) = ConfigAgent::with_fixed_config(config(&cluster, periodics));
        let running = start(&cluster, &config, "horologium", false);
        Self {
            cluster,
            agent,
            config,
            running,
        }
    }

    async fn restart(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
        self.running = start(&self.cluster, &self.config, "horologium", false);
    }

    /// The runs of a job, in the order of their creation.
    async fn runs(&self, job: &str) -> Vec<ProwJob> {
        let all = self.cluster.jobs().list(&ListParams::default()).await;
        let mut runs = all.unwrap().items;
        runs.retain(|run| run.spec.job == job);
        runs.sort_by_key(|run| {
            let version = run.resource_version().unwrap_or_default();
            (
                run.creation_timestamp(),
                version.parse::<u64>().unwrap_or_default(),
            )
        });
        runs
    }

    async fn wait_for(&self, job: &str, count: usize) -> Vec<ProwJob> {
        for _ in 0..1000 {
            let runs = self.runs(job).await;
            if runs.len() >= count {
                assert_eq!(runs.len(), count, "{job}");
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{job} never has {count} runs");
    }

    async fn open(&self, job: &str) -> Option<ProwJob> {
        let runs = self.runs(job).await;
        runs.into_iter().find(|run| !run.is_complete())
    }

    async fn end(&self, run: &ProwJob, state: ProwJobState) {
        let status = json!({"state": state, "completionTime": now()});
        self.cluster
            .patch_job(&run.name_any(), json!({"status": status}))
            .await;
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn start(
    cluster: &Cluster,
    config: &watch::Receiver<Arc<Config>>,
    identity: &str,
    dry_run: bool,
) -> JoinHandle<anyhow::Result<()>> {
    let ctx = HorologiumContext {
        client: cluster.client.clone(),
        config: config.clone(),
        ready: ServiceReadiness::default(),
        timeout_listing_prowjobs: Duration::from_secs(10),
        dry_run,
    };
    let lead = horologium::run_as_leader(ctx, candidate(identity), CancellationToken::new());
    tokio::spawn(lead)
}

fn attempt(run: &ProwJob) -> Option<&str> {
    run.labels().get("prow.k8s.io/re-run").map(String::as_str)
}

#[tokio::test]
async fn a_periodic_runs_again_after_its_interval_and_never_beside_itself() {
    let mut world = World::new(vec![periodic("nightly", json!({"interval": "2s"}))]).await;
    let first = world.wait_for("nightly", 1).await.remove(0);
    assert_eq!(first.state(), ProwJobState::Triggered);
    assert_eq!(first.labels()["team"], "blue");
    assert_eq!(first.labels()["prow.k8s.io/type"], "periodic");
    assert_eq!(first.annotations()["prow.k8s.io/job"], "nightly");
    assert!(first.spec.report && first.spec.pod_spec.is_some());
    assert_eq!(attempt(&first), None);

    tokio::time::sleep(Duration::from_millis(2500)).await;
    world.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.runs("nightly").await.len(), 1, "it is unfinished");

    world.end(&first, ProwJobState::Success).await;
    let second = world.wait_for("nightly", 2).await.remove(1);
    world.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.runs("nightly").await.len(), 2, "after a restart, too");
    world.end(&second, ProwJobState::Success).await;
    world.wait_for("nightly", 3).await;
}

/// Other objects remember a run by its name, as its pod does.
#[tokio::test]
async fn after_a_restart_no_run_has_the_name_of_one_that_was_deleted() {
    let mut world = World::new(vec![periodic("yearly", json!({"interval": "8760h"}))]).await;
    let mut names = HashSet::new();
    for _ in 0..3 {
        let run = world.wait_for("yearly", 1).await.remove(0).name_any();
        world.running.abort();
        let params = DeleteParams::default();
        world.cluster.jobs().delete(&run, &params).await.unwrap();
        assert!(names.insert(run), "{names:?}");
        world.restart().await;
    }
}

#[tokio::test]
async fn each_second_of_a_calendar_has_one_run_across_restarts() {
    let mut world = World::new(vec![periodic("tick", json!({"cron": "* * * * * *"}))]).await;
    for round in 0..4 {
        world.wait_for("tick", round + 1).await;
        if round % 2 == 0 {
            world.restart().await;
        }
        let run = world.open("tick").await.expect("it is unfinished");
        world.end(&run, ProwJobState::Success).await;
    }
    let runs = world.runs("tick").await;
    let mut starts: Vec<_> = runs
        .iter()
        .map(|run| run.status.as_ref().unwrap().start_time.clone().unwrap().0)
        .collect();
    starts.dedup();
    assert_eq!(starts.len(), runs.len(), "one run a second: {starts:?}");
}

#[tokio::test]
async fn of_two_replicas_one_makes_runs_and_after_its_kill_the_other() {
    let world = World::new(vec![periodic("tick", json!({"cron": "* * * * * *"}))]).await;
    world.wait_for("tick", 1).await;
    let other = start(&world.cluster, &world.config, "other", false);
    for round in 0..3 {
        world.wait_for("tick", round + 1).await;
        let run = world.open("tick").await.expect("it is unfinished");
        world.end(&run, ProwJobState::Success).await;
    }
    let last = world.wait_for("tick", 4).await.remove(3);
    world.running.abort();
    world.end(&last, ProwJobState::Success).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.runs("tick").await.len(), 4, "the lease still holds");
    world.wait_for("tick", 5).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.runs("tick").await.len(), 5, "one slot is made up for");
    other.abort();
}

#[tokio::test]
async fn a_failed_run_is_repeated_as_often_as_allowed() {
    let retry = json!({"attempts": 2, "interval": "1s"});
    let job = periodic("flaky", json!({"interval": "1h", "retry": retry}));
    let world = World::new(vec![job]).await;
    for (count, expected) in [(1, None), (2, Some("1")), (3, Some("2"))] {
        world.wait_for("flaky", count).await;
        let run = world.open("flaky").await.unwrap();
        assert_eq!(attempt(&run), expected);
        world.end(&run, ProwJobState::Failure).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.runs("flaky").await.len(), 3);
}

#[tokio::test]
async fn a_run_made_by_hand_without_labels_is_waited_for() {
    let world = World::new(vec![]).await;
    let mut by_hand = prowjob("by-hand", json!({"job": "nightly"}));
    by_hand.metadata.labels = None;
    let by_hand = world.cluster.create(by_hand).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.agent.set_config(config(
        &world.cluster,
        vec![periodic("nightly", json!({"minimum_interval": "1s"}))],
    ));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.runs("nightly").await.len(), 1);
    world.end(&by_hand, ProwJobState::Failure).await;
    world.wait_for("nightly", 2).await;
}

#[tokio::test]
async fn a_job_that_the_api_refuses_stops_no_other() {
    let refused = json!({"interval": "1h", "max_concurrency": -1});
    let world = World::new(vec![
        periodic("bad", refused),
        periodic("good", json!({"interval": "1h"})),
    ])
    .await;
    world.wait_for("good", 1).await;
    assert!(world.runs("bad").await.is_empty());
    // Once corrected, it runs at once.
    world.agent.set_config(config(
        &world.cluster,
        vec![
            periodic("bad", json!({"interval": "1h"})),
            periodic("good", json!({"interval": "1h"})),
        ],
    ));
    world.wait_for("bad", 1).await;
    assert_eq!(world.runs("good").await.len(), 1);
}

#[tokio::test]
async fn a_dry_run_makes_nothing() {
    let cluster = Cluster::new().await;
    let (_agent, config) = ConfigAgent::with_fixed_config(config(
        &cluster,
        vec![periodic("n", json!({"interval": "1s"}))],
    ));
    let running = start(&cluster, &config, "horologium", true);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let jobs = cluster.jobs().list(&ListParams::default()).await.unwrap();
    assert!(jobs.items.is_empty());
    running.abort();
}
