//! One file, one process, and no data lost over a restart.

use serde_json::json;

use super::{MERGE, PODS, open, pod, send};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn objects_versions_and_watches_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("cluster.db");
    let api = open(Some(&db), folder.path()).await;
    let (_, first) = send(&api, "POST", PODS, &[JSON], &pod("a").to_string()).await;
    let labels = json!({"metadata": {"labels": {"x": "y"}}}).to_string();
    let (_, second) = send(
        &api,
        "PATCH",
        &format!("{PODS}/a"),
        &[("content-type", MERGE)],
        &labels,
    )
    .await;
    let (_, _) = send(&api, "POST", PODS, &[JSON], &pod("b").to_string()).await;
    let (_, _) = send(&api, "DELETE", &format!("{PODS}/b"), &[JSON], "{}").await;
    let (_, list) = send(&api, "GET", PODS, &[], "").await;
    api.close_store().await;

    let api = open(Some(&db), folder.path()).await;
    let (_, found) = send(&api, "GET", &format!("{PODS}/a"), &[], "").await;
    assert_eq!(found, second);
    let number = |value: &serde_json::Value| -> u64 {
        value["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let (_, later) = send(&api, "POST", PODS, &[JSON], &pod("c").to_string()).await;
    assert!(number(&later) > number(&list));

    let watch = format!(
        "{PODS}?watch=true&timeoutSeconds=1&resourceVersion={}",
        number(&first)
    );
    let (_, events) = send(&api, "GET", &watch, &[], "").await;
    let events: Vec<(String, String)> = events
        .as_str()
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (
                text(&event["type"]),
                text(&event["object"]["metadata"]["name"]),
            )
        })
        .collect();
    let expected = [
        ("MODIFIED", "a"),
        ("ADDED", "b"),
        ("DELETED", "b"),
        ("ADDED", "c"),
    ];
    assert_eq!(
        events,
        expected.map(|(kind, name)| (kind.to_owned(), name.to_owned()))
    );
}

#[tokio::test]
async fn a_second_owner_of_the_file_is_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("cluster.db");
    let _first = open(Some(&db), folder.path()).await;
    let options = local::apiserver::ApiServerOptions {
        db: Some(db),
        logs: folder.path().to_owned(),
    };
    let error = local::apiserver::ApiServer::start(options)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains(&std::process::id().to_string()),
        "{error:#}"
    );
}
