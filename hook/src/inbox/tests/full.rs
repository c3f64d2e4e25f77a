//! A full disk: nothing is acknowledged, nothing is half written, and hook goes on by itself once
//! there is room.

use super::*;

/// Lets the database grow by `more` pages.
async fn allow(inbox: &Inbox, more: i64) {
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&*inbox.db)
        .await
        .unwrap();
    let limit = format!("PRAGMA max_page_count = {}", pages + more);
    sqlx::query(sqlx::AssertSqlSafe(limit))
        .execute(&*inbox.db)
        .await
        .unwrap();
}

fn large(guid: &str) -> VerifiedDelivery {
    VerifiedDelivery {
        body: Bytes::from(vec![b'x'; 100_000]),
        ..new(guid, guid, 1)
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_room_is_noticed() {
    let inbox = Inbox::open(None).await.unwrap();
    inbox.accept_delivery(new("before", "l", 1)).await.unwrap();
    allow(&inbox, 1).await;
    let error = inbox.accept_delivery(large("full")).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert!(
        !inbox.knows_delivery("full").await.unwrap(),
        "nothing is half there"
    );

    // Stored deliveries are worked on meanwhile.
    let delivery = claim(&inbox, 1).await.remove(0);
    end(&inbox, &delivery, DeliveryOutcome::Done, 2).await;

    allow(&inbox, 1000).await;
    assert_eq!(
        inbox.accept_delivery(large("full")).await.unwrap(),
        AcceptOutcome::New
    );
    assert_eq!(guids(&inbox, 3).await, ["full"]);
}

#[tokio::test]
async fn one_that_has_no_room_takes_no_other_with_it() {
    let inbox = Inbox::open(None).await.unwrap();
    allow(&inbox, 3).await;
    // Writes that are requested together go into one transaction.
    let (small, too_large, other) = tokio::join!(
        inbox.accept_delivery(new("small", "a", 1)),
        inbox.accept_delivery(large("too large")),
        inbox.accept_delivery(new("other", "b", 1)),
    );
    assert_eq!(small.unwrap(), AcceptOutcome::New);
    assert!(too_large.is_err());
    assert_eq!(other.unwrap(), AcceptOutcome::New);
    assert_eq!(guids(&inbox, 1).await, ["small", "other"]);
    assert!(!inbox.knows_delivery("too large").await.unwrap());
}

#[tokio::test]
async fn room_that_was_swept_is_used_again() {
    let inbox = Inbox::open(None).await.unwrap();
    inbox.accept_delivery(large("first")).await.unwrap();
    allow(&inbox, 1).await;
    let delivery = claim(&inbox, 1).await.remove(0);
    end(&inbox, &delivery, DeliveryOutcome::Done, 2).await;
    assert!(inbox.accept_delivery(large("second")).await.is_err());
    inbox.sweep_deliveries(at(3), 0).await.unwrap();
    assert_eq!(
        inbox.accept_delivery(large("second")).await.unwrap(),
        AcceptOutcome::New
    );
}
