use std::cell::Cell;

use kube::core::Status;

use super::*;

fn refused(code: u16) -> watcher::Error {
    let status = Status {
        code,
        ..Status::default()
    };
    watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
}

#[tokio::test]
async fn only_a_version_that_is_gone_starts_a_watch_anew() {
    let starts = Cell::new(0);
    let watch = relist_when_gone(|| {
        starts.set(starts.get() + 1);
        let then = if starts.get() == 1 { 410 } else { 500 };
        stream::iter([Ok(starts.get()), Err(refused(then)), Ok(10)])
    });
    let told: Vec<_> = watch.map(Result::ok).collect().await;
    assert_eq!(told, [Some(1), None, Some(2), None, Some(10)]);
}

#[test]
fn pauses_grow_to_ten_seconds_and_begin_anew_after_a_success() {
    let mut pauses = WatchBackoff { failures: 0 };
    let mut last = Duration::ZERO;
    for _ in 0..50 {
        let pause = pauses.next().unwrap();
        assert!(pause >= last.min(LONGEST_PAUSE.mul_f64(0.8)) && pause <= LONGEST_PAUSE);
        last = pause;
    }
    assert!(last >= LONGEST_PAUSE.mul_f64(0.8), "{last:?}");
    pauses.reset();
    assert!(pauses.next().unwrap() <= FIRST_PAUSE.mul_f64(1.25));
}
