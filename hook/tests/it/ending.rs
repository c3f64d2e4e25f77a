//! At shutdown hook aborts its work at once, and accepts deliveries until then.

use std::time::{Duration, Instant};

use axum::{Router, http::StatusCode};
use serde_json::json;

use crate::world::{Hook, HookParts, WorldOptions, cluster, eventually, github_client, listener};

/// A GitHub that answers every request after a minute.
async fn slow_github() -> String {
    let listener = listener().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        StatusCode::INTERNAL_SERVER_ERROR
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_cut_off_and_deliveries_are_taken_until_the_end() {
    common::service::install_crypto();
    let (github, api) = (slow_github().await, cluster().await);
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start(
        HookParts {
            client: github_client(&[&format!("--github-endpoint={github}")]),
            git_base: github,
            cluster: api.client.clone(),
            folder: folder.path().to_owned(),
            choice: WorldOptions::default(),
        },
        listener().await,
    )
    .await;
    let comment = json!({
        "action": "created",
        "issue": {"number": 7, "state": "open", "pull_request": {}, "user": {"login": "maria"}},
        "comment": {"id": 1, "body": "/test unit", "user": {"login": "maria"}},
        "repository": {"full_name": "acme/widgets", "name": "widgets", "owner": {"login": "acme"}},
    });
    assert_eq!(hook.deliver("issue_comment", "slow", &comment).await, 200);
    eventually("it is worked on", async || {
        hook.count("state = 'running'").await == 1
    })
    .await;

    let begin = Instant::now();
    hook.end();
    for number in 0..3 {
        let guid = format!("late {number}");
        let status = hook.deliver("ping", &guid, &json!({})).await;
        assert_eq!(status, 200, "{guid}");
    }
    let path = hook.stop().await;
    let took = begin.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "{took:?}: not its work's minute"
    );

    let inbox = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state")
            .fetch_all(&inbox)
            .await
            .unwrap();
    assert_eq!(
        states,
        [("queued".to_owned(), 3), ("running".to_owned(), 1)],
        "the next process takes them up"
    );
}
