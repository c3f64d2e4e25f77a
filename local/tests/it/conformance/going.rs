//! How objects are deleted.

use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use super::{Cluster, code};

const FINALIZER: &str = "prow.x-k8s.io/test";

#[tokio::test]
async fn a_deletion_can_be_of_one_very_object() {
    let cluster = Cluster::start().await;
    let map = cluster.map(json!({"name": "m"})).await;
    let delete = async |uid: Option<String>, resource_version: Option<String>| {
        let params = DeleteParams::default().preconditions(Preconditions {
            uid,
            resource_version,
        });
        code(cluster.maps().delete("m", &params).await)
    };
    let conflict = (409, "Conflict".to_owned());
    let other = "5d6e6af5-0000-4000-8000-000000000000".to_owned();
    assert_eq!(delete(Some(other), None).await, conflict);
    assert_eq!(delete(None, Some("1".into())).await, conflict);
    assert!(cluster.maps().get_opt("m").await.unwrap().is_some());
    assert_eq!(delete(map.uid(), map.resource_version()).await.0, 200);
    assert!(cluster.maps().get_opt("m").await.unwrap().is_none());
    assert_eq!(delete(None, None).await, (404, "NotFound".into()));
}

#[tokio::test]
async fn a_finalizer_keeps_an_object_until_it_is_taken_off() {
    let cluster = Cluster::start().await;
    let map = cluster
        .map(json!({"name": "m", "finalizers": [FINALIZER]}))
        .await;
    let answer = cluster
        .maps()
        .delete("m", &DeleteParams::default())
        .await
        .unwrap();
    let going = answer.left().expect("it is still there");
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(0));
    assert_eq!(going.uid(), map.uid());

    let finalizers = async |all: Value| {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": all}}));
        cluster
            .maps()
            .patch("m", &PatchParams::default(), &patch)
            .await
    };
    assert_eq!(
        code(finalizers(json!([FINALIZER, "prow.x-k8s.io/late"])).await),
        (422, "Invalid".into()),
        "none can be added any more"
    );
    let again = cluster
        .maps()
        .delete("m", &DeleteParams::default())
        .await
        .unwrap();
    let again = again.left().expect("it is still there");
    assert_eq!(
        again.metadata.deletion_timestamp,
        going.metadata.deletion_timestamp
    );
    finalizers(json!([])).await.unwrap();
    assert!(cluster.maps().get_opt("m").await.unwrap().is_none());
}

#[tokio::test]
async fn a_selection_is_deleted_at_once() {
    let cluster = Cluster::start().await;
    for (name, colour) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        cluster
            .map(json!({"name": name, "labels": {"colour": colour}}))
            .await;
    }
    cluster
        .maps()
        .delete_collection(
            &DeleteParams::default(),
            &ListParams::default().labels("colour=red"),
        )
        .await
        .unwrap();
    let left = cluster
        .maps()
        .list(&ListParams::default().labels("colour"))
        .await
        .unwrap();
    let names: Vec<_> = left.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["c"]);
}
