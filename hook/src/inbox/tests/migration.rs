//! A database of the previous schema opens, and nothing in it is lost.

use super::*;

/// Deliveries in every state, as the first schema stored them.
const OLD: &str = "
INSERT INTO deliveries
    (id, guid, event, org, repo, lane, body, received_at, state, attempts, next_attempt_at, finished_at)
VALUES
    (1, 'done',    'push', 'o', 'r', 'a', '{\"n\":1}', 1, 'done',    1, 1,       9000),
    (2, 'swept',   'push', 'o', 'r', 'a', NULL,        1, 'done',    1, 1,       9000),
    (3, 'failed',  'push', 'o', 'r', 'a', '{\"n\":3}', 1, 'failed',  1, 1,       9000),
    (4, 'dead',    'push', 'o', 'r', 'b', '{\"n\":4}', 1, 'dead',    24, 1,      9000),
    (5, 'first',   'push', 'o', 'r', 'a', '{\"n\":5}', 1, 'queued',  0, 1,       NULL),
    (6, 'second',  'push', 'o', 'r', 'a', '{\"n\":6}', 1, 'queued',  0, 1,       NULL),
    (7, 'running', 'push', 'o', 'r', 'c', '{\"n\":7}', 1, 'running', 1, 1,       NULL),
    (8, 'retried', 'push', 'o', 'r', 'd', '{\"n\":8}', 1, 'queued',  3, 9999999, NULL),
    -- One that was revived while a later one of its lane ran.
    (9, 'revived', 'push', 'o', 'r', 'e', '{\"n\":9}', 1, 'queued',  0, 1,       NULL),
    (10, 'overtook', 'push', 'o', 'r', 'e', '{\"n\":10}', 1, 'running', 1, 1,    NULL);
INSERT INTO decisions (delivery, attempt, plugin, reason, made_at) VALUES (1, 1, 'trigger', 'kept', 9000);
";

/// Opens the store as soon as its previous owner has released it.
async fn open(path: &Path) -> Inbox {
    loop {
        match Inbox::open(Some(path)).await {
            Ok(inbox) => return inbox,
            Err(error) if format!("{error:#}").contains("in use") => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error:#}"),
        }
    }
}

#[tokio::test]
async fn a_database_of_the_first_schema_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hook.db");
    let db = db::open_database(Some(&path), &MIGRATIONS[..1])
        .await
        .unwrap();
    sqlx::raw_sql(OLD).execute(&*db).await.unwrap();
    db.close().await;
    drop(db);

    let inbox = open(&path).await;
    let now = Timestamp::now();
    let claimed = inbox.claim_deliveries(now, 10).await.unwrap();
    let found: Vec<_> = claimed
        .iter()
        .map(|delivery| {
            let body = String::from_utf8_lossy(&delivery.body).into_owned();
            (delivery.guid.as_str(), body, delivery.attempt)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("first", "{\"n\":5}".to_owned(), 1),
            ("running", "{\"n\":7}".to_owned(), 2),
            ("retried", "{\"n\":8}".to_owned(), 4),
            ("revived", "{\"n\":9}".to_owned(), 1),
        ]
    );
    for delivery in &claimed {
        inbox
            .finish_delivery(delivery, DeliveryOutcome::Done, Vec::new(), now)
            .await
            .unwrap();
    }
    let next = inbox.claim_deliveries(now, 10).await.unwrap();
    let next: Vec<_> = next.iter().map(|delivery| &delivery.guid).collect();
    assert_eq!(next, ["second", "overtook"]);

    for (guid, accepted) in [
        ("done", AcceptOutcome::Known),
        ("swept", AcceptOutcome::Known),
        ("failed", AcceptOutcome::Revived),
        ("dead", AcceptOutcome::Revived),
    ] {
        let delivery = VerifiedDelivery {
            event: "push".into(),
            ..new(guid, "z", 10)
        };
        assert_eq!(
            inbox.accept_delivery(delivery).await.unwrap(),
            accepted,
            "{guid}"
        );
    }
    let reasons: Vec<String> = sqlx::query_scalar("SELECT reason FROM decisions")
        .fetch_all(&*inbox.db)
        .await
        .unwrap();
    assert_eq!(reasons, ["kept"]);
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&*inbox.db)
        .await
        .unwrap();
    assert_eq!(check, "ok");
    let orphans: Option<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check")
            .fetch_optional(&*inbox.db)
            .await
            .unwrap();
    assert_eq!(orphans, None);
}
