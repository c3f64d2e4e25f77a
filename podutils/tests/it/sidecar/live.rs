//! The pieces of a log while its job runs.

use common::storage::{ObjectStorage, StorageCredentials, live};

use super::*;

/// Far more than a loaded machine needs for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pieces of the log in the bucket, in order.
async fn pieces(pod: &Pod) -> Vec<String> {
    let keys = pod.keys().await.into_iter();
    let mut names: Vec<String> = keys
        .filter_map(|key| key.strip_prefix(&format!("{DIR}/")).map(str::to_owned))
        .filter(|name| live::is_piece(name))
        .collect();
    names.sort();
    let mut all = Vec::new();
    for (name, number) in names.iter().zip(1..) {
        assert_eq!(*name, live::piece_name("build-log.txt", number));
        all.push(pod.text(&format!("{DIR}/{name}")).await);
    }
    all
}

/// Waits until the pieces hold `text`.
async fn shown(pod: &Pod, text: &str) -> Vec<String> {
    let wait = async {
        loop {
            let all = pieces(pod).await;
            if all.concat().contains(text) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let all = tokio::time::timeout(PATIENCE, wait).await;
    all.unwrap_or_else(|_| panic!("{text} is not shown"))
}

fn append(pod: &Pod, text: &str) {
    let log = pod.at("logs/process-log.txt");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn start(options: &SidecarOptions) -> tokio::task::JoinHandle<ExitCode> {
    let options = options.clone();
    tokio::spawn(async move { finish(&options).await })
}

async fn end(pod: &Pod, running: tokio::task::JoinHandle<ExitCode>) {
    pod.write("logs/marker-file.txt", "0");
    let ended = tokio::time::timeout(PATIENCE, running).await;
    assert_eq!(ended.expect("it ends").unwrap(), ExitCode::SUCCESS);
}

#[tokio::test]
async fn pieces_are_the_masked_beginning_of_the_log() {
    let pod = Pod::new();
    let running = start(&with_secret(&pod, "hunter22"));
    append(&pod, "one hunter22\nhunt");
    shown(&pod, "one XXXXXXXX\n").await;
    // A secret that is written in two parts is masked as well.
    append(&pod, "er22 two\n");
    shown(&pod, "two\n").await;
    append(&pod, "three\nno secr");
    let all = shown(&pod, "three\n").await;
    assert!(all.len() >= 3, "{all:?}");
    assert!(!all.concat().contains("hunter"), "{all:?}");
    append(&pod, "et\n");
    end(&pod, running).await;
    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert_eq!(log, "one XXXXXXXX\nXXXXXXXX two\nthree\nno secret\n");
    assert!(log.starts_with(&all.concat()));
    assert_eq!(pieces(&pod).await, [""; 0], "the log is stored");
    assert!(!pod.at(&format!("bucket/{DIR}/build-log.live")).exists());
}

#[tokio::test]
async fn a_silent_job_writes_no_pieces_and_one_that_talks_one_a_second() {
    let pod = Pod::new();
    let running = start(&with_secret(&pod, "hunter22"));
    let begin = std::time::Instant::now();
    append(&pod, "begin\n");
    shown(&pod, "begin\n").await;
    let silent = pieces(&pod).await.len();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(pieces(&pod).await.len(), silent);
    while begin.elapsed() < Duration::from_secs(8) {
        append(&pod, "on and on\n");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = pieces(&pod).await.len() as u64;
    assert!(count > 1 && count <= begin.elapsed().as_secs(), "{count}");
    end(&pod, running).await;
    assert_eq!(pieces(&pod).await, [""; 0]);
}

#[tokio::test]
async fn who_does_not_know_every_secret_writes_no_pieces() {
    let pod = Pod::new();
    let mut options = with_secret(&pod, "hunter22");
    options.censoring_options.every_secret = false;
    let running = start(&options);
    append(&pod, "hunter22 and more\n");
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(pod.keys().await, [""; 0]);
    end(&pod, running).await;
}

#[tokio::test]
async fn secrets_that_cannot_be_read_yet_hold_the_pieces_back() {
    let pod = Pod::new();
    let mut options = with_secret(&pod, "hunter22");
    options.censoring_options.secret_directories = vec![pod.path("late")];
    let running = start(&options);
    append(&pod, "hunter22 and more\n");
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(pod.keys().await, [""; 0]);
    pod.write("late/token", "hunter22");
    shown(&pod, "XXXXXXXX and more\n").await;
    end(&pod, running).await;
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_masked_from_then_on() {
    let pod = Pod::new();
    let running = start(&with_secret(&pod, "hunter22"));
    append(&pod, "one hunter22\nswordf");
    shown(&pod, "one XXXXXXXX").await;
    pod.write("secrets/token", "swordfish");
    append(&pod, "ish two hunter22\n");
    append(&pod, "swordfish three\n");
    let all = shown(&pod, "three").await.concat();
    assert!(
        all.contains("XXXXXXXXX three\n") && !all.contains("hunter"),
        "{all}"
    );
    end(&pod, running).await;
    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert!(!log.contains("sword") && !log.contains("hunter"), "{log}");
}

#[tokio::test]
async fn the_pieces_are_removed_when_the_pod_is_told_to_stop() {
    let pod = Pod::new();
    let options = with_secret(&pod, "hunter22");
    let spec = presubmit("1234");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let interrupted = async {
            let _ = stopped.await;
        };
        run_sidecar(sidecar(&options, &spec), interrupted)
            .await
            .unwrap()
    });
    append(&pod, "so far\n");
    shown(&pod, "so far\n").await;
    stop.send(()).unwrap();
    let finished = format!("{DIR}/finished.json");
    let wait = async {
        while !pod.keys().await.contains(&finished) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it uploads");
    let removed = async {
        while !pieces(&pod).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, removed)
        .await
        .expect("the pieces go");
    append(&pod, "and the end\n");
    end(&pod, running).await;
    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert_eq!(log, "so far\nand the end\n");
    assert_eq!(pieces(&pod).await, [""; 0]);
}

#[tokio::test]
async fn a_piece_that_cannot_be_stored_harms_nothing() {
    let pod = Pod::new();
    let storage =
        ObjectStorage::open_bucket(&pod.gcs().config.bucket, &StorageCredentials::default())
            .unwrap();
    // An object has the name that the folder of the pieces would have.
    let key = format!("{DIR}/build-log.live");
    storage
        .put_object(&key, "x", &Default::default())
        .await
        .unwrap();
    let running = start(&with_secret(&pod, "hunter22"));
    append(&pod, "one\n");
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    append(&pod, "two\n");
    end(&pod, running).await;
    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert_eq!(log, "one\ntwo\n");
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["metadata"], json!({"censored": true}));
}

#[tokio::test]
async fn a_link_in_the_logs_place_is_not_followed() {
    let pod = Pod::new();
    pod.write("credentials/key.json", "private");
    symlink(
        pod.at("credentials/key.json"),
        pod.at("logs/process-log.txt"),
    )
    .unwrap();
    let running = start(&with_secret(&pod, "hunter22"));
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(pod.keys().await, [""; 0]);
    end(&pod, running).await;
}

#[tokio::test]
async fn each_container_has_pieces_of_its_own() {
    let pod = Pod::new();
    let mut options = with_secret(&pod, "hunter22");
    options.entries = vec![entry(&pod, "a", "a-"), entry(&pod, "b", "b-")];
    let running = start(&options);
    for name in ["a", "b"] {
        pod.write(
            &format!("logs/{name}-process-log.txt"),
            format!("{name} hunter22 ends\n"),
        );
    }
    for name in ["a", "b"] {
        let key = format!(
            "{DIR}/{}",
            live::piece_name(&format!("{name}-build-log.txt"), 1)
        );
        let wait = async {
            while !pod.keys().await.contains(&key) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("it is shown");
        assert!(format!("{name} XXXXXXXX ends\n").starts_with(&pod.text(&key).await));
        pod.write(&format!("logs/{name}-marker-file.txt"), "0");
    }
    tokio::time::timeout(PATIENCE, running)
        .await
        .unwrap()
        .unwrap();
    assert!(pod.keys().await.iter().all(|key| !key.contains(".live/")));
}
