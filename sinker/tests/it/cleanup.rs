use std::time::Duration;

use crate::cluster::Cluster;

const HOUR: i64 = 3600;

/// Four jobs, each with a pod, and a foreign pod. The job `aged` and the first two pods are due.
async fn five_jobs() -> Cluster {
    let cluster = Cluster::start().await;
    for (name, began, ended) in [
        ("aged", 50 * HOUR, Some(49 * HOUR)),
        ("pod-only", 3 * HOUR, Some(2 * HOUR)),
        ("fresh", HOUR / 2, Some(HOUR / 4)),
        ("long-running", 60 * HOUR, None),
    ] {
        cluster.job(name, began, ended).await;
        cluster.pod(name, began).await;
    }
    cluster.foreign_pod("foreign", 1000 * HOUR).await;
    cluster
}

#[tokio::test]
async fn one_look_deletes_what_is_due_and_nothing_else() {
    let cluster = five_jobs().await;
    cluster.look_once(false).await;
    for (name, job, pod) in [
        ("aged", false, false),
        ("pod-only", true, false),
        ("fresh", true, true),
        ("long-running", true, true),
    ] {
        assert_eq!(cluster.has_job(name).await, job, "the job {name} stays");
        assert_eq!(cluster.has_pod(name).await, pod, "the pod {name} stays");
    }
    assert!(cluster.has_pod("foreign").await);
}

#[tokio::test]
async fn a_dry_run_deletes_nothing() {
    let cluster = five_jobs().await;
    cluster.look_once(true).await;
    assert!(cluster.has_job("aged").await);
    assert!(cluster.has_pod("aged").await);
    assert!(cluster.has_pod("pod-only").await);
}

#[tokio::test]
async fn an_expiry_is_met_in_seconds_though_the_resync_period_is_an_hour() {
    let cluster = Cluster::start().await;
    let _running = cluster.keep_looking();
    // Sinker is idle when these jobs arrive; the first one is due in three seconds.
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.job("soon", 48 * HOUR - 3, Some(47 * HOUR)).await;
    cluster.job("later", 47 * HOUR, Some(46 * HOUR)).await;
    assert!(cluster.has_job("soon").await);
    let gone = async {
        while cluster.has_job("soon").await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("the job is deleted when it is of age");
    assert!(cluster.has_job("later").await);
}
