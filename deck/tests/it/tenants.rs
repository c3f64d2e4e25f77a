//! `ProwJob`s that other programs wrote, with fields missing, and the Decks of tenants, as in
//! Prow's own integration test of tenants.

use std::collections::BTreeSet;

use deck::Viewer;
use serde_json::{Value, json};

use crate::harness::{Deck, Setup};

/// Name and `spec`, as in Prow's test.
fn specs() -> Vec<(&'static str, Value)> {
    let namespace = "test-pods";
    vec![
        (
            "defaultid",
            json!({"job": "Default TenantID", "prowjob_defaults": {"tenant_id": "GlobalDefaultID"}, "namespace": namespace}),
        ),
        (
            "noid",
            json!({"job": "No TenantID", "prowjob_defaults": {}, "namespace": namespace}),
        ),
        (
            "nodefault",
            json!({"job": "No ProwJobDefault", "namespace": namespace}),
        ),
        (
            "defaulthidden",
            json!({"job": "Default TenantID and Hidden", "prowjob_defaults": {"tenant_id": "GlobalDefaultID"}, "hidden": true, "namespace": namespace}),
        ),
        (
            "nohiddenid",
            json!({"job": "No TenantID and Hidden", "prowjob_defaults": {}, "hidden": true, "namespace": namespace}),
        ),
        (
            "nodefaulthidden",
            json!({"job": "No ProwJobDefault and Hidden", "hidden": true, "namespace": namespace}),
        ),
        (
            "id",
            json!({"job": "TenantID and hidden", "prowjob_defaults": {"tenant_id": "tester"}, "namespace": namespace}),
        ),
        (
            "idhidden",
            json!({"job": "Default TenantID and Hidden", "prowjob_defaults": {"tenant_id": "tester"}, "hidden": true, "namespace": namespace}),
        ),
    ]
}

async fn create(deck: &Deck, name: &str, spec: &Value, status: Value) {
    let mut object = json!({
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {"name": name, "labels": {"created-by-prow": "true"}},
        "spec": spec,
    });
    if !status.is_null() {
        object["status"] = status;
    }
    deck.create(object).await;
}

/// Fields that Go reads as empty are equal, written or not.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| **value != json!(""));
            kept.map(|(key, value)| (key.clone(), without_empty(value)))
                .collect()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn each_deck_has_the_jobs_of_its_tenants() {
    let tester = Viewer::Tenants(BTreeSet::from(["tester".to_owned()]));
    for (viewer, expected) in [
        (tester, vec!["id", "idhidden"]),
        (Viewer::Public, vec!["defaultid", "noid", "nodefault"]),
    ] {
        let deck = Deck::with(Setup {
            any_object: true,
            viewer,
            ..Setup::default()
        })
        .await;
        for (name, spec) in specs() {
            let status = json!({"state": "triggered", "startTime": "2026-01-01T00:00:00Z"});
            create(&deck, name, &spec, status).await;
        }
        for name in &expected {
            deck.page_with("/", &format!("job-{name}\"")).await;
        }
        let (status, text) = deck.get("/prowjobs.js").await;
        assert_eq!(status, 200);
        let all: Value = serde_json::from_str(&text).unwrap();
        let shown = all["items"].as_array().unwrap();
        assert_eq!(shown.len(), expected.len(), "{text}");
        for (name, spec) in specs() {
            let is_shown = shown
                .iter()
                .any(|item| without_empty(&item["spec"]) == without_empty(&spec));
            assert_eq!(is_shown, expected.contains(&name), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn whatever_is_missing_a_job_is_shown() {
    let deck = Deck::with(Setup {
        any_object: true,
        ..Setup::default()
    })
    .await;
    for (name, spec, status) in [
        ("a", json!({"job": "no-type"}), json!({"state": "pending"})),
        (
            "b",
            json!({"type": "periodic"}),
            json!({"state": "success"}),
        ),
        (
            "c",
            json!({"job": "no-status", "type": "periodic"}),
            Value::Null,
        ),
        (
            "d",
            json!({"job": "no-state", "refs": {"repo": "r"}}),
            json!({}),
        ),
        ("e", json!({}), json!({"build_id": "7"})),
    ] {
        create(&deck, name, &spec, status).await;
    }
    for name in ["a", "b", "c", "d", "e"] {
        let page = deck.page_with("/", &format!("job-{name}\"")).await;
        let row = page.split(&format!("id=\"job-{name}\"")).nth(1).unwrap();
        let link = row.split("<a href=\"").nth(1).unwrap();
        let (href, rest) = link.split_once("\">").unwrap();
        let words = rest.split('<').next().unwrap();
        assert!(!words.is_empty(), "a link has a name: {row}");
        let (status, page) = deck.get(href).await;
        assert_eq!(status, 200, "{href}");
        assert!(
            page.contains("<h1>") && !page.contains("<h1></h1>"),
            "{page}"
        );
        let (status, _) = deck.get(&format!("/prowjob?prowjob={name}")).await;
        assert_eq!(status, 200);
    }
}
