//! Build clusters that are unavailable or come later, and pods whose finalizer nobody removes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::kube::{BuildClusterClient, BuildClusterClients, ClusterClients, ClusterObstacle};
use kube::{Client, Config, ResourceExt};
use tokio::sync::watch;

use crate::cluster::Cluster;

const HOUR: i64 = 3600;

/// A client of an address on which nothing listens.
fn away() -> Client {
    common::service::install_crypto();
    let config = Config::new("http://127.0.0.1:1".parse().unwrap());
    Client::try_from(config).unwrap()
}

fn all<const N: usize>(clusters: [(&str, Arc<BuildClusterClient>); N]) -> Arc<BuildClusterClients> {
    let named = clusters.map(|(alias, it)| (alias.to_owned(), it));
    Arc::new(BTreeMap::from(named))
}

async fn with_old_job(name: &str) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.job(name, 50 * HOUR, Some(49 * HOUR)).await;
    cluster.pod(name, 50 * HOUR).await;
    cluster
}

async fn until_gone(cluster: &Cluster, name: &str) {
    let gone = async {
        while cluster.has_pod(name).await || cluster.has_job(name).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("what is due is deleted");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_keeps_no_other_from_being_looked_at() {
    let cluster = with_old_job("old").await;
    let client = cluster.on.client.clone();
    let ready = BuildClusterClient::new_ready(client.clone());
    let silent = BuildClusterClient::new_ready(away());
    let broken =
        BuildClusterClient::new_unready(None, ClusterObstacle::NoClient("no token".into()));
    let build = all([("default", ready), ("silent", silent), ("broken", broken)]);
    let (_sender, build) = watch::channel(build);
    let cluster = cluster.with(ClusterClients::new(client, build));
    let _running = cluster.keep_looking();
    until_gone(&cluster, "old").await;
}

/// The cluster was ready once, and never lists its pods.
#[tokio::test]
async fn a_job_does_not_wait_for_ever_for_its_clusters_pods() {
    let cluster = with_old_job("old").await;
    let client = cluster.on.client.clone();
    let build = all([("default", BuildClusterClient::new_ready(away()))]);
    let (_sender, build) = watch::channel(build);
    let cluster = cluster.with(ClusterClients::new(client, build));
    let _running = cluster.keep_looking();
    let gone = async {
        while cluster.has_job("old").await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone)
        .await
        .expect("half a minute later");
}

#[tokio::test]
async fn one_look_ends_without_a_cluster_that_is_away_and_says_so() {
    let cluster = with_old_job("old").await;
    let client = cluster.on.client.clone();
    let ready = BuildClusterClient::new_ready(client.clone());
    let obstacle = ClusterObstacle::NoAnswer("connection refused".into());
    let away = BuildClusterClient::new_unready(Some(away()), obstacle);
    let (_sender, build) = watch::channel(all([("default", ready), ("away", away)]));
    let cluster = cluster.with(ClusterClients::new(client, build));
    let error = cluster.try_look_once(false).await.unwrap_err().to_string();
    assert!(error.contains("away: sinker has no answer"), "{error}");
    assert!(!cluster.has_pod("old").await && !cluster.has_job("old").await);
}

#[tokio::test]
async fn a_cluster_that_comes_later_is_looked_at_and_one_that_goes_is_not() {
    let cluster = Cluster::start().await;
    let client = cluster.on.client.clone();
    let (sender, build) = watch::channel(all([]));
    let cluster = cluster.with(ClusterClients::new(client.clone(), build));
    let _running = cluster.keep_looking();
    cluster.job("first", 3 * HOUR, Some(2 * HOUR)).await;
    cluster.pod("first", 3 * HOUR).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(cluster.has_pod("first").await, "no cluster has it");
    sender.send_replace(all([("late", BuildClusterClient::new_ready(client))]));
    let gone = async {
        while cluster.has_pod("first").await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap();

    sender.send_replace(all([]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.job("second", 3 * HOUR, Some(2 * HOUR)).await;
    cluster.pod("second", 3 * HOUR).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(cluster.has_pod("second").await);
}

#[tokio::test]
async fn a_pod_that_is_held_for_a_job_that_is_gone_is_let_go() {
    let cluster = Cluster::start().await;
    cluster.held_pod("held").await;
    let _running = cluster.keep_looking();
    let is_held = async || {
        let pod = cluster.pods().get_opt("held").await.unwrap();
        pod.is_some_and(|pod| !pod.finalizers().is_empty())
    };
    assert!(is_held().await, "its job may be news");
    let let_go = async {
        while is_held().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), let_go)
        .await
        .expect("half a minute after it was made");
}
