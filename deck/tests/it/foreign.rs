//! `ProwJob`s of other programs, on the embedded API or on the cluster of `PROW_TEST_KUBECONFIG`.

use common::prowjob::ProwJob;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use local::testing::TestCluster;
use serde_json::{Value, json};

use crate::harness::until;
use crate::storage_key::{Deck, apply};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_type_a_name_or_a_state_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_cluster(&dir.path().join("logs"))
        .await
        .unwrap();
    apply(&cluster).await;
    let kind = ApiResource::erase::<ProwJob>(&());
    let (client, namespace) = (cluster.client.clone(), &cluster.namespace);
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind);
    let specs = [
        ("typeless", json!({"job": "No TenantID"})),
        ("nameless", json!({"type": "periodic"})),
        ("empty", json!({})),
    ];
    for (name, spec) in &specs {
        let job = json!({
            "apiVersion": "prow.k8s.io/v1", "kind": "ProwJob",
            "metadata": {"name": name}, "spec": spec,
        });
        let job = serde_json::from_value(job).unwrap();
        api.create(&PostParams::default(), &job).await.unwrap();
    }

    let deck = Deck::start(&cluster, &dir.path().join("storage")).await;
    let shown = until("Deck shows them", async || {
        let url = format!("{}/prowjobs.js", deck.base);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let shown: Value = serde_json::from_str(&text).ok()?;
        let items = shown["items"].as_array()?.clone();
        (items.len() == specs.len()).then_some(items)
    })
    .await;
    let of = |name: &str| {
        let mut all = shown.iter();
        all.find(|item| item["metadata"]["name"] == name).unwrap()
    };
    assert_eq!(of("typeless")["spec"], json!({"job": "No TenantID"}));
    assert_eq!(of("empty")["spec"], json!({}));
    let page = reqwest::get(&deck.base).await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("No TenantID"), "{page}");
}
