use std::path::PathBuf;

use jiff::SignedDuration;

use super::*;

mod cost;
mod full;
mod migration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn new(guid: &str, lane: &str, second: i64) -> VerifiedDelivery {
    VerifiedDelivery {
        guid: guid.into(),
        event: "pull_request".into(),
        identity: RepositoryRef {
            org: "o".into(),
            repo: "r".into(),
        },
        lane: lane.into(),
        body: Bytes::from(format!("{{\"guid\":\"{guid}\"}}")),
        received_at: at(second),
    }
}

async fn claim(inbox: &Inbox, second: i64) -> Vec<ClaimedDelivery> {
    inbox.claim_deliveries(at(second), 10).await.unwrap()
}

async fn guids(inbox: &Inbox, second: i64) -> Vec<String> {
    let claimed = claim(inbox, second).await;
    claimed.into_iter().map(|delivery| delivery.guid).collect()
}

async fn end(inbox: &Inbox, delivery: &ClaimedDelivery, outcome: DeliveryOutcome, second: i64) {
    let reason = DecisionReason {
        plugin: "trigger",
        text: "because".into(),
    };
    inbox
        .finish_delivery(delivery, outcome, vec![reason], at(second))
        .await
        .unwrap();
}

#[tokio::test]
async fn lanes_keep_their_order_and_do_not_wait_for_each_other() {
    let inbox = Inbox::open(None).await.unwrap();
    for (guid, lane) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")] {
        assert_eq!(
            inbox.accept_delivery(new(guid, lane, 1)).await.unwrap(),
            AcceptOutcome::New
        );
    }
    let first = claim(&inbox, 1).await;
    assert_eq!([&first[0].guid, &first[1].guid], ["a1", "b1"]);
    assert!(guids(&inbox, 1).await.is_empty(), "a2 waits for a1");

    let retry = DeliveryOutcome::Retry {
        at: at(10),
        error: "no answer".into(),
    };
    end(&inbox, &first[0], retry, 2).await;
    assert!(guids(&inbox, 9).await.is_empty(), "a2 still waits for a1");
    assert_eq!(inbox.next_due(at(9)).await.unwrap(), Some(at(10)));
    let again = claim(&inbox, 10).await;
    assert_eq!((again[0].guid.as_str(), again[0].attempt), ("a1", 2));
    end(&inbox, &again[0], DeliveryOutcome::Done, 11).await;
    assert_eq!(guids(&inbox, 11).await, ["a2"]);
}

#[tokio::test]
async fn a_delivery_comes_once_unless_it_had_failed() {
    let inbox = Inbox::open(None).await.unwrap();
    inbox.accept_delivery(new("g", "l", 1)).await.unwrap();
    for (name, outcome, expected) in [
        ("waiting", None, AcceptOutcome::Known),
        (
            "failed",
            Some(DeliveryOutcome::Failed("x".into())),
            AcceptOutcome::Revived,
        ),
        (
            "dead",
            Some(DeliveryOutcome::Dead("x".into())),
            AcceptOutcome::Revived,
        ),
        ("done", Some(DeliveryOutcome::Done), AcceptOutcome::Known),
    ] {
        if let Some(outcome) = outcome {
            let delivery = claim(&inbox, 10).await.remove(0);
            assert_eq!(delivery.attempt, 1, "{name}: attempts start anew");
            end(&inbox, &delivery, outcome, 3).await;
        }
        let accepted = inbox.accept_delivery(new("g", "l", 4)).await.unwrap();
        assert_eq!(accepted, expected, "{name}");
    }
    assert!(guids(&inbox, 100).await.is_empty());
}

#[tokio::test]
async fn what_was_committed_survives_and_what_ran_runs_again() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("hook.db");
    let inbox = Inbox::open(Some(&path)).await.unwrap();
    inbox.accept_delivery(new("ran", "a", 1)).await.unwrap();
    inbox.accept_delivery(new("waited", "b", 1)).await.unwrap();
    inbox.claim_deliveries(at(1), 1).await.unwrap();
    let db = inbox.db.clone();
    drop(inbox);
    db.close().await;
    drop(db);
    // The writer task holds the lock until it has seen the end of its queue.
    let inbox = loop {
        match Inbox::open(Some(&path)).await {
            Ok(inbox) => break inbox,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let claimed = inbox.claim_deliveries(Timestamp::now(), 10).await.unwrap();
    let claimed: Vec<_> = claimed.iter().map(|delivery| &delivery.guid).collect();
    assert_eq!(claimed, ["ran", "waited"]);
}

#[tokio::test]
async fn many_at_once_are_each_answered() {
    let inbox = Inbox::open(None).await.unwrap();
    let all = (0..600).map(|n| {
        let inbox = inbox.clone();
        async move {
            inbox
                .accept_delivery(new(&format!("g{}", n % 300), "", 1))
                .await
                .unwrap()
        }
    });
    let answers = futures::future::join_all(all).await;
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!(count(AcceptOutcome::New), 300);
    assert_eq!(count(AcceptOutcome::Known), 300);
}

#[tokio::test]
async fn lanes_take_turns_however_long_one_is() {
    let inbox = Inbox::open(None).await.unwrap();
    for (guid, lane) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")] {
        inbox.accept_delivery(new(guid, lane, 1)).await.unwrap();
    }
    let mut order = Vec::new();
    for second in 2..6 {
        let delivery = inbox
            .claim_deliveries(at(second), 1)
            .await
            .unwrap()
            .remove(0);
        end(&inbox, &delivery, DeliveryOutcome::Done, second).await;
        order.push(delivery.guid);
    }
    assert_eq!(order, ["a1", "b1", "a2", "a3"]);
}

#[tokio::test]
async fn what_is_sent_again_waits_for_its_lane() {
    let inbox = Inbox::open(None).await.unwrap();
    inbox.accept_delivery(new("a1", "a", 1)).await.unwrap();
    inbox.accept_delivery(new("a2", "a", 1)).await.unwrap();
    let first = claim(&inbox, 1).await.remove(0);
    end(&inbox, &first, DeliveryOutcome::Failed("x".into()), 2).await;
    let second = claim(&inbox, 2).await.remove(0);
    assert_eq!(
        inbox.accept_delivery(new("a1", "a", 3)).await.unwrap(),
        AcceptOutcome::Revived
    );
    assert!(guids(&inbox, 4).await.is_empty(), "a1 waits for a2");
    end(&inbox, &second, DeliveryOutcome::Done, 5).await;
    assert_eq!(guids(&inbox, 5).await, ["a1"]);
}

/// The number of rows in a table.
async fn rows(inbox: &Inbox, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&*inbox.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn payloads_go_first_then_the_rest_and_what_waits_stays() {
    let inbox = Inbox::open(None).await.unwrap();
    for (guid, outcome) in [
        ("done", Some(DeliveryOutcome::Done)),
        ("failed", Some(DeliveryOutcome::Failed("x".into()))),
        ("dead", Some(DeliveryOutcome::Dead("x".into()))),
        ("waits", None),
    ] {
        inbox.accept_delivery(new(guid, guid, 1)).await.unwrap();
        if let Some(outcome) = outcome {
            let delivery = claim(&inbox, 1).await.remove(0);
            end(&inbox, &delivery, outcome, 2).await;
        }
    }
    let hours = |hours: i64| at(3) + SignedDuration::from_hours(hours);
    for (hour, bodies, deliveries) in [
        (0, 4, 4),
        (23, 4, 4),
        (24, 3, 4),
        (24 * 7 - 1, 3, 4),
        (24 * 7, 1, 4),
        (24 * 30 - 1, 1, 4),
        (24 * 30, 1, 1),
    ] {
        inbox.sweep_deliveries(hours(hour), i64::MAX).await.unwrap();
        let found = (
            rows(&inbox, "bodies").await,
            rows(&inbox, "deliveries").await,
        );
        assert_eq!(found, (bodies, deliveries), "after {hour} hours");
        assert_eq!(
            rows(&inbox, "decisions").await,
            deliveries - 1,
            "of each that ended"
        );
    }
    assert_eq!(guids(&inbox, 10).await, ["waits"]);
}

#[tokio::test]
async fn a_database_that_is_too_large_forgets_what_nobody_needs() {
    let inbox = Inbox::open(None).await.unwrap();
    for guid in ["failed", "waits"] {
        inbox.accept_delivery(new(guid, guid, 1)).await.unwrap();
    }
    let delivery = inbox.claim_deliveries(at(1), 1).await.unwrap().remove(0);
    end(&inbox, &delivery, DeliveryOutcome::Failed("x".into()), 2).await;
    inbox.sweep_deliveries(at(3), 0).await.unwrap();
    assert_eq!(rows(&inbox, "bodies").await, 1);
    let days = |days: i64| at(3) + SignedDuration::from_hours(24 * days);
    inbox.sweep_deliveries(days(3), 0).await.unwrap();
    assert!(
        inbox.knows_delivery("failed").await.unwrap(),
        "GitHub may send it again"
    );
    inbox.sweep_deliveries(days(4), 0).await.unwrap();
    assert!(!inbox.knows_delivery("failed").await.unwrap());
    assert_eq!(guids(&inbox, 10).await, ["waits"]);
}
