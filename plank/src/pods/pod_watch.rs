//! Keeps the pods of a cluster up to date, and notices when the cluster does not answer.

use std::time::Duration;

use common::{
    kube::{
        ClusterObstacle, ClusterPermission, DeserializeGuard, MissingPermission,
        watch_objects_with_failures,
    },
    prowjob::labels,
};
use futures::StreamExt;
use jiff::Timestamp;
use kube::{Api, api::ListParams, runtime::watcher};

use super::{BuildCluster, PodChange};
use crate::{pod_view::PrunedPod, watch};

/// The wait between two probes of a cluster that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long a probe waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watches the pods and passes every change to `tell`, for as long as it is polled.
pub(crate) async fn watch_pods(
    cluster: &BuildCluster,
    alias: &str,
    extra_selector: &str,
    tell: impl Fn(PodChange),
) {
    let api: Api<DeserializeGuard<PrunedPod>> =
        Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut selector = format!("{}=true", labels::CREATED_BY_PROW);
    if !extra_selector.is_empty() {
        selector.push(',');
        selector.push_str(extra_selector);
    }
    let config = watcher::Config::default().labels(&selector);
    let what = format!("pods of cluster {alias}");
    let events = watch_objects_with_failures(api, config, what.as_str());
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        let Ok(event) = event else {
            // A dropped connection alone means little: the watch continues where it was.
            let mut told: Option<ClusterObstacle> = None;
            while let Err(obstacle) = probe_cluster(cluster).await {
                if !told.as_ref().is_some_and(|told| told.is_like(&obstacle)) {
                    tracing::warn!(
                        cluster = alias,
                        "the build cluster is not worked on: plank {obstacle}"
                    );
                    tell(
                        cluster
                            .pods
                            .mark_unready(Timestamp::now(), obstacle.clone()),
                    );
                    told = Some(obstacle);
                }
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
            if told.is_some() {
                tracing::info!(cluster = alias, "the build cluster answers again");
                if cluster.pods.was_listed() {
                    tell(cluster.pods.mark_ready());
                }
            }
            continue;
        };
        let news =
            watch::keep_valid_event(event, &what).and_then(|event| cluster.pods.apply_event(event));
        if let Some(news) = news {
            tell(news);
        }
    }
}

/// Whether plank can list pods in the cluster; the error says why not.
async fn probe_cluster(cluster: &BuildCluster) -> Result<(), ClusterObstacle> {
    let api = cluster.pod_api();
    let one = ListParams::default().limit(1);
    match tokio::time::timeout(PATIENCE, api.list_metadata(&one)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            let right = ClusterPermission::essential("", "pods", &["list"]);
            Err(ClusterObstacle::Forbidden(vec![MissingPermission {
                right,
                verbs: right.verbs.to_vec(),
                namespace: cluster.namespace.as_str().into(),
            }]))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ClusterObstacle::NoAnswer(format!(
            "none within {PATIENCE:?}"
        ))),
    }
}
