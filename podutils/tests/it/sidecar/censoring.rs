//! Nothing leaves the pod that is secret, or that could not be censored.

use super::*;

#[tokio::test]
async fn no_secret_leaves_the_pod() {
    let pod = Pod::new();
    let options = with_secret(&pod, "hunter22\n");
    let long = "hunter22 ".repeat(50_000);
    pod.write("logs/process-log.txt", &long);
    pod.write("logs/artifacts/plain.txt", "a hunter22 b");
    pod.write("logs/artifacts/encoded", "aHVudGVyMjI=");
    pod.write("logs/artifacts/packed.txt.gz", gz(b"in gz: hunter22"));
    pod.write("logs/artifacts/hunter22.txt", "the name tells it");
    pod.write("logs/artifacts/metadata.json", r#"{"token": "hunter22"}"#);
    pod.write("logs/marker-file.txt", "0");
    finish(&options).await;

    let log = pod.text(&format!("{DIR}/build-log.txt")).await;
    assert_eq!(log.len(), long.len());
    assert!(!log.contains("hunter"));
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/plain.txt")).await,
        "a XXXXXXXX b"
    );
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/encoded")).await,
        "XXXXXXXXXXXX"
    );
    let packed = pod.object(&format!("{DIR}/artifacts/packed.txt")).await;
    assert_eq!(packed.attributes.content_encoding.as_deref(), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&packed.read_bytes(1 << 20).await.unwrap()[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "in gz: XXXXXXXX");
    assert_eq!(
        pod.json(&format!("{DIR}/finished.json")).await["metadata"]["token"],
        "XXXXXXXX"
    );
    for key in pod.keys().await {
        assert!(!key.contains("hunter22"), "{key}");
        let bytes = pod.object(&key).await.read_bytes(64 << 20).await.unwrap();
        assert!(!bytes.windows(8).any(|w| w == b"hunter22"), "{key}");
    }
    assert_eq!(
        pod.read("logs/artifacts/plain.txt"),
        "a hunter22 b",
        "the job's own files stay as they are"
    );
}

#[tokio::test]
async fn secrets_that_cannot_be_read_stop_everything_but_the_result() {
    let pod = Pod::new();
    pod.write("logs/process-log.txt", "hunter22");
    pod.write("logs/artifacts/x", "hunter22");
    pod.write("logs/artifacts/metadata.json", r#"{"token": "hunter22"}"#);
    pod.write("logs/marker-file.txt", "0");
    let mut options = options(&pod);
    options.censoring_options.secret_directories = vec![pod.path("not-mounted")];
    finish(&options).await;
    assert_eq!(pod.keys().await, [format!("{DIR}/finished.json")]);
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["result"], "SUCCESS");
    assert_eq!(finished["metadata"]["censored"], false);
    assert!(
        finished["metadata"]["censor-error"]
            .as_str()
            .unwrap()
            .contains("not-mounted")
    );
    assert_eq!(finished["metadata"].get("token"), None);
}

#[tokio::test]
async fn a_broken_pattern_stops_everything_too() {
    let pod = Pod::new();
    pod.write("logs/marker-file.txt", "0");
    pod.write("logs/process-log.txt", "x");
    let mut options = options(&pod);
    options.censoring_options.config.exclude_directories = Some(vec!["[".into()]);
    finish(&options).await;
    assert_eq!(pod.keys().await, [format!("{DIR}/finished.json")]);
}

#[tokio::test]
async fn what_cannot_be_looked_into_is_left_out_and_named() {
    let pod = Pod::new();
    let options = with_secret(&pod, "hunter22");
    pod.write(
        "logs/process-log.txt",
        b"\x1f\x8b looks packed, is a log: hunter22",
    );
    pod.write("logs/artifacts/broken.zip", b"PK\x03\x04 hunter22");
    pod.write("logs/artifacts/good.txt", "fine");
    pod.write("logs/artifacts/logs.tar.xz", b"\xfd7zXZ\0 hunter22");
    pod.write("logs/marker-file.txt", "0");
    finish(&options).await;
    let artifacts: Vec<_> = pod
        .keys()
        .await
        .into_iter()
        .filter(|k| k.contains("artifacts"))
        .collect();
    assert_eq!(artifacts, [format!("{DIR}/artifacts/good.txt")]);
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    let left_out = finished["metadata"]["censor-left-out"].as_array().unwrap();
    assert!(
        left_out[0]
            .as_str()
            .unwrap()
            .contains("artifacts/broken.zip")
    );
    assert!(
        left_out[1]
            .as_str()
            .unwrap()
            .contains("artifacts/logs.tar.xz: it could not be censored: xz")
    );
    let log = pod
        .object(&format!("{DIR}/build-log.txt"))
        .await
        .read_bytes(1 << 20)
        .await
        .unwrap();
    assert_eq!(&log[..], b"\x1f\x8b looks packed, is a log: XXXXXXXX");
}

#[tokio::test]
async fn links_do_not_take_our_own_files_along() {
    let pod = Pod::new();
    pod.write("credentials/key.json", r#"{"private_key": "s"}"#);
    fs::remove_file(pod.at("logs/process-log.txt")).unwrap_or_default();
    symlink(
        pod.at("credentials/key.json"),
        pod.at("logs/process-log.txt"),
    )
    .unwrap();
    symlink(
        pod.at("credentials/key.json"),
        pod.at("logs/artifacts/metadata.json"),
    )
    .unwrap();
    symlink(
        pod.at("credentials/key.json"),
        pod.at("logs/artifacts/linked"),
    )
    .unwrap();
    symlink(pod.at("credentials"), pod.at("logs/artifacts/folder")).unwrap();
    pod.write("logs/marker-file.txt", "0");
    finish(&options(&pod)).await;
    for key in pod.keys().await {
        assert!(!pod.text(&key).await.contains("private_key"), "{key}");
    }
    assert!(
        pod.text(&format!("{DIR}/build-log.txt"))
            .await
            .starts_with("Failed to open the log")
    );
}

#[tokio::test]
async fn an_excluded_folder_is_not_censored() {
    let pod = Pod::new();
    let mut options = with_secret(&pod, "hunter22");
    options.censoring_options.config.exclude_directories = Some(vec!["public/**".into()]);
    options.censoring_options.config.minimum_secret_length = Some(4);
    pod.write("logs/process-log.txt", "");
    pod.write("logs/artifacts/public/x", "hunter22");
    pod.write("logs/artifacts/private/x", "hunter22");
    pod.write("logs/marker-file.txt", "0");
    finish(&options).await;
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/public/x")).await,
        "hunter22"
    );
    assert_eq!(
        pod.text(&format!("{DIR}/artifacts/private/x")).await,
        "XXXXXXXX"
    );
    assert_eq!(pod.text(&format!("{DIR}/build-log.txt")).await, "");
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["metadata"]["censored"], false);
}

#[tokio::test]
async fn censored_says_what_was_done() {
    type Change = fn(&Pod, &mut SidecarOptions);
    let cases: [(&str, bool, Change); 8] = [
        ("every secret is known", true, |_, _| {}),
        ("there is no secret", true, |_, options| {
            options.censoring_options.secret_directories.clear();
        }),
        ("nobody asked", false, |_, options| {
            options.censoring_options = SidecarCensoringOptions::default();
        }),
        ("some are known", false, |_, options| {
            options.censoring_options.every_secret = false;
        }),
        ("they cannot be read", false, |pod, options| {
            let missing = vec![pod.path("not-mounted")];
            options.censoring_options.secret_directories = missing;
        }),
        ("a file is excluded", false, |_, options| {
            options.censoring_options.config.exclude_directories = Some(vec!["x*".into()]);
        }),
        ("a file is not included", false, |_, options| {
            options.censoring_options.config.include_directories = Some(vec!["y*".into()]);
        }),
        ("no file is excluded", true, |_, options| {
            options.censoring_options.config.exclude_directories = Some(vec!["y*".into()]);
        }),
    ];
    for (name, expected, change) in cases {
        let pod = Pod::new();
        let mut options = with_secret(&pod, "hunter22");
        change(&pod, &mut options);
        pod.write("logs/process-log.txt", "hunter22");
        pod.write("logs/artifacts/x.txt", "x");
        // What the job says about this is ignored.
        pod.write("logs/artifacts/metadata.json", r#"{"censored": true}"#);
        pod.write("logs/marker-file.txt", "0");
        finish(&options).await;
        let finished = pod.json(&format!("{DIR}/finished.json")).await;
        assert_eq!(finished["metadata"]["censored"], expected, "{name}");
    }
}

#[tokio::test]
async fn what_nobody_asked_to_censor_is_uploaded_as_it_is() {
    let pod = Pod::new();
    // A Secret is mounted, but the options do not name it.
    with_secret(&pod, "hunter22");
    let packed = [&gz(b"hunter22")[..], b"hunter22 after the end"].concat();
    let files = [
        ("plain.txt", &b"hunter22"[..]),
        ("hunter22.txt", b"the name tells it"),
        ("packed.tgz", &packed),
        ("broken.zip", b"PK\x03\x04 hunter22"),
        ("logs.tar.xz", b"\xfd7zXZ\0 hunter22"),
    ];
    for (name, content) in files {
        pod.write(&format!("logs/artifacts/{name}"), content);
    }
    pod.write("logs/process-log.txt", "hunter22\n");
    pod.write("logs/marker-file.txt", "0");
    finish(&options(&pod)).await;
    for (name, content) in files {
        let object = pod.object(&format!("{DIR}/artifacts/{name}")).await;
        assert_eq!(object.read_bytes(1 << 20).await.unwrap(), content, "{name}");
    }
    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        "hunter22\n"
    );
}

#[tokio::test]
async fn a_secret_that_was_replaced_stays_secret() {
    let pod = Pod::new();
    let options = with_secret(&pod, "hunter22");
    pod.write("logs/process-log.txt", "hunter22 swordfish");
    let running = tokio::spawn(async move { finish(&options).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    pod.write("secrets/token", "swordfish");
    pod.write("logs/marker-file.txt", "0");
    running.await.unwrap();
    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        "XXXXXXXX XXXXXXXXX"
    );
}
