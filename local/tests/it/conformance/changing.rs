//! Creating and changing objects.

use common::prowjob;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{Cluster, code, create, job, pod, refused};

fn merge(patch: Value) -> Patch<Value> {
    Patch::Merge(patch)
}

#[tokio::test]
async fn a_name_is_given_once_and_an_unknown_one_is_not_found() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    let twice = create(&cluster.pods(), pod("a")).await.unwrap_err();
    assert_eq!((twice.code, &*twice.reason), (409, "AlreadyExists"));
    assert_eq!(twice.message, "pods \"a\" already exists");
    let unknown = refused(cluster.jobs().get("b").await).unwrap_err();
    assert_eq!((unknown.code, &*unknown.reason), (404, "NotFound"));
    assert_eq!(unknown.message, "prowjobs.prow.k8s.io \"b\" not found");

    let generated = cluster.map(json!({"generateName": "x-"})).await;
    assert!(generated.name_any().starts_with("x-") && generated.name_any().len() == 7);
}

#[tokio::test]
async fn a_change_under_a_stale_version_or_of_another_object_is_a_conflict() {
    let cluster = Cluster::start().await;
    let before = cluster.map(json!({"name": "m"})).await;
    let patch = async |metadata: Value, value: &str| {
        let patch = merge(json!({"metadata": metadata, "data": {"key": value}}));
        refused(
            cluster
                .maps()
                .patch("m", &PatchParams::default(), &patch)
                .await,
        )
    };
    let version = json!({"resourceVersion": before.resource_version()});
    let after = patch(version.clone(), "one").await.unwrap();
    assert_ne!(after.resource_version(), before.resource_version());
    let stale = patch(version, "two").await.unwrap_err();
    assert_eq!((stale.code, &*stale.reason), (409, "Conflict"));
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on configmaps \"m\": the object has been modified; \
         please apply your changes to the latest version and try again"
    );
    patch(json!({"uid": before.uid()}), "two").await.unwrap();
    let other = json!("5d6e6af5-0000-4000-8000-000000000000");
    let changed = patch(json!({"uid": other}), "two").await.unwrap_err();
    assert_eq!((changed.code, &*changed.reason), (422, "Invalid"));
    assert_eq!(changed.details.unwrap().causes[0].field, "metadata.uid");

    let replace = async |change: Value| {
        let map = serde_json::from_value(change).unwrap();
        let params = PostParams::default();
        code(cluster.maps().replace("m", &params, &map).await)
    };
    let stale = serde_json::to_value(&before).unwrap();
    assert_eq!(replace(stale).await, (409, "Conflict".into()));
    let other = json!({"metadata": {"name": "m", "uid": other}});
    assert_eq!(replace(other).await, (409, "Conflict".into()));
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_new_version() {
    let cluster = Cluster::start().await;
    let job = create(&cluster.jobs(), job("a", json!({"state": "triggered"})))
        .await
        .unwrap();
    let same = merge(json!({"status": {"state": "triggered"}}));
    let after = cluster
        .jobs()
        .patch("a", &PatchParams::default(), &same)
        .await
        .unwrap();
    assert_eq!(after.resource_version(), job.resource_version());
    assert_eq!(after.metadata.generation, Some(1));

    let pending = merge(json!({"status": {"state": "pending"}}));
    let after = cluster
        .jobs()
        .patch("a", &PatchParams::default(), &pending)
        .await
        .unwrap();
    assert_ne!(after.resource_version(), job.resource_version());
    assert_eq!(after.metadata.generation, Some(2), "status is a part of it");
}

#[tokio::test]
async fn a_prowjob_keeps_prows_rules() {
    let cluster = Cluster::start().await;
    let at = "2026-08-01T00:00:00Z";
    for (name, status, fine) in [
        ("none", Value::Null, true),
        ("triggered", json!({"state": "triggered"}), true),
        ("aborting", json!({"state": "aborted"}), true),
        (
            "done",
            json!({"state": "success", "completionTime": at}),
            true,
        ),
        ("undone", json!({"state": "success"}), false),
        ("stateless", json!({"description": "?"}), false),
        ("future", json!({"state": "paused"}), false),
        (
            "timeless",
            json!({"state": "pending", "startTime": "soon"}),
            false,
        ),
    ] {
        let object = serde_json::to_vec(&with_kind(job(name, status))).unwrap();
        let request = http::Request::post(cluster.jobs().resource_url())
            .header("content-type", "application/json")
            .body(object)
            .unwrap();
        let answer = refused(cluster.0.client.request::<Value>(request).await);
        match answer {
            Ok(_) => assert!(fine, "{name} is created"),
            Err(status) => {
                assert!(!fine, "{name}: {}", status.message);
                assert_eq!((status.code, &*status.reason), (422, "Invalid"), "{name}");
            }
        }
    }
    let ended = merge(json!({"status": {"state": "failure"}}));
    let patched = cluster
        .jobs()
        .patch("triggered", &PatchParams::default(), &ended)
        .await;
    assert_eq!(code(patched), (422, "Invalid".into()));
    // As with upstream's CRD: missing fields are read as empty.
    let untyped = with_kind(json!({"metadata": {"name": "untyped"}, "spec": {"job": "unit"}}));
    let request = http::Request::post(cluster.jobs().resource_url())
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&untyped).unwrap())
        .unwrap();
    let created = cluster.0.client.request::<Value>(request).await.unwrap();
    assert_eq!(created["spec"], json!({"job": "unit"}));
}

#[tokio::test]
async fn what_the_kind_does_not_know_is_dropped_but_in_pod_specs() {
    let cluster = Cluster::start().await;
    let object = with_kind(json!({
        "metadata": {"name": "a"},
        "spec": {
            "type": "periodic", "job": "unit", "colour": "red",
            "pod_spec": {"containers": [{"image": "i"}], "colour": "red"},
        },
    }));
    let request = http::Request::post(cluster.jobs().resource_url())
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&object).unwrap())
        .unwrap();
    let created: Value = cluster.0.client.request(request).await.unwrap();
    assert_eq!(created["spec"]["pod_spec"]["colour"], "red");
    assert_eq!(created["spec"].get("colour"), None);
}

#[tokio::test]
async fn kubernetes_own_groups_are_kept_for_who_was_allowed() {
    let cluster = Cluster::start().await;
    let crds = Api::<CustomResourceDefinition>::all(cluster.0.client.clone());
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (group, annotation, fine) in [
        ("test.prow.example.com", None, true),
        ("test.prow.k8s.io", None, false),
        ("test.prow.k8s.io", Some("yes"), false),
        ("test.prow.k8s.io", Some("unapproved, a test"), true),
        ("test.prow.k8s.io", Some("https://example.com/1"), true),
    ] {
        let mut crd = prowjob::build_prowjob_crd();
        crd.metadata.name = Some(format!("prowjobs.{group}"));
        crd.spec.group = group.into();
        crd.metadata.annotations = annotation
            .map(|text| [("api-approved.kubernetes.io".to_owned(), text.to_owned())].into());
        let answer = code(crds.create(&dry, &crd).await);
        assert_eq!(answer.0 == 200, fine, "{group} {annotation:?}: {answer:?}");
    }
}

#[tokio::test]
async fn applied_fields_have_an_owner() {
    let cluster = Cluster::start().await;
    let apply = async |manager: &str, force: bool, data: Value| {
        let params = PatchParams {
            force,
            ..PatchParams::apply(manager)
        };
        let name = json!({"name": "m"});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data});
        refused(cluster.maps().patch("m", &params, &Patch::Apply(map)).await)
    };
    apply("one", false, json!({"a": "1", "b": "1"}))
        .await
        .unwrap();
    let conflict = apply("two", false, json!({"a": "2"})).await.unwrap_err();
    assert_eq!((conflict.code, &*conflict.reason), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"one\": .data.a"
    );
    apply("two", true, json!({"a": "2"})).await.unwrap();
    let map = apply("one", false, json!({})).await.unwrap();
    let data = map.data.unwrap();
    assert_eq!(data.get("a").map(String::as_str), Some("2"));
    assert_eq!(data.get("b"), None, "its owner does not apply it any more");
}

#[tokio::test]
async fn a_strategic_patch_is_for_kubernetes_own_kinds_and_the_refusal_names_what_is_taken() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    create(&cluster.jobs(), job("a", Value::Null))
        .await
        .unwrap();
    let patch = Patch::Strategic(json!({"metadata": {"labels": {"colour": "red"}}}));
    let params = PatchParams::default();
    let pod = cluster.pods().patch("a", &params, &patch).await.unwrap();
    assert_eq!(pod.labels()["colour"], "red");
    let refusal = refused(cluster.jobs().patch("a", &params, &patch).await).unwrap_err();
    assert_eq!(
        (refusal.code, &*refusal.reason),
        (415, "UnsupportedMediaType")
    );
    assert_eq!(
        refusal.message,
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cluster = Cluster::start().await;
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod = serde_json::from_value(pod("a")).unwrap();
    let answer = cluster.pods().create(&params, &pod).await.unwrap();
    assert!(answer.uid().is_some());
    assert!(cluster.pods().get_opt("a").await.unwrap().is_none());
}

fn with_kind(mut object: Value) -> Value {
    object["apiVersion"] = "prow.k8s.io/v1".into();
    object["kind"] = "ProwJob".into();
    object
}
