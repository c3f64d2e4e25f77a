//! How objects are deleted: grace period, finalizers, owners, namespaces.

use serde_json::{Value, json};

use super::{Cluster, MERGE, PODS, pod};

const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn delete(cluster: &Cluster, uri: &str, options: Value) -> (u16, Value) {
    cluster
        .send("DELETE", uri, "application/json", options)
        .await
}

#[tokio::test]
async fn a_pod_on_a_node_stays_until_the_runner_lets_it_go() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, pod("a")).await;
    let uri = format!("{PODS}/a");
    let binding = json!({"target": {"kind": "Node", "name": "local"}});
    cluster
        .create(&format!("{uri}/binding"), binding.clone())
        .await;
    let (code, _) = cluster
        .send(
            "POST",
            &format!("{uri}/binding"),
            "application/json",
            binding,
        )
        .await;
    assert_eq!(code, 409, "a pod is bound once");
    let (_, bound) = cluster.get(&uri).await;
    assert_eq!(bound["spec"]["nodeName"], "local");

    let (_, going) = delete(&cluster, &uri, json!({})).await;
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let (_, sooner) = delete(&cluster, &uri, json!({"gracePeriodSeconds": 5})).await;
    assert_eq!(sooner["metadata"]["deletionGracePeriodSeconds"], 5);
    let status = json!({"status": {"phase": "Running"}});
    let (code, running) = cluster
        .send("PATCH", &format!("{uri}/status"), MERGE, status)
        .await;
    assert_eq!(
        (code, &running["status"]["phase"]),
        (200, &json!("Running")),
        "the status can still be told"
    );
    delete(&cluster, &uri, json!({"gracePeriodSeconds": 0})).await;
    assert_eq!(cluster.get(&uri).await.0, 404);
}

#[tokio::test]
async fn the_two_halves_of_a_pod_are_written_apart() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, pod("a")).await;
    let both = json!({"metadata": {"labels": {"x": "y"}}, "status": {"phase": "Failed"}});
    let (_, object) = cluster
        .send("PATCH", &format!("{PODS}/a"), MERGE, both.clone())
        .await;
    assert_eq!(
        (
            &object["metadata"]["labels"]["x"],
            &object["status"]["phase"]
        ),
        (&json!("y"), &json!("Pending"))
    );
    let status = json!({"metadata": {"labels": {"x": "z"}}, "status": {"phase": "Failed"}});
    let (_, object) = cluster
        .send("PATCH", &format!("{PODS}/a/status"), MERGE, status)
        .await;
    assert_eq!(
        (
            &object["metadata"]["labels"]["x"],
            &object["status"]["phase"]
        ),
        (&json!("y"), &json!("Failed"))
    );
}

#[tokio::test]
async fn a_finalizer_holds_an_object() {
    let cluster = Cluster::start().await;
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}});
    cluster.create(CONFIGMAPS, held).await;
    let uri = format!("{CONFIGMAPS}/a");
    let (_, going) = delete(&cluster, &uri, json!({})).await;
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(cluster.get(&uri).await.0, 200);
    cluster
        .send(
            "PATCH",
            &uri,
            MERGE,
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    assert_eq!(cluster.get(&uri).await.0, 404);
}

#[tokio::test]
async fn what_is_owned_goes_with_its_last_owner() {
    let cluster = Cluster::start().await;
    let owner = |object: &Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": object["metadata"]["name"], "uid": object["metadata"]["uid"]});
    let make = async |name: &str, owners: Value| {
        cluster
            .create(
                CONFIGMAPS,
                json!({"metadata": {"name": name, "ownerReferences": owners}}),
            )
            .await
    };
    let there = async |name: &str| cluster.get(&format!("{CONFIGMAPS}/{name}")).await.0 == 200;
    let (one, two) = (make("one", json!([])).await, make("two", json!([])).await);
    let child = make("child", json!([owner(&one)])).await;
    make("grandchild", json!([owner(&child)])).await;
    make("shared", json!([owner(&one), owner(&two)])).await;

    delete(&cluster, &format!("{CONFIGMAPS}/one"), json!({})).await;
    assert!(!there("child").await && !there("grandchild").await && there("shared").await);
    let orphan = json!({"propagationPolicy": "Orphan"});
    delete(&cluster, &format!("{CONFIGMAPS}/two"), orphan).await;
    assert!(there("shared").await, "orphaned on purpose");

    make("late", json!([owner(&one)])).await;
    assert!(!there("late").await, "its owner was gone already");
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let cluster = Cluster::start().await;
    let owner = cluster
        .create(CONFIGMAPS, json!({"metadata": {"name": "owner"}}))
        .await;
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    let held = json!({"metadata": {"name": "held", "ownerReferences": reference, "finalizers": ["example.com/hold"]}});
    cluster.create(CONFIGMAPS, held).await;
    delete(
        &cluster,
        &format!("{CONFIGMAPS}/owner"),
        json!({"propagationPolicy": "Foreground"}),
    )
    .await;
    let (code, waiting) = cluster.get(&format!("{CONFIGMAPS}/owner")).await;
    assert_eq!(
        (code, &waiting["metadata"]["finalizers"]),
        (200, &json!(["foregroundDeletion"]))
    );
    let release = json!({"metadata": {"finalizers": null}});
    cluster
        .send("PATCH", &format!("{CONFIGMAPS}/held"), MERGE, release)
        .await;
    assert_eq!(cluster.get(&format!("{CONFIGMAPS}/owner")).await.0, 404);
}

#[tokio::test]
async fn a_namespace_takes_what_it_holds() {
    let cluster = Cluster::start().await;
    cluster
        .create(
            "/api/v1/namespaces",
            json!({"metadata": {"name": "test-pods"}}),
        )
        .await;
    let inside = "/api/v1/namespaces/test-pods";
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    cluster.create(&format!("{inside}/configmaps"), held).await;
    cluster
        .create(
            &format!("{inside}/secrets"),
            json!({"metadata": {"name": "s"}}),
        )
        .await;
    delete(&cluster, inside, json!({})).await;
    let (_, namespace) = cluster.get(inside).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
    assert_eq!(cluster.get(&format!("{inside}/secrets/s")).await.0, 404);
    let (code, _) = cluster
        .send(
            "POST",
            &format!("{inside}/pods"),
            "application/json",
            pod("late"),
        )
        .await;
    assert_eq!(code, 403);
    let release = json!({"metadata": {"finalizers": null}});
    cluster
        .send(
            "PATCH",
            &format!("{inside}/configmaps/held"),
            MERGE,
            release,
        )
        .await;
    assert_eq!(cluster.get(inside).await.0, 404);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let cluster = Cluster::start().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        cluster
            .create(
                CONFIGMAPS,
                json!({"metadata": {"name": name, "labels": {"app": app}}}),
            )
            .await;
    }
    delete(
        &cluster,
        &format!("{CONFIGMAPS}?labelSelector=app%3Dx"),
        json!({}),
    )
    .await;
    let (_, left) = cluster.get(CONFIGMAPS).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}
