//! What cannot be stored is reported, and what was stored stays.

use super::*;

#[tokio::test]
async fn the_result_says_which_files_are_not_there_and_why() {
    let pod = Pod::new();
    let options = with_secret(&pod, "hunter22");
    pod.write("logs/process-log.txt", "it works\n");
    for name in ["good.txt", "hunter22.txt", "bad.txt"] {
        pod.write(&format!("logs/artifacts/{name}"), "x");
    }
    // Where the bucket has a folder, there can be no object.
    pod.write(&format!("bucket/{DIR}/artifacts/bad.txt/x"), "");
    pod.write("logs/marker-file.txt", "0");
    finish(&options).await;
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/good.txt")).await,
        "x",
        "the others are there"
    );
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["result"], "SUCCESS");
    let told = finished["metadata"]["not-stored"].as_str().unwrap();
    assert!(
        told.starts_with("1 file was not stored: artifacts/bad.txt: "),
        "{told}"
    );
    assert!(told.contains("there is a folder of that name"), "{told}");
}

#[tokio::test]
async fn a_run_without_losses_says_nothing_of_them() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "x");
    pod.write("logs/marker-file.txt", "0");
    let own = r#"{"not-stored": "x", "censor-left-out": ["x"], "censor-error": "x"}"#;
    pod.write("logs/artifacts/metadata.json", own);
    finish(&with_secret(&pod, "hunter22")).await;
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["metadata"], json!({"censored": true}));
}

#[tokio::test]
async fn what_a_killed_sidecar_had_stored_stays_and_the_log_comes_first() {
    let pod = Pod::new();
    let log = "line\n".repeat(1_000);
    pod.write("logs/process-log.txt", &log);
    for n in 0..400 {
        pod.write(&format!("logs/artifacts/{n}"), format!("content of {n}"));
    }
    pod.write("logs/marker-file.txt", "1");
    let options = options(&pod);
    let running = tokio::spawn(async move { finish(&options).await });
    let artifacts = async || {
        let keys = pod.keys().await;
        let artifacts = keys.into_iter().filter(|key| key.contains("artifacts"));
        artifacts.collect::<Vec<_>>()
    };
    while artifacts().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.abort();
    let _ = running.await;
    assert_eq!(pod.text(&format!("{DIR}/build-log.txt")).await, log);
    for key in artifacts().await {
        let n = key.rsplit('/').next().unwrap();
        assert_eq!(pod.text(&key).await, format!("content of {n}"));
    }
}
