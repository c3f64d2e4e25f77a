//! Configuration files that change while Deck runs.

use serde_json::json;

use crate::harness::{Deck, Setup, prowjob};

const BANNER: &str = "The configuration could not be loaded";

#[tokio::test]
async fn what_is_hidden_follows_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, "deck: {hidden_repos: [o/r]}\n").unwrap();
    let deck = Deck::with(Setup {
        config_file: Some(file.clone()),
        ..Setup::default()
    })
    .await;
    deck.create(prowjob("1", "unit", 1, "success", &json!({})))
        .await;
    deck.page_with("/", "No jobs yet").await;
    std::fs::write(&file, "deck: {hidden_repos: []}\n").unwrap();
    deck.page_with("/", "job-1").await;
}

#[tokio::test]
async fn every_page_says_that_the_configuration_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, "{}\n").unwrap();
    let deck = Deck::with(Setup {
        config_file: Some(file.clone()),
        ..Setup::default()
    })
    .await;
    assert!(!deck.get("/").await.1.contains(BANNER));

    let broken = "plank:\n  pod_pending_timeout: '<script>alert(1)</script>'\n";
    std::fs::write(&file, broken).unwrap();
    let page = deck.page_with("/", BANNER).await;
    let place = format!("{}:2:", file.display());
    assert!(page.contains(&place), "{place} in {page}");
    assert!(!page.contains("<script>alert"), "{page}");
    let (status, page) = deck.get("/nothing/here").await;
    assert!(status == 404 && page.contains(BANNER), "{page}");

    std::fs::write(&file, "# mended\n{}\n").unwrap();
    for _ in 0..400 {
        if !deck.get("/").await.1.contains(BANNER) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the banner stays");
}
