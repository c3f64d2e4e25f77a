//! Build clusters that come, go, and do not answer; jobs that a scheduler sends to one.

use std::{convert::Infallible, sync::Arc};

use common::{
    kube::{
        BuildClusterClient, BuildClusterClients, ClusterClients, ClusterObstacle,
        ClusterPermission, MissingPermission,
    },
    prowjob::ProwJobState,
};
use http::{Request, Response};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, Client, Config, api::PostParams, client::Body};
use local::apiserver::{ApiServer, ApiServerOptions};
use serde_json::json;
use tokio::sync::watch;

use crate::cluster::{Cluster, description, prowjob};

/// The test's cluster as `default`, and other clusters.
struct Others {
    default: Arc<BuildClusterClient>,
    sender: watch::Sender<Arc<BuildClusterClients>>,
}

impl Others {
    fn new(
        cluster: &Cluster,
        others: &[(&str, Arc<BuildClusterClient>)],
    ) -> (Self, ClusterClients) {
        let (sender, receiver) = watch::channel(Arc::default());
        let default = BuildClusterClient::new_ready(cluster.client.clone());
        let it = Self { default, sender };
        it.publish(others);
        (it, ClusterClients::new(cluster.client.clone(), receiver))
    }

    fn publish(&self, others: &[(&str, Arc<BuildClusterClient>)]) {
        let others = others.iter().map(|(alias, it)| (*alias, Arc::clone(it)));
        let default = [("default", Arc::clone(&self.default))];
        let all = default.into_iter().chain(others);
        let all = all.map(|(alias, it)| (alias.to_owned(), it)).collect();
        self.sender.send_replace(Arc::new(all));
    }
}

/// An API that answers every request with this code.
fn answering(code: u16) -> Client {
    let service = tower::service_fn(move |_: Request<Body>| async move {
        let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": "R", "message": "at https://10.0.0.1"});
        let answer = Response::builder().status(code);
        Ok::<_, Infallible>(
            answer
                .body(Body::from(status.to_string().into_bytes()))
                .unwrap(),
        )
    });
    Client::new(service, "default")
}

/// An API where nobody listens.
fn away() -> Client {
    let mut config = Config::new("http://127.0.0.1:1".parse().unwrap());
    config.default_namespace = "default".into();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_cluster_that_is_away_delays_only_its_own_jobs() {
    let mut cluster = Cluster::new().await;
    let (_others, clusters) =
        Others::new(&cluster, &[("away", BuildClusterClient::new_ready(away()))]);
    cluster.start_plank_on(clusters);
    for number in 0..60 {
        let name = format!("stranded-{number}");
        cluster
            .trigger(&name, json!({"cluster": "away", "job": name}))
            .await;
    }
    cluster.trigger("fine", json!({})).await;
    cluster.pod("fine").await;
    let stranded = cluster.jobs().get("stranded-0").await.unwrap();
    assert_eq!(stranded.state(), ProwJobState::Triggered);
    let told = "Waiting: build cluster away does not answer.";
    cluster
        .job("stranded-0", told, |job| description(job) == told)
        .await;
}

#[tokio::test]
async fn clusters_come_and_go_while_plank_runs() {
    let mut cluster = Cluster::new().await;
    // A second API in any case, so that a pod shows in which cluster it is.
    let logs = cluster.dir.path().join("second");
    let second = ApiServer::start(ApiServerOptions { db: None, logs })
        .await
        .unwrap();
    let second = second.in_process_client(&cluster.on.namespace);
    let namespace = json!({"metadata": {"name": cluster.on.namespace}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    // It may exist already: `default` always does.
    let _ = Api::all(second.clone())
        .create(&PostParams::default(), &namespace)
        .await;
    let (others, clusters) = Others::new(&cluster, &[]);
    cluster.start_plank_on(clusters);

    cluster.trigger("early", json!({"cluster": "second"})).await;
    let job = cluster.complete("early").await;
    let unknown = "Terminal error: no client for build cluster \"second\".";
    assert_eq!(description(&job), unknown);

    others.publish(&[("second", BuildClusterClient::new_ready(second.clone()))]);
    cluster.trigger("there", json!({"cluster": "second"})).await;
    cluster.state("there", ProwJobState::Pending).await;
    let pods: Api<Pod> = Api::default_namespaced(second);
    let mut found = None;
    for _ in 0..2000 {
        found = pods.get_opt("there").await.unwrap();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(found.is_some(), "the pod is in the second cluster");
    assert!(cluster.pods().get_opt("there").await.unwrap().is_none());

    others.publish(&[]);
    let job = cluster.complete("there").await;
    assert_eq!(description(&job), unknown, "its cluster was taken away");
    cluster.trigger("here", json!({})).await;
    cluster.pod("here").await;
}

#[tokio::test]
async fn what_is_in_the_way_of_a_cluster_is_told_where_its_jobs_wait() {
    let mut cluster = Cluster::new().await;
    let missing = MissingPermission {
        right: ClusterPermission::essential("", "pods", &["create", "delete"]),
        verbs: vec!["create"],
        namespace: "test-pods".into(),
    };
    let forbidden = ClusterObstacle::Forbidden(vec![missing]);
    let refused = ClusterObstacle::Unauthorized("401 at https://10.0.0.1".into());
    let others = [
        (
            "norights",
            BuildClusterClient::new_unready(Some(away()), forbidden),
        ),
        (
            "stranger",
            BuildClusterClient::new_unready(Some(away()), refused),
        ),
        ("revoked", BuildClusterClient::new_ready(answering(403))),
        ("expired", BuildClusterClient::new_ready(answering(401))),
    ];
    let (_others, clusters) = Others::new(&cluster, &others);
    cluster.start_plank_on(clusters);
    let namespace = cluster.on.namespace.clone();
    let rows = [
        (
            "norights",
            "cannot be used: plank may not create pods in namespace test-pods",
        ),
        ("stranger", "refuses the credentials of plank"),
        (
            "revoked",
            &format!("cannot be used: plank may not list pods in namespace {namespace}"),
        ),
        ("expired", "refuses the credentials of plank"),
    ];
    for (alias, _) in rows {
        cluster.trigger(alias, json!({"cluster": alias})).await;
    }
    for (alias, why) in rows {
        let told = format!("Waiting: build cluster {alias} {why}.");
        cluster
            .job(alias, &told, |job| description(job) == told)
            .await;
    }
}

/// A context `default` that no client can be made of is no reason to start its jobs elsewhere.
#[tokio::test]
async fn jobs_of_a_cluster_without_a_client_wait_for_it_and_start_when_there_is_one() {
    let mut cluster = Cluster::new().await;
    let (others, clusters) = Others::new(&cluster, &[]);
    let obstacle = ClusterObstacle::NoClient("its token file is missing".into());
    let default = BuildClusterClient::new_unready(None, obstacle);
    others.publish(&[("default", default)]);
    cluster.start_plank_on(clusters);
    cluster.trigger("pj", json!({})).await;
    let told = "Waiting: build cluster default cannot be reached: its kubeconfig context is of no use, plank's log says why.";
    let job = cluster
        .job("pj", told, |job| description(job) == told)
        .await;
    assert_eq!(job.state(), ProwJobState::Triggered);
    assert!(cluster.pods().get_opt("pj").await.unwrap().is_none());
    others.publish(&[]);
    cluster.pod("pj").await;
}

#[tokio::test]
async fn a_job_that_is_to_be_scheduled_goes_where_its_cluster_is_mapped_to() {
    let mut cluster = Cluster::new().await;
    let mut config = common::config::Config::default();
    config.prow = cluster.config.current_config().prow.clone();
    config.prow.scheduler = serde_json::from_value(json!({
        "enabled": true, "failover": {"mappings": {"broken": "default"}},
    }))
    .unwrap();
    cluster.config.set_config(config);
    cluster.start_plank();
    let mut job = prowjob("pj", json!({"cluster": "broken"}));
    job.status.as_mut().unwrap().state = ProwJobState::Scheduling;
    cluster.create(job).await;
    cluster.pod("pj").await;
    let job = cluster.state("pj", ProwJobState::Pending).await;
    assert_eq!(job.spec.cluster, "default");
}
