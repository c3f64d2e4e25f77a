//! Rules that only pods have.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{Cluster, code, create, pod, refused};

impl Cluster {
    async fn bind(&self, name: &str) -> (u16, String) {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"kind": "Node", "name": "nowhere"},
        });
        let params = PostParams::default();
        let pods = self.pods();
        let bound = pods.create_subresource::<_, Value>("binding", name, &params, &binding);
        code(bound.await)
    }

    async fn set(&self, name: &str, status: Value) -> Pod {
        let patch = Patch::Merge(json!({"status": status}));
        let params = PatchParams::default();
        self.pods()
            .patch_status(name, &params, &patch)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_pod_that_no_node_has_goes_at_once() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    cluster
        .pods()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    assert!(cluster.pods().get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_pod_on_a_node_goes_when_its_node_says_so() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    assert_eq!(cluster.bind("a").await.0, 200);
    assert_eq!(cluster.bind("a").await, (409, "Conflict".into()));
    cluster
        .pods()
        .delete("a", &DeleteParams::default().grace_period(20))
        .await
        .unwrap();
    let going = cluster.pods().get("a").await.unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(20));
    // The grace period can be shortened, not extended.
    cluster
        .pods()
        .delete("a", &DeleteParams::default().grace_period(25))
        .await
        .unwrap();
    let still = cluster.pods().get("a").await.unwrap();
    assert_eq!(still.metadata.deletion_grace_period_seconds, Some(20));
    cluster
        .pods()
        .delete("a", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    assert!(cluster.pods().get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_pod_that_is_done_goes_at_once_though_a_node_has_it() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    cluster.bind("a").await;
    cluster.set("a", json!({"phase": "Succeeded"})).await;
    cluster
        .pods()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    assert!(cluster.pods().get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_pod_is_pending_and_has_its_defaults() {
    let cluster = Cluster::start().await;
    let mut asked = pod("a");
    asked["status"] = json!({"phase": "Succeeded"});
    let pod = create(&cluster.pods(), asked).await.unwrap();
    let pod = serde_json::to_value(pod).unwrap();
    assert_eq!(
        pod["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );
    let spec = &pod["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("enableServiceLinks", json!(true)),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    assert_eq!(
        spec["containers"],
        json!([{
            "name": "test", "image": "img", "imagePullPolicy": "Always", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }])
    );
    assert_eq!(pod["metadata"]["generation"], 1);
}

#[tokio::test]
async fn a_pods_spec_and_its_status_are_written_apart() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    let both = Patch::Merge(json!({
        "metadata": {"labels": {"colour": "red"}}, "status": {"phase": "Failed"},
    }));
    let params = PatchParams::default();
    let patched = cluster.pods().patch("a", &params, &both).await.unwrap();
    assert_eq!(patched.labels()["colour"], "red");
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Pending"));

    let spec = Patch::Merge(json!({
        "spec": {"activeDeadlineSeconds": 5}, "status": {"phase": "Failed", "reason": "Evicted"},
    }));
    let patched = cluster.pods().patch_status("a", &params, &spec).await;
    let patched = patched.unwrap();
    assert_eq!(patched.spec.unwrap().active_deadline_seconds, None);
    assert_eq!(patched.status.unwrap().reason.as_deref(), Some("Evicted"));
}

#[tokio::test]
async fn what_a_pod_may_not_be_or_become() {
    let cluster = Cluster::start().await;
    let container = |more: Value| {
        let mut container = json!({"name": "test", "image": "img"});
        for (key, value) in more.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({"containers": [container]})
    };
    for (what, spec, field) in [
        (
            "nothing to run",
            json!({"containers": []}),
            "spec.containers",
        ),
        (
            "no image",
            json!({"containers": [{"name": "test"}]}),
            "spec.containers[0].image",
        ),
        (
            "a wrong name",
            container(json!({"name": "A_b"})),
            "spec.containers[0].name",
        ),
        (
            "a volume that is not there",
            container(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})),
            "spec.containers[0].volumeMounts[0].name",
        ),
        (
            "a wrong restart policy",
            {
                let mut spec = container(json!({}));
                spec["restartPolicy"] = "Sometimes".into();
                spec
            },
            "spec.restartPolicy",
        ),
    ] {
        let pod = json!({"metadata": {"name": "a"}, "spec": spec});
        let refusal = create(&cluster.pods(), pod).await.unwrap_err();
        assert_eq!((refusal.code, &*refusal.reason), (422, "Invalid"), "{what}");
        let causes = refusal.details.clone().unwrap().causes;
        assert!(
            causes.iter().any(|cause| cause.field == field),
            "{what}: {causes:?}"
        );
        assert!(
            refusal.message.starts_with("Pod \"a\" is invalid: "),
            "{what}: {}",
            refusal.message
        );
    }
    let mut labelled = pod("a");
    labelled["metadata"]["labels"] = json!({"colour": "x".repeat(64)});
    let refusal = create(&cluster.pods(), labelled).await.unwrap_err();
    assert_eq!(refusal.code, 422, "a label that is too long");

    cluster.pod("a").await;
    for spec in [
        json!({"restartPolicy": "Never"}),
        json!({"nodeName": "elsewhere"}),
        json!({"schedulerName": "other"}),
    ] {
        let patch = Patch::Merge(json!({"spec": spec}));
        let patched = cluster
            .pods()
            .patch("a", &PatchParams::default(), &patch)
            .await;
        let refusal = refused(patched).unwrap_err();
        assert_eq!(refusal.code, 422, "{spec}");
    }
}
