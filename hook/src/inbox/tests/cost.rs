//! The cost of a step does not depend on how many deliveries wait. The tests count instructions of
//! `SQLite`'s virtual machine: each row that a statement visits takes some.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::*;

/// `total` deliveries, spread over `lanes` ordering keys; the first of each is due.
async fn backlog(total: i64, lanes: i64) -> Inbox {
    let inbox = Inbox::open(None).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {total})
         INSERT INTO deliveries (id, guid, event, org, repo, lane, received_at, state, due_at)
         SELECT i, 'old-' || i, 'push', 'o', 'r', 'lane-' || (i % {lanes}), 1, 'queued',
             CASE WHEN i <= {lanes} THEN 1 END FROM n;
         INSERT INTO bodies SELECT id, zeroblob(8000) FROM deliveries WHERE id <= 100;"
    )))
    .execute(&*inbox.db)
    .await
    .unwrap();
    inbox
}

/// The instructions of one write, which is then rolled back.
async fn cost(inbox: &Inbox, write: &impl InboxWrite) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    // The first run also prepares the statements, which would count, too.
    for _ in 0..2 {
        count.store(0, Ordering::Relaxed);
        let mut transaction = inbox.db.begin().await.unwrap();
        let counter = Arc::clone(&count);
        let mut handle = transaction.lock_handle().await.unwrap();
        handle.set_progress_handler(1, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            true
        });
        drop(handle);
        write.apply_write(&mut transaction).await.unwrap();
        let mut handle = transaction.lock_handle().await.unwrap();
        handle.remove_progress_handler();
        drop(handle);
        transaction.rollback().await.unwrap();
    }
    count.load(Ordering::Relaxed)
}

/// The costs of a claim, an acceptance for a waiting ordering key, one for a new one, and a finish.
async fn costs(total: i64, lanes: i64) -> [u64; 4] {
    let inbox = backlog(total, lanes).await;
    let now = at(100);
    let claim = cost(&inbox, &ClaimDeliveries { now, limit: 1 }).await;
    let accept = cost(&inbox, &AcceptDelivery(new("new", "lane-1", 100))).await;
    let fresh = cost(&inbox, &AcceptDelivery(new("new", "another", 100))).await;
    let claimed = inbox.claim_deliveries(now, 1).await.unwrap();
    let finish = FinishDelivery {
        id: claimed[0].id,
        attempt: 1,
        outcome: DeliveryOutcome::Done,
        reasons: Vec::new(),
        now,
    };
    let finish = cost(&inbox, &finish).await;
    [claim, accept, fresh, finish]
}

#[tokio::test]
async fn twenty_thousand_in_one_lane_cost_what_ten_do() {
    let few = costs(10, 1).await;
    assert!(few.iter().all(|cost| (10..1000).contains(cost)), "{few:?}");
    assert_eq!(costs(20_000, 1).await, few);
}

#[tokio::test]
async fn twenty_thousand_in_fifty_lanes_cost_what_a_hundred_do() {
    assert_eq!(costs(20_000, 50).await, costs(100, 50).await);
}

#[tokio::test]
async fn twenty_thousand_lanes_cost_what_ten_do() {
    assert_eq!(costs(20_000, 20_000).await, costs(20, 20).await);
}

#[tokio::test]
async fn a_lane_that_waits_for_its_next_attempt_is_not_walked() {
    let waiting = async |total| {
        let inbox = backlog(total, 1).await;
        let delivery = inbox.claim_deliveries(at(1), 1).await.unwrap().remove(0);
        let retry = DeliveryOutcome::Retry {
            at: at(1000),
            error: "later".into(),
        };
        end(&inbox, &delivery, retry, 2).await;
        assert_eq!(inbox.next_due(at(3)).await.unwrap(), Some(at(1000)));
        let claim = ClaimDeliveries {
            now: at(3),
            limit: 32,
        };
        assert!(inbox.claim_deliveries(at(3), 32).await.unwrap().is_empty());
        cost(&inbox, &claim).await
    };
    assert_eq!(waiting(20_000).await, waiting(10).await);
}

#[tokio::test]
async fn every_search_has_its_index() {
    let inbox = Inbox::open(None).await.unwrap();
    for (query, plan) in [
        (
            "SELECT id FROM deliveries WHERE due_at <= 1 ORDER BY due_at, id LIMIT 1",
            "SEARCH deliveries USING COVERING INDEX deliveries_due (due_at<?)",
        ),
        (
            "SELECT due_at FROM deliveries WHERE due_at > 1 ORDER BY due_at LIMIT 1",
            "SEARCH deliveries USING COVERING INDEX deliveries_due (due_at>?)",
        ),
        (
            "SELECT id FROM deliveries WHERE lane = '' AND finished_at IS NULL ORDER BY id LIMIT 1",
            "SEARCH deliveries USING INDEX deliveries_lane (lane=?)",
        ),
        (
            "SELECT id FROM deliveries WHERE body_until < 1 ORDER BY body_until LIMIT 1",
            "SEARCH deliveries USING COVERING INDEX deliveries_bodies (body_until<?)",
        ),
        (
            "SELECT id FROM deliveries WHERE finished_at < 1 ORDER BY finished_at LIMIT 1",
            "SEARCH deliveries USING COVERING INDEX deliveries_finished (finished_at<?)",
        ),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let found: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
            .fetch_all(&*inbox.db)
            .await
            .unwrap();
        let found: Vec<_> = found.into_iter().map(|(.., detail)| detail).collect();
        assert_eq!(found, [plan], "{query}");
    }
}
