//! Containers that end without a marker, or never begin.

use std::fs::File;

use super::*;

/// Leaves what a killed entrypoint leaves: a lock file that nobody holds locked.
fn let_go(pod: &Pod, prefix: &str) {
    pod.write(&format!("logs/.{prefix}marker-file.txt.lock"), "");
}

#[tokio::test]
async fn a_killed_container_is_noticed_and_what_it_left_is_stored() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "before");
    pod.write("logs/artifacts/a.txt", "kept");
    let lock = pod.at("logs/.marker-file.txt.lock");
    let held = File::create(&lock).unwrap();
    held.lock().unwrap();
    let options = options(&pod);
    let running = tokio::spawn(async move { finish(&options).await });
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!running.is_finished(), "the lock is held");
    drop(held);
    running.await.unwrap();

    let sentence = format!(
        "Container test ended without an exit code: it was killed before it could write its exit code to {}, by SIGKILL or for want of memory.",
        pod.path("logs/marker-file.txt")
    );
    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert!(log.starts_with("before\n{"), "{log}");
    assert!(log.contains(&sentence), "{log}");
    assert_eq!(pod.text(&format!("{DIR}/artifacts/a.txt")).await, "kept");
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["result"], "FAILURE");
    assert_eq!(finished["metadata"]["sidecar-errors"], json!([sentence]));
}

#[tokio::test]
async fn the_others_are_waited_for() {
    let pod = Pod::new();
    let_go(&pod, "a-");
    pod.write("logs/a-process-log.txt", "a\n");
    pod.write("logs/b-process-log.txt", "b\n");
    let options = SidecarOptions {
        entries: vec![entry(&pod, "a", "a-"), entry(&pod, "b", "b-")],
        ..options(&pod)
    };
    let running = tokio::spawn(async move { finish(&options).await });
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!running.is_finished());
    pod.write("logs/b-marker-file.txt", "0");
    running.await.unwrap();
    assert_eq!(pod.text(&format!("{DIR}/b-build-log.txt")).await, "b\n");
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["passed"], false);
}

/// Prow's entrypoint has no lock, so the sidecar can only wait for its marker.
#[tokio::test]
async fn without_a_lock_the_marker_is_waited_for() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "so far\n");
    let options = options(&pod);
    let running = tokio::spawn(async move { finish(&options).await });
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!running.is_finished());
    pod.write("logs/marker-file.txt", "0");
    running.await.unwrap();
}

#[tokio::test]
async fn interrupted_before_anything_began_it_does_not_wait() {
    let pod = Pod::new();
    let options = options(&pod);
    let spec = presubmit("1234");
    let code = run_sidecar(sidecar(&options, &spec), async {})
        .await
        .unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["result"], "ABORTED");
}
