//! The places, times and ways in which a secret could get out.

use super::*;

#[tokio::test]
async fn t01_in_the_live_log_before_the_job_ends() {
    let (pod, options) = pod_with(&[("token", "hunter22\n")]);
    let lines = vec![line("I am «hunter22», and silent from now on")];
    let running = start(&options);
    print(&pod, &text(&lines));
    leave_everywhere(&pod, &lines);
    expect_live(&pod, &masked(&lines)).await;
    assert!(!running.is_finished());
    let keys = pod.keys().await;
    assert!(!keys.contains(&format!("{DIR}/finished.json")), "{keys:?}");
    end(&pod, running).await;
    expect_stored(&pod, &lines).await;
}

#[tokio::test]
async fn t02_quoted_in_an_annotation() {
    let (pod, options) = pod_with(&[("token", "hun\"ter&22\n")]);
    expect_everywhere(
        &pod,
        &options,
        &[
            "::error file=a.go,line=3::no access with «hun\"ter&22», says the server",
            r#"a.go:3:1: fatal error: "no access with «hun\"ter&22»""#,
            r#"{"file": "a.go", "message": "no access with «hun\"ter\u002622»"}"#,
            r#"<failure message="no access with «hun&#34;ter&amp;22»"></failure>"#,
        ],
    )
    .await;
}

/// `envFrom` gives a container every key of a Secret.
#[tokio::test]
async fn t03_every_key_of_a_secret() {
    let (pod, options) = pod_with(&[
        ("USER_TOKEN", "hunter22"),
        ("DB_PASS", "correct horse"),
        ("nested/KEY", "sw0rd#f1sh"),
    ]);
    expect_everywhere(
        &pod,
        &options,
        &[
            "USER_TOKEN=«hunter22»",
            "declare -x DB_PASS=\"«correct horse»\"",
            "KEY=«sw0rd#f1sh» HOME=root",
        ],
    )
    .await;
}

#[tokio::test]
async fn t05_split_over_two_reads_and_two_writes() {
    let (pod, options) = pod_with(&[("token", "hunter22")]);
    // Files are read in chunks of 64 KiB. Each cut of the secret is at a border of two chunks.
    let mut marked = String::new();
    for cut in 1..8 {
        let border = cut * (64 << 10);
        let (text, _) = line(&marked);
        marked += &".".repeat(border - cut - text.len());
        marked += "«hunter22»";
    }
    let lines = [line(&marked), line("begin «hunter22» end")];
    let running = start(&options);
    leave_everywhere(&pod, &lines);
    print(&pod, &text(&lines[..1]));
    expect_live(&pod, &masked(&lines[..1])).await;
    for part in ["begin hun", "ter", "22 end\n"] {
        print(&pod, part);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(!live_log(&pod).await.contains("hun"));
    }
    expect_live(&pod, &masked(&lines)).await;
    end(&pod, running).await;
    expect_stored(&pod, &lines).await;
}

#[tokio::test]
async fn t08_in_a_packed_artifact() {
    let (pod, options) = pod_with(&[("token", "hunter22")]);
    let files: [(&str, &[u8]); 2] = [("of hunter22", b"is hunter22"), ("harmless", b"a word")];
    let inner = gz(&tarred(&files));
    pod.write("logs/process-log.txt", "");
    for (name, content) in [
        ("a.tgz", inner.clone()),
        (
            "b.zip",
            zipped(&[("inner.tgz", &inner), ("of hunter22", b"x")]),
        ),
        ("c.tar", tarred(&[("inner.zip", &zipped(&files))])),
        ("d.gz", gz(&gz(b"is hunter22"))),
    ] {
        pod.write(&format!("logs/artifacts/{name}"), content);
    }
    end(&pod, start(&options)).await;
    let bytes = async |name: &str| {
        let object = pod.object(&format!("{DIR}/artifacts/{name}")).await;
        object.read_bytes(1 << 20).await.unwrap()
    };
    let masked: Vec<(String, String)> = vec![
        ("of XXXXXXXX".into(), "is XXXXXXXX".into()),
        ("harmless".into(), "a word".into()),
    ];
    assert_eq!(untarred(&ungz(&bytes("a.tgz").await)), masked);
    let zip = unzipped(&bytes("b.zip").await);
    assert_eq!(untarred(&ungz(&zip[0].1)), masked);
    assert_eq!(zip[1].0, "of XXXXXXXX");
    let mut tar = Vec::new();
    let content = bytes("c.tar").await;
    let mut archive = tar::Archive::new(&content[..]);
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    entry.read_to_end(&mut tar).unwrap();
    assert_eq!(unzipped(&tar), text_of(&masked));
    // `d.gz` is the text `d`, compressed, as Prow stores it.
    assert_eq!(ungz(&ungz(&bytes("d").await)), b"is XXXXXXXX");
}

#[tokio::test]
async fn t10_a_value_too_short_to_be_hidden_is_told() {
    let (pod, mut options) = pod_with(&[("pin", "123\n"), ("token", "hunter22"), ("debug", "on")]);
    options.censoring_options.config.minimum_secret_length = Some(4);
    expect_everywhere(&pod, &options, &["123 is no «hunter22»"]).await;
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(
        finished["metadata"]["censor-in-clear"],
        json!([pod.path("secrets/debug"), pod.path("secrets/pin")])
    );
    // Without a limit even that is masked, and there is nothing to report.
    let (pod, options) = pod_with(&[("pin", "123\n")]);
    expect_everywhere(&pod, &options, &["pin «123»"]).await;
    let finished = pod.json(&format!("{DIR}/finished.json")).await;
    assert_eq!(finished["metadata"].get("censor-in-clear"), None);
}

#[tokio::test]
async fn t11_what_cannot_be_censored_is_stored_nowhere() {
    let (pod, mut options) = pod_with(&[("token", "hunter22")]);
    let lines = [line("«hunter22»")];
    options
        .censoring_options
        .secret_directories
        .push(pod.path("not-mounted"));
    let running = start(&options);
    print(&pod, &text(&lines));
    leave_everywhere(&pod, &lines);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(pod.keys().await, [""; 0], "nothing is shown live");
    end(&pod, running).await;
    assert_eq!(pod.keys().await, [format!("{DIR}/finished.json")]);
    let finished = pod.text(&format!("{DIR}/finished.json")).await;
    assert!(!finished.contains("hunter22"), "{finished}");
    assert!(finished.contains("\"censored\":false"), "{finished}");
}

#[tokio::test]
async fn t13_replaced_while_the_job_runs() {
    let (pod, options) = pod_with(&[("token", "hunter22")]);
    let lines = [
        line("the old one «hunter22»"),
        line("the new one «swordfish»"),
        line("the old one in base64 «aHVudGVyMjI»"),
    ];
    let running = start(&options);
    print(&pod, &text(&lines[..1]));
    expect_live(&pod, &masked(&lines[..1])).await;
    pod.write("secrets/token", "swordfish");
    print(&pod, &text(&lines[1..]));
    leave_everywhere(&pod, &lines);
    expect_live(&pod, &masked(&lines)).await;
    end(&pod, running).await;
    expect_stored(&pod, &lines).await;
}
