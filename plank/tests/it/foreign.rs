//! `ProwJob`s as other programs write them, without fields that ours always have.

use common::prowjob::{ProwJob, ProwJobState};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::json;

use crate::cluster::{Cluster, ended};

#[tokio::test]
async fn a_job_without_a_type_a_name_and_a_state_runs() {
    let cluster = Cluster::with_plank().await;
    let kind = ApiResource::erase::<ProwJob>(&());
    let (client, namespace) = (cluster.client.clone(), &cluster.on.namespace);
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind);
    let job = json!({
        "apiVersion": "prow.k8s.io/v1", "kind": "ProwJob",
        "metadata": {"name": "unit"},
        "spec": {
            "agent": "kubernetes",
            "pod_spec": {"containers": [{"name": "", "image": "img"}]},
        },
    });
    let job = serde_json::from_value(job).unwrap();
    api.create(&PostParams::default(), &job).await.unwrap();
    cluster.state("unit", ProwJobState::Pending).await;
    let pod = cluster.pod("unit").await;
    assert_eq!(
        pod.labels().get("prow.k8s.io/type").map(String::as_str),
        Some("")
    );
    cluster.set_pod("unit", ended("Succeeded", 0)).await;
    assert_eq!(
        cluster.complete("unit").await.state(),
        ProwJobState::Success
    );
}
