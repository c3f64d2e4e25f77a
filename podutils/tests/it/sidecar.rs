mod acceptance;
mod censoring;
mod ends;
mod live;
mod losses;

use std::fs;
use std::future::pending;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::ExitCode;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use podutils::JobSpec;
use podutils::entrypoint::WrapperOptions;
use podutils::sidecar::{SidecarCensoringOptions, SidecarOptions, SidecarRun, run_sidecar};
use serde_json::json;

use crate::support::{Pod, presubmit};

const DIR: &str = "pr-logs/pull/o_r/7/unit/1234";

fn now() -> Timestamp {
    Timestamp::from_second(1_795_348_800).unwrap()
}

fn entry(pod: &Pod, name: &str, prefix: &str) -> WrapperOptions {
    WrapperOptions {
        args: vec!["true".into()],
        container_name: name.into(),
        process_log: pod.path(&format!("logs/{prefix}process-log.txt")),
        marker_file: pod.path(&format!("logs/{prefix}marker-file.txt")),
        metadata_file: pod.path(&format!("logs/artifacts/{prefix}metadata.json")),
    }
}

fn options(pod: &Pod) -> SidecarOptions {
    let mut gcs_options = pod.gcs();
    gcs_options.items = vec![pod.path("logs/artifacts")];
    SidecarOptions {
        gcs_options,
        entries: vec![entry(pod, "test", "")],
        ..SidecarOptions::default()
    }
}

fn with_secret(pod: &Pod, secret: &str) -> SidecarOptions {
    pod.write("secrets/token", secret);
    let secret_directories = vec![pod.path("secrets")];
    SidecarOptions {
        censoring_options: SidecarCensoringOptions {
            secret_directories,
            every_secret: true,
            ..SidecarCensoringOptions::default()
        },
        ..options(pod)
    }
}

fn sidecar<'a>(options: &'a SidecarOptions, spec: &'a JobSpec) -> SidecarRun<'a> {
    SidecarRun {
        options,
        spec,
        own_log: None,
        clock: now,
    }
}

async fn finish(options: &SidecarOptions) -> ExitCode {
    run_sidecar(sidecar(options, &presubmit("1234")), pending())
        .await
        .unwrap()
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

#[tokio::test]
async fn log_artifacts_and_result_are_uploaded() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "it works\n");
    pod.write("logs/artifacts/junit/report.xml", "<xml/>");
    pod.write("logs/artifacts/metadata.json", r#"{"images": 3}"#);
    pod.write("own.log", "{}\n");
    pod.write("logs/marker-file.txt", "0");
    let options = options(&pod);
    let spec = presubmit("1234");
    let sidecar = SidecarRun {
        own_log: Some(pod.at("own.log")),
        ..sidecar(&options, &spec)
    };
    assert_eq!(
        run_sidecar(sidecar, pending()).await.unwrap(),
        ExitCode::SUCCESS
    );

    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        "it works\n"
    );
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/junit/report.xml")).await,
        "<xml/>"
    );
    assert_eq!(pod.text(&format!("{DIR}/sidecar-logs.json")).await, "{}\n");
    assert_eq!(
        pod.text("pr-logs/directory/unit/latest-build.txt").await,
        "1234"
    );
    assert_eq!(
        pod.json(&format!("{DIR}/finished.json")).await,
        json!({
            "timestamp": 1_795_348_800, "passed": true, "result": "SUCCESS", "revision": "abcdef0",
            "metadata": {"images": 3, "censored": false},
        })
    );
    let log = pod.object(&format!("{DIR}/build-log.txt")).await;
    assert_eq!(
        log.attributes.content_type.as_deref(),
        Some("text/plain; charset=utf-8")
    );
}

#[tokio::test]
async fn it_waits_for_the_marker() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "before\n");
    let options = options(&pod);
    let running = tokio::spawn(async move { finish(&options).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!running.is_finished());
    assert!(pod.keys().await.is_empty());
    pod.write("logs/process-log.txt", "before\nafter\n");
    pod.write("logs/marker-file.txt", "3");
    tokio::time::timeout(Duration::from_secs(8), running)
        .await
        .expect("woken by the marker")
        .unwrap();
    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        "before\nafter\n"
    );
    assert_eq!(
        pod.json(&format!("{DIR}/finished.json")).await["result"],
        "FAILURE"
    );
}

#[tokio::test]
async fn several_containers_have_a_log_each() {
    let pod = Pod::new();
    for (name, code) in [("a", "0"), ("b", "1")] {
        pod.write(&format!("logs/{name}-process-log.txt"), name);
        pod.write(&format!("logs/{name}-marker-file.txt"), code);
    }
    pod.write("logs/artifacts/b-metadata.json", "not json");
    let options = SidecarOptions {
        entries: vec![entry(&pod, "a", "a-"), entry(&pod, "b", "b-")],
        entry_error: true,
        ..options(&pod)
    };
    assert_eq!(
        finish(&options).await,
        ExitCode::FAILURE,
        "entry_error is set"
    );
    assert_eq!(pod.text(&format!("{DIR}/a-build-log.txt")).await, "a");
    assert_eq!(pod.text(&format!("{DIR}/b-build-log.txt")).await, "b");
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["passed"], false);
    assert!(
        finished["metadata"]["sidecar-errors"][0]
            .as_str()
            .unwrap()
            .contains("b-metadata.json")
    );
}

#[tokio::test]
async fn listed_types_are_compressed_on_the_way() {
    let pod = Pod::new();
    let mut options = options(&pod);
    options.gcs_options.config.compress_file_types = Some(vec!["txt".into()]);
    let long = "line\n".repeat(10_000);
    pod.write("logs/process-log.txt", "");
    pod.write("logs/artifacts/long.txt", &long);
    pod.write("logs/artifacts/short.txt", "line");
    pod.write("logs/artifacts/long.log", &long);
    pod.write("logs/marker-file.txt", "0");
    finish(&options).await;
    for (name, compressed) in [
        ("long.txt", true),
        ("short.txt", false),
        ("long.log", false),
    ] {
        let object = pod.object(&format!("{DIR}/artifacts/{name}")).await;
        assert_eq!(
            object.attributes.content_encoding.is_some(),
            compressed,
            "{name}"
        );
    }
    let object = pod.object(&format!("{DIR}/artifacts/long.txt")).await;
    let mut text = String::new();
    GzDecoder::new(&object.read_bytes(1 << 20).await.unwrap()[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, long);
}

#[tokio::test]
async fn an_interrupt_uploads_what_there_is_and_the_end_the_rest() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "so far\n");
    let options = options(&pod);
    let spec = presubmit("1234");
    let running = tokio::spawn(async move {
        run_sidecar(sidecar(&options, &spec), async {})
            .await
            .unwrap()
    });
    let finished = format!("{DIR}/finished.json");
    for _ in 0..100 {
        if pod.keys().await.contains(&finished) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let first = pod.json(&finished).await;
    assert_eq!(
        (&first["passed"], &first["result"]),
        (&json!(false), &json!("ABORTED"))
    );
    assert_eq!(pod.text(&format!("{DIR}/build-log.txt")).await, "so far\n");
    assert!(!running.is_finished());

    pod.write("logs/process-log.txt", "so far\nand the end\n");
    pod.write("logs/marker-file.txt", "0");
    tokio::time::timeout(Duration::from_secs(8), running)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pod.json(&finished).await["result"], "SUCCESS");
    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        "so far\nand the end\n"
    );
}

#[tokio::test]
async fn interrupts_may_be_ignored() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "so far\n");
    let options = SidecarOptions {
        ignore_interrupts: true,
        ..options(&pod)
    };
    let spec = presubmit("1234");
    let running = tokio::spawn(async move {
        run_sidecar(sidecar(&options, &spec), async {})
            .await
            .unwrap()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(pod.keys().await.is_empty());
    pod.write("logs/marker-file.txt", "130");
    running.await.unwrap();
    assert_eq!(
        pod.json(&format!("{DIR}/finished.json")).await["result"],
        "ABORTED"
    );
}

#[tokio::test]
async fn nobody_to_wait_for_is_an_error() {
    let pod = Pod::new();
    let options = SidecarOptions {
        entries: Vec::new(),
        ..options(&pod)
    };
    assert!(
        run_sidecar(sidecar(&options, &presubmit("1234")), pending())
            .await
            .is_err()
    );
    assert!(pod.keys().await.is_empty());
}
