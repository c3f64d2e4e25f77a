//! Crier against the GitHub stand-in: what a contributor sees on the commit.

use std::time::Duration;

use common::{
    prowjob::ProwJobState,
    service::{
        ServiceReadiness,
        lease::{LeaderElector, LeaderFence},
    },
};
use local::github::ObservedStatus;
use plank::crier;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cluster::candidate;
use crate::{
    cluster::ended,
    world::{World, start},
};

const UNKNOWN: &str = "0123456789012345678901234567890123456789";
const REPORTER: &str = "github-reporter";

impl World {
    async fn statuses(&self) -> Vec<ObservedStatus> {
        let statuses = self.github.list_statuses("acme", "widgets", &self.sha);
        statuses.await.unwrap()
    }

    /// Waits until the commit's only status begins like this.
    async fn status(&self, state: &str, description: &str) -> ObservedStatus {
        let mut statuses = Vec::new();
        for _ in 0..1000 {
            statuses = self.statuses().await;
            if let [one] = statuses.as_slice()
                && one.state == state
                && one.description.starts_with(description)
            {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {state}, {description:?}: {statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_states_appear_on_its_commit() {
    let world = World::new().await;
    start(world.context(json!({})));
    world.trigger("unit", json!({})).await;
    let status = world.status("pending", "Job triggered.").await;
    assert_eq!(status.context, "unit");
    let url = "http://deck/view/prowjob/unit/";
    assert!(status.target_url.starts_with(url), "{status:?}");
    let base = format!(" BaseSHA:{}", world.sha);
    assert!(status.description.ends_with(&base), "{status:?}");
    world.cluster.set_pod("unit", ended("Failed", 1)).await;
    world.status("failure", "Job failed.").await;
    world.marked("unit", REPORTER, ProwJobState::Failure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_crier_was_away_is_told_and_only_once() {
    let world = World::new().await;
    world.trigger("unit", json!({})).await;
    world.cluster.pod("unit").await;
    world.cluster.set_pod("unit", ended("Succeeded", 0)).await;
    world.cluster.complete("unit").await;
    let crier = start(world.context(json!({})));
    world.status("success", "Job succeeded.").await;
    world.marked("unit", REPORTER, ProwJobState::Success).await;
    crier.abort();
    let version = async || {
        let job = world.cluster.jobs().get("unit").await.unwrap();
        job.metadata.resource_version
    };
    let before = version().await;
    start(world.context(json!({})));
    world.cluster.rest().await;
    assert_eq!(version().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_github_does_not_know_is_given_up() {
    let world = World::new().await;
    start(world.context(json!({})));
    let refs = json!({"org": "acme", "repo": "widgets", "pulls": [{"number": 1, "sha": UNKNOWN}]});
    world.trigger("lost", json!({"refs": refs})).await;
    world.marked("lost", REPORTER, ProwJobState::Pending).await;
    world.trigger("silent", json!({"report": false})).await;
    world.cluster.pod("silent").await;
    world.cluster.rest().await;
    assert_eq!(world.statuses().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_marks_nothing() {
    let world = World::new().await;
    let mut ctx = world.context(json!({}));
    ctx.settings.dry_run = true;
    start(ctx);
    world.trigger("unit", json!({})).await;
    world.cluster.pod("unit").await;
    world.cluster.set_pod("unit", ended("Failed", 1)).await;
    world.cluster.complete("unit").await;
    world.cluster.rest().await;
    assert_eq!(world.statuses().await, []);
    assert_eq!(world.comments().await, []);
    let job = world.cluster.jobs().get("unit").await.unwrap();
    assert!(job.status.unwrap().prev_report_states.is_empty());
}

async fn of_a_term_that_ended(world: &World) -> LeaderFence {
    let mut ended = None;
    let lease = LeaderElector::new(
        world.cluster.client.clone(),
        &world.cluster.on.namespace,
        "lock",
        candidate("crier"),
    );
    let (ready, shutdown) = (ServiceReadiness::default(), CancellationToken::new());
    let work = |fence| {
        ended = Some(fence);
        std::future::ready(Ok(()))
    };
    lease
        .run_while_leading(&ready, &shutdown, work)
        .await
        .unwrap();
    ended.expect("it has led")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crier_that_may_not_lead_any_more_sends_nothing() {
    let world = World::new().await;
    let mut ctx = world.context(json!({}));
    ctx.fence = of_a_term_that_ended(&world).await;
    start(ctx);
    world.trigger("unit", json!({})).await;
    world.cluster.pod("unit").await;
    world.cluster.rest().await;
    assert_eq!(world.statuses().await, []);
    start(world.context(json!({})));
    world.marked("unit", REPORTER, ProwJobState::Pending).await;
    world.status("pending", "Job triggered.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_tells_and_after_its_kill_the_other() {
    let world = World::new().await;
    let lead = |identity: &str| {
        let ctx = world.context(json!({}));
        let end = CancellationToken::new();
        tokio::spawn(crier::run_as_leader(ctx, candidate(identity), end))
    };
    let one = lead("one");
    let told = async |name: &str| {
        world.trigger(name, json!({})).await;
        world.marked(name, REPORTER, ProwJobState::Pending).await;
        world.cluster.rest().await;
        let told = world.statuses().await.into_iter();
        told.filter(|status| status.context == name).count()
    };
    assert_eq!(told("before").await, 1);
    let _other = lead("other");
    assert_eq!(told("beside").await, 1);
    one.abort();
    assert_eq!(told("after").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_newer_one_replaced_tells_nothing_more() {
    let world = World::new().await;
    start(world.context(json!({})));
    world.trigger("unit", json!({})).await;
    world.marked("unit", REPORTER, ProwJobState::Pending).await;
    world
        .trigger("unit-again", json!({"job": "unit", "context": "unit"}))
        .await;
    world.cluster.complete("unit").await;
    world
        .marked("unit-again", REPORTER, ProwJobState::Pending)
        .await;
    world.cluster.rest().await;
    world.status("pending", "").await;
    assert_eq!(world.comments().await, []);
}
