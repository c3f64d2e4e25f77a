use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures::FutureExt;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn claim(replaced: u64, announced: Option<u64>) -> SpaceRequest {
    SpaceRequest {
        replaced,
        announced,
    }
}

#[tokio::test]
async fn the_folder_is_listed_once_and_a_full_one_once_a_minute() {
    let account = Arc::<RunUsage>::default();
    let (listed, kept) = (AtomicU64::new(0), AtomicU64::new(60));
    let list = || {
        listed.fetch_add(1, Relaxed);
        std::future::ready(Ok(kept.load(Relaxed))).boxed()
    };
    for _ in 0..20 {
        let share = account.reserve_space(claim(0, Some(2)), 100, at(0), list);
        let mut share = share.await.unwrap().unwrap();
        assert!(share.grow_by(2));
        share.commit_upload();
    }
    assert_eq!((account.kept(), listed.load(Relaxed)), (100, 1));
    for second in 0..59 {
        let share = account.reserve_space(claim(0, Some(2)), 100, at(second), list);
        assert!(share.await.unwrap().is_none());
    }
    assert_eq!(
        listed.load(Relaxed),
        1,
        "a full folder is not listed at every try"
    );
    kept.store(10, Relaxed);
    let share = account.reserve_space(claim(0, Some(2)), 100, at(60), list);
    assert!(share.await.unwrap().is_some(), "somebody made room");
    assert_eq!(listed.load(Relaxed), 2);
}

#[tokio::test]
async fn what_is_under_way_counts_and_what_is_replaced_does_not() {
    let account = Arc::<RunUsage>::default();
    let list = || std::future::ready(Ok(80)).boxed();
    let take = async |claim| {
        account
            .reserve_space(claim, 100, at(0), list)
            .await
            .unwrap()
    };
    let first = take(claim(0, Some(15))).await.unwrap();
    assert!(take(claim(0, Some(6))).await.is_none(), "15 are coming");
    let mut same = take(claim(30, None)).await.unwrap();
    assert!(same.grow_by(30), "it is as large as what it replaces");
    assert!(same.grow_by(5));
    assert!(!same.grow_by(1));
    drop(first);
    assert!(same.grow_by(0), "there is room again");
    assert!(take(claim(0, Some(15))).await.is_none());
    assert_eq!(account.kept(), 80, "nothing has ended yet");
    same.commit_upload();
    assert_eq!(account.kept(), 80 - 30 + 36);
}

#[tokio::test]
async fn one_key_has_one_writer() {
    let account = RunUsage::default();
    let first = account.wait_for_turn("a").await;
    let _other = account.wait_for_turn("b").await;
    let waiting = account.wait_for_turn("a");
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(first);
    waiting.await;
}
