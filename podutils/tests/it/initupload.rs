use std::process::ExitCode;

use jiff::Timestamp;
use podutils::clonerefs::{CloneRecord, CommandRecord};
use podutils::initupload::{InituploadOptions, run_initupload};
use podutils::sidecar::SidecarCensoringOptions;
use serde_json::json;

use crate::support::{Pod, presubmit};

const DIR: &str = "pr-logs/pull/o_r/7/unit/1234";

fn now() -> Timestamp {
    Timestamp::from_second(1_795_348_800).unwrap()
}

fn record(failed: bool) -> CloneRecord {
    let command = CommandRecord {
        command: "git fetch".into(),
        output: "fatal: no\n".into(),
        ..CommandRecord::default()
    };
    CloneRecord {
        refs: presubmit("1234").refs.unwrap(),
        commands: vec![command],
        failed,
        final_sha: if failed {
            String::new()
        } else {
            "merged".into()
        },
        ..CloneRecord::default()
    }
}

async fn upload(pod: &Pod, records: Option<&[CloneRecord]>) -> anyhow::Result<ExitCode> {
    let mut options = InituploadOptions {
        gcs: pod.gcs(),
        ..InituploadOptions::default()
    };
    if let Some(records) = records {
        pod.write("logs/clone.json", serde_json::to_vec(records)?);
        options.log = pod.path("logs/clone.json");
    }
    run_initupload(&options, &presubmit("1234"), now()).await
}

#[tokio::test]
async fn a_run_begins_with_what_readers_look_for() {
    let pod = Pod::new();
    assert_eq!(
        upload(&pod, Some(&[CloneRecord::default(), record(false)]))
            .await
            .unwrap(),
        ExitCode::SUCCESS
    );
    assert_eq!(
        pod.keys().await,
        [
            "pr-logs/directory/unit/1234.txt",
            "pr-logs/directory/unit/latest-build.txt",
            "pr-logs/pull/o_r/7/unit/1234/clone-log.txt",
            "pr-logs/pull/o_r/7/unit/1234/clone-records.json",
            "pr-logs/pull/o_r/7/unit/1234/started.json",
            "pr-logs/pull/o_r/7/unit/latest-build.txt",
        ]
    );
    assert_eq!(
        pod.json(&format!("{DIR}/started.json")).await,
        json!({
            "timestamp": 1_795_348_800, "pull": "7", "repos": {"o/r": "main:1234567,7:abcdef0"},
            "repo-commit": "merged", "repo-version": "merged",
        })
    );
    let url = format!("file://{}/{DIR}", pod.path("bucket"));
    let alias = pod.object("pr-logs/directory/unit/1234.txt").await;
    assert_eq!(alias.attributes.metadata["link"], url);
    assert_eq!(pod.text("pr-logs/directory/unit/1234.txt").await, url);
    assert_eq!(
        pod.text("pr-logs/directory/unit/latest-build.txt").await,
        "1234"
    );
    assert!(
        pod.text(&format!("{DIR}/clone-log.txt"))
            .await
            .contains("$ git fetch")
    );
}

#[tokio::test]
async fn a_job_without_a_name_is_stored_where_prow_stores_it() {
    let pod = Pod::new();
    let mut spec = presubmit("1234");
    spec.job = String::new();
    spec.refs.as_mut().unwrap().org = String::new();
    let options = InituploadOptions {
        gcs: pod.gcs(),
        ..InituploadOptions::default()
    };
    let code = run_initupload(&options, &spec, now()).await.unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(
        pod.keys().await,
        [
            "pr-logs/directory/1234.txt",
            "pr-logs/directory/latest-build.txt",
            "pr-logs/pull/_r/7/1234/started.json",
            "pr-logs/pull/_r/7/latest-build.txt",
        ]
    );
}

#[tokio::test]
async fn a_failed_clone_ends_the_run_with_a_log() {
    let pod = Pod::new();
    assert_eq!(
        upload(&pod, Some(&[record(true)])).await.unwrap(),
        ExitCode::FAILURE
    );
    assert!(
        pod.text(&format!("{DIR}/build-log.txt"))
            .await
            .starts_with("# FAILED\n")
    );
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(
        (&finished["passed"], &finished["result"]),
        (&json!(false), &json!("FAILURE"))
    );
    assert_eq!(finished["metadata"], json!({"censored": false}));
}

/// Options of a run whose clone had the secret `hunter22`, and records that contain it.
fn with_secret(pod: &Pod, failed: bool) -> InituploadOptions {
    pod.write("secrets/token", "hunter22\n");
    let mut record = record(failed);
    record.commands[0].output = "fatal: hunter22\nfor https://u:swordfish@h/o/r\n".into();
    if failed {
        record.commands[0].error = "no hunter22".into();
    }
    pod.write("logs/clone.json", serde_json::to_vec(&[record]).unwrap());
    InituploadOptions {
        gcs: pod.gcs(),
        log: pod.path("logs/clone.json"),
        censoring_options: Some(SidecarCensoringOptions {
            secret_directories: vec![pod.path("secrets")],
            every_secret: true,
            ..SidecarCensoringOptions::default()
        }),
    }
}

async fn texts(pod: &Pod) -> Vec<String> {
    let mut texts = Vec::new();
    for key in pod.keys().await {
        texts.push(format!("{key} {}", pod.text(&key).await));
    }
    texts
}

#[tokio::test]
async fn the_secrets_of_a_clone_are_in_none_of_its_files() {
    for failed in [false, true] {
        let pod = Pod::new();
        let options = with_secret(&pod, failed);
        run_initupload(&options, &presubmit("1234"), now())
            .await
            .unwrap();
        for text in texts(&pod).await {
            assert!(
                !text.contains("hunter") && !text.contains("swordfish"),
                "{text}"
            );
        }
        let log = pod.text(&format!("{DIR}/clone-log.txt")).await;
        assert!(
            log.contains("fatal: XXXXXXXX\nfor https://h/o/r\n"),
            "{log}"
        );
        let records = pod.json(&format!("{DIR}/clone-records.json")).await;
        assert_eq!(records[0]["refs"]["org"], "o");
        let started = pod.json(&format!("{DIR}/started.json")).await;
        assert_eq!(
            started["repo-commit"],
            if failed { "abcdef0" } else { "merged" }
        );
        if failed {
            let finished = pod.json(&format!("{DIR}/finished.json")).await;
            assert_eq!(finished["metadata"], json!({"censored": true}));
            assert_eq!(pod.text(&format!("{DIR}/build-log.txt")).await, log);
        }
    }
}

#[tokio::test]
async fn a_clone_whose_secrets_cannot_be_read_is_not_uploaded() {
    for (failed, code) in [(false, ExitCode::SUCCESS), (true, ExitCode::FAILURE)] {
        let pod = Pod::new();
        let mut options = with_secret(&pod, failed);
        let missing = vec![pod.path("not-mounted")];
        options
            .censoring_options
            .as_mut()
            .unwrap()
            .secret_directories = missing;
        let ended = run_initupload(&options, &presubmit("1234"), now())
            .await
            .unwrap();
        assert_eq!(ended, code);
        for text in texts(&pod).await {
            for word in ["hunter", "fatal", "merged", "clone-log", "clone-records"] {
                assert!(!text.contains(word), "{text}");
            }
        }
        let started = pod.json(&format!("{DIR}/started.json")).await;
        assert_eq!(started["repo-commit"], "abcdef0");
        if failed {
            let finished = pod.json(&format!("{DIR}/finished.json")).await;
            assert_eq!(finished["metadata"]["censored"], false);
            let why = finished["metadata"]["censor-error"].as_str().unwrap();
            assert!(why.contains("not-mounted"), "{why}");
            let log = pod.text(&format!("{DIR}/build-log.txt")).await;
            assert!(log.starts_with("The clone failed."), "{log}");
        }
    }
}

#[tokio::test]
async fn records_that_nobody_asked_to_censor_are_uploaded_as_they_are() {
    let pod = Pod::new();
    let mut options = with_secret(&pod, false);
    options.censoring_options = None;
    let raw = r#"[ {"refs": {"org": "o"}, "future": 1, "commands": [{"command": "hunter22"}]} ]"#;
    pod.write("logs/clone.json", raw);
    run_initupload(&options, &presubmit("1234"), now())
        .await
        .unwrap();
    assert_eq!(pod.text(&format!("{DIR}/clone-records.json")).await, raw);
}

#[tokio::test]
async fn without_a_clone_there_is_no_clone_log() {
    let pod = Pod::new();
    upload(&pod, None).await.unwrap();
    assert_eq!(pod.keys().await.len(), 4);
    assert_eq!(
        pod.json(&format!("{DIR}/started.json")).await["repo-commit"],
        "abcdef0"
    );
}

#[tokio::test]
async fn unreadable_records_are_an_error() {
    let pod = Pod::new();
    let options = InituploadOptions {
        gcs: pod.gcs(),
        log: pod.path("logs/none.json"),
        ..InituploadOptions::default()
    };
    assert!(
        run_initupload(&options, &presubmit("1"), now())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_local_output_folder_holds_the_run_and_nothing_else() {
    let pod = Pod::new();
    let mut options = InituploadOptions {
        gcs: pod.gcs(),
        ..InituploadOptions::default()
    };
    options.gcs.config.local_output_dir = pod.path("output");
    run_initupload(&options, &presubmit("1234"), now())
        .await
        .unwrap();
    let names: Vec<_> = std::fs::read_dir(pod.at("output"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["started.json"]);
}

#[tokio::test]
async fn what_could_not_be_stored_is_named_with_its_reason() {
    let pod = Pod::new();
    pod.write(&format!("bucket/{DIR}/started.json/x"), "");
    pod.write(&format!("bucket/{DIR}/clone-log.txt/x"), "");
    let error = upload(&pod, Some(&[record(false)])).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("2 files were not stored: clone-log.txt: "),
        "{said}"
    );
    assert!(said.contains("; started.json: "), "{said}");
    assert!(said.contains("there is a folder of that name"), "{said}");
}
