//! The responses to single requests.

use serde_json::json;

use super::{CRDS, Cluster, JOBS, MERGE, PODS, job_crd, pod};

#[tokio::test]
async fn an_object_is_created_read_changed_and_deleted() {
    let cluster = Cluster::start().await;
    let created = cluster.create(PODS, pod("a")).await;
    assert_eq!(created["metadata"]["namespace"], "default");
    assert_eq!(created["status"]["phase"], "Pending");
    assert_eq!(created["spec"]["restartPolicy"], "Always");
    assert!(
        created["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap()
            .len()
            == "2026-01-01T00:00:00Z".len()
    );

    let (code, found) = cluster.get(&format!("{PODS}/a")).await;
    assert_eq!((code, &found), (200, &created));
    let labels = json!({"metadata": {"labels": {"app": "x"}}});
    let (_, patched) = cluster
        .send("PATCH", &format!("{PODS}/a"), MERGE, labels.clone())
        .await;
    assert_eq!(patched["metadata"]["labels"]["app"], "x");
    let (_, again) = cluster
        .send("PATCH", &format!("{PODS}/a"), MERGE, labels)
        .await;
    assert_eq!(
        again["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"],
        "nothing changed"
    );

    let (code, stale) = cluster
        .send(
            "PUT",
            &format!("{PODS}/a"),
            "application/json",
            created.clone(),
        )
        .await;
    assert_eq!((code, &stale["reason"]), (409, &json!("Conflict")));
    let wrong_uid = json!({"preconditions": {"uid": "another"}});
    let (code, _) = cluster
        .send(
            "DELETE",
            &format!("{PODS}/a"),
            "application/json",
            wrong_uid,
        )
        .await;
    assert_eq!(code, 409);
    let (code, deleted) = cluster
        .send(
            "DELETE",
            &format!("{PODS}/a"),
            "application/json",
            json!({}),
        )
        .await;
    assert_eq!(
        (code, &deleted["details"]["uid"]),
        (200, &created["metadata"]["uid"])
    );
    assert_eq!(cluster.get(&format!("{PODS}/a")).await.0, 404);
}

type Refusal<'a> = (&'a str, &'a str, serde_json::Value, u16, &'a str);

async fn assert_refused(cluster: &Cluster, cases: Vec<Refusal<'_>>) {
    for (method, uri, body, code, reason) in cases {
        let (got, status) = cluster.send(method, uri, "application/json", body).await;
        assert_eq!(
            (got, &status["reason"]),
            (code, &json!(reason)),
            "{method} {uri}: {status}"
        );
        assert_eq!(
            (&status["kind"], &status["code"]),
            (&json!("Status"), &json!(code)),
            "{method} {uri}"
        );
    }
}

#[tokio::test]
async fn wrong_objects_are_refused() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, pod("there")).await;
    let invalid = json!({"metadata": {"name": "x", "labels": {"a": "not a label"}}, "spec": {"containers": []}});
    let cases = vec![
        ("POST", PODS, pod("there"), 409, "AlreadyExists"),
        ("POST", PODS, invalid, 422, "Invalid"),
        ("POST", PODS, json!({"kind": "Secret"}), 400, "BadRequest"),
        ("POST", PODS, json!([]), 400, "BadRequest"),
        (
            "POST",
            "/api/v1/namespaces/missing/pods",
            pod("x"),
            404,
            "NotFound",
        ),
    ];
    assert_refused(&cluster, cases).await;
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, pod("there")).await;
    let pods = |rest: &str| format!("{PODS}{rest}");
    let none = serde_json::Value::Null;
    let cases = [
        ("GET", pods("/missing"), 404, "NotFound"),
        ("GET", "/api/v1/nothing".to_owned(), 404, "NotFound"),
        ("GET", "/nowhere".to_owned(), 404, "NotFound"),
        ("POST", pods("/there/exec"), 501, "NotImplemented"),
        ("POST", pods("/there/eviction"), 501, "NotImplemented"),
        (
            "GET",
            pods("/there/log?sinceTime=yesterday"),
            400,
            "BadRequest",
        ),
        ("DELETE", "/api/v1/pods".to_owned(), 405, "MethodNotAllowed"),
        ("GET", pods("?labelSelector=a%20b"), 400, "BadRequest"),
        ("GET", pods("?fieldSelector=spec.x%3D1"), 400, "BadRequest"),
        ("GET", pods("?resourceVersion=999999"), 504, "Timeout"),
    ];
    let cases = cases
        .iter()
        .map(|(method, uri, code, reason)| (*method, uri.as_str(), none.clone(), *code, *reason));
    assert_refused(&cluster, cases.collect()).await;
    let (code, _) = cluster
        .send("PATCH", &pods("/there"), "text/plain", json!({}))
        .await;
    assert_eq!(code, 415);
    let (code, _) = super::send(
        &cluster.api,
        "GET",
        PODS,
        &[("accept", "application/vnd.kubernetes.protobuf")],
        "",
    )
    .await;
    assert_eq!(code, 406);
}

#[tokio::test]
async fn an_invalid_pod_is_told_field_by_field() {
    let cluster = Cluster::start().await;
    let mut pod = pod("x");
    pod["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/v"},
    ]);
    pod["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let (code, status) = cluster.send("POST", PODS, "application/json", pod).await;
    assert_eq!(code, 422);
    let fields: Vec<&str> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.containers[0].volumeMounts[1].name",
            "spec.containers[0].volumeMounts[1].mountPath"
        ]
    );
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Pod \"x\" is invalid: ["),
        "{status}"
    );
}

#[tokio::test]
async fn a_custom_kind_is_served_checked_and_pruned() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.get(JOBS).await.0, 404);
    let crd = cluster.create(CRDS, job_crd()).await;
    let established = crd["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["type"] == "Established");
    assert!(established, "{crd}");
    let job = |name: &str, spec| json!({"metadata": {"name": name}, "spec": spec});
    let created = cluster
        .create(
            JOBS,
            job(
                "a",
                json!({"job": "x", "stray": 1, "pod_spec": {"any": {"thing": 1}}}),
            ),
        )
        .await;
    assert_eq!(
        created["spec"],
        json!({"job": "x", "pod_spec": {"any": {"thing": 1}}})
    );
    assert_eq!(
        (&created["kind"], &created["metadata"]["generation"]),
        (&json!("ExampleJob"), &json!(1))
    );
    for (name, spec, field) in [
        ("missing", json!({}), "spec.job"),
        ("enum", json!({"job": "x", "type": "y"}), "spec.type"),
        ("minimum", json!({"job": "x", "count": -1}), "spec.count"),
        ("type", json!({"job": 7}), "spec.job"),
    ] {
        let (code, status) = cluster
            .send("POST", JOBS, "application/json", job("b", spec))
            .await;
        assert_eq!(
            (code, &status["details"]["causes"][0]["field"]),
            (422, &json!(field)),
            "{name}"
        );
    }
    let strict = format!("{JOBS}?fieldValidation=Strict");
    let (code, status) = cluster
        .send(
            "POST",
            &strict,
            "application/json",
            job("b", json!({"job": "x", "y": 1})),
        )
        .await;
    assert_eq!(code, 400);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("unknown field \"spec.y\""),
        "{status}"
    );

    let state = json!({"status": {"state": "success"}});
    let (_, changed) = cluster
        .send("PATCH", &format!("{JOBS}/a"), MERGE, state)
        .await;
    assert_eq!(
        changed["metadata"]["generation"], 2,
        "a status that is no subresource counts"
    );
    let strategic = "application/strategic-merge-patch+json";
    assert_eq!(
        cluster
            .send("PATCH", &format!("{JOBS}/a"), strategic, json!({}))
            .await
            .0,
        415
    );

    cluster
        .send(
            "DELETE",
            &format!("{CRDS}/jobs.example.com"),
            "application/json",
            json!({}),
        )
        .await;
    assert_eq!(cluster.get(JOBS).await.0, 404);
    cluster.create(CRDS, job_crd()).await;
    assert_eq!(
        cluster.get(JOBS).await.1["items"],
        json!([]),
        "its objects went with the kind"
    );
}

#[tokio::test]
async fn lists_come_in_pages_by_selector() {
    let cluster = Cluster::start().await;
    for index in 0..7 {
        let mut pod = pod(&format!("p{index}"));
        pod["metadata"]["labels"] = json!({"parity": if index % 2 == 0 { "even" } else { "odd" }});
        cluster.create(PODS, pod).await;
    }
    let names = |list: &serde_json::Value| -> Vec<String> {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["metadata"]["name"].as_str().unwrap().into())
            .collect()
    };
    let (_, first) = cluster.get(&format!("{PODS}?limit=3")).await;
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["p0".into(), "p1".into(), "p2".into()], &json!(4))
    );
    cluster.create(PODS, pod("p9")).await;
    let next = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = cluster
        .get(&format!("{PODS}?limit=3&continue={next}"))
        .await;
    assert_eq!(names(&second), ["p3", "p4", "p5"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    for (query, expected) in [
        ("labelSelector=parity%3Dodd", vec!["p1", "p3", "p5"]),
        (
            "labelSelector=parity+in+(even),parity",
            vec!["p0", "p2", "p4", "p6"],
        ),
        ("labelSelector=!parity", vec!["p9"]),
        ("fieldSelector=metadata.name%3Dp2", vec!["p2"]),
        ("fieldSelector=status.phase%3DRunning", vec![]),
        (
            "fieldSelector=metadata.namespace%3Ddefault,metadata.name!%3Dp9&labelSelector=parity!%3Deven,parity",
            vec!["p1", "p3", "p5"],
        ),
    ] {
        assert_eq!(
            names(&cluster.get(&format!("{PODS}?{query}")).await.1),
            expected,
            "{query}"
        );
    }
    let (_, everywhere) = cluster.get("/api/v1/pods").await;
    assert_eq!(names(&everywhere).len(), 8);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cluster = Cluster::start().await;
    let made = cluster
        .create(&format!("{PODS}?dryRun=All"), pod("a"))
        .await;
    assert!(made["metadata"]["uid"].is_string());
    assert_eq!(cluster.get(&format!("{PODS}/a")).await.0, 404);
    cluster.create(PODS, pod("a")).await;
    let uri = format!("{PODS}/a?dryRun=All");
    cluster
        .send(
            "PATCH",
            &uri,
            MERGE,
            json!({"metadata": {"labels": {"x": "y"}}}),
        )
        .await;
    cluster
        .send("DELETE", &uri, "application/json", json!({}))
        .await;
    assert!(cluster.get(&format!("{PODS}/a")).await.1["metadata"]["labels"].is_null());
}

#[tokio::test]
async fn names_are_generated() {
    let cluster = Cluster::start().await;
    let mut template = pod("");
    template["metadata"] = json!({"generateName": "run-"});
    let one = cluster.create(PODS, template.clone()).await;
    let other = cluster.create(PODS, template).await;
    assert!(
        one["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("run-")
    );
    assert_ne!(one["metadata"]["name"], other["metadata"]["name"]);
}
