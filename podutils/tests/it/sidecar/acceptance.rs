//! What has to be masked wherever the sidecar stores it: in the live log, the log, an artifact, its
//! name, archives and the names in them, and the result's metadata.

mod places;
mod shapes;

use std::io::Cursor;

use common::storage::live;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::*;

/// Far more than a loaded machine needs for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line without its marks, and the same line with all between the marks masked.
///
/// So the test says in one place what is secret and what is harmless.
fn line(marked: &str) -> (String, String) {
    let (mut text, mut masked) = (String::new(), String::new());
    for (index, part) in marked.split(['«', '»']).enumerate() {
        text.push_str(part);
        if index % 2 == 1 {
            masked.push_str(&"X".repeat(part.len()));
        } else {
            masked.push_str(part);
        }
    }
    (text, masked)
}

/// A pod whose Secret has these keys.
fn pod_with(secrets: &[(&str, &str)]) -> (Pod, SidecarOptions) {
    let pod = Pod::new();
    let options = with_secret(&pod, secrets[0].1);
    fs::remove_file(pod.at("secrets/token")).unwrap();
    for (key, value) in secrets {
        pod.write(&format!("secrets/{key}"), value);
    }
    (pod, options)
}

/// Prints these lines wherever a job can, and expects them masked wherever they are stored.
async fn expect_everywhere(pod: &Pod, options: &SidecarOptions, marked: &[&str]) {
    let lines: Vec<(String, String)> = marked.iter().map(|marked| line(marked)).collect();
    let running = start(options);
    print(pod, &text(&lines));
    leave_everywhere(pod, &lines);
    expect_live(pod, &masked(&lines)).await;
    end(pod, running).await;
    expect_stored(pod, &lines).await;
}

fn text(lines: &[(String, String)]) -> String {
    lines.iter().map(|(text, _)| format!("{text}\n")).collect()
}

fn masked(lines: &[(String, String)]) -> String {
    lines
        .iter()
        .map(|(_, masked)| format!("{masked}\n"))
        .collect()
}

/// Lines that can be the name of a file.
fn names(lines: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    lines
        .iter()
        .filter(|(text, _)| !text.contains(['/', '\n', '\\']) && text.len() < 90)
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

/// Appends to the log.
fn print(pod: &Pod, text: &str) {
    let mut log = fs::OpenOptions::new();
    let log = log.append(true).create(true);
    let mut log = log.open(pod.at("logs/process-log.txt")).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

fn leave_everywhere(pod: &Pod, lines: &[(String, String)]) {
    let text = text(lines);
    pod.write("logs/artifacts/plain.txt", &text);
    let mut files = vec![("content", text.as_bytes())];
    files.extend(names(lines).map(|(name, _)| (name.as_str(), &b"x"[..])));
    pod.write("logs/artifacts/packed.tgz", gz(&tarred(&files)));
    pod.write("logs/artifacts/packed.zip", zipped(&files));
    pod.write(
        "logs/artifacts/nested.zip",
        zipped(&[("inner.tgz", &gz(&tarred(&files)))]),
    );
    let metadata = json!({"value": text, "inner": [{(text.clone()): 1}]});
    pod.write("logs/artifacts/metadata.json", metadata.to_string());
    for (name, _) in names(lines) {
        pod.write(&format!("logs/artifacts/names/{name}"), "x");
    }
}

/// Waits until the live log has all of it.
async fn expect_live(pod: &Pod, masked: &str) {
    let shown = async {
        while live_log(pod).await.len() < masked.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let shown = tokio::time::timeout(PATIENCE, shown).await;
    assert_eq!(live_log(pod).await, masked, "live: {shown:?}");
}

/// The pieces in the bucket, concatenated.
async fn live_log(pod: &Pod) -> String {
    let mut all = String::new();
    for key in pod.keys().await {
        if key
            .strip_prefix(&format!("{DIR}/"))
            .is_some_and(live::is_piece)
        {
            all += &pod.text(&key).await;
        }
    }
    all
}

async fn expect_stored(pod: &Pod, lines: &[(String, String)]) {
    let masked = masked(lines);
    let artifact = |name: &str| format!("{DIR}/artifacts/{name}");
    let bytes = async |name: &str| {
        pod.object(&artifact(name))
            .await
            .read_bytes(64 << 20)
            .await
            .unwrap()
    };
    assert_eq!(
        pod.text(&format!("{DIR}/build-log.txt")).await,
        masked,
        "log"
    );
    assert_eq!(pod.text(&artifact("plain.txt")).await, masked, "artifact");
    let mut files = vec![("content".to_owned(), masked.clone())];
    files.extend(names(lines).map(|(_, name)| (name.clone(), "x".to_owned())));
    assert_eq!(untarred(&ungz(&bytes("packed.tgz").await)), files, "tgz");
    assert_eq!(unzipped(&bytes("packed.zip").await), text_of(&files), "zip");
    let nested = unzipped(&bytes("nested.zip").await).remove(0).1;
    assert_eq!(untarred(&ungz(&nested)), files, "tgz in a zip");
    let metadata = &pod.json(&format!("{DIR}/finished.json")).await["metadata"];
    assert_eq!(metadata["value"], masked.as_str(), "metadata");
    assert_eq!(
        metadata["inner"],
        json!([{(masked.clone()): 1}]),
        "names in metadata"
    );
    assert_eq!(metadata["censored"], true);
    // The file is text with further characters, so more of it is masked.
    let file = pod.json(&artifact("metadata.json")).await;
    let value = file["value"].as_str().unwrap();
    assert_eq!(
        shortened(value),
        shortened(&masked),
        "metadata as an artifact"
    );
    let keys = pod.keys().await;
    for (_, name) in names(lines) {
        assert!(
            keys.contains(&artifact(&format!("names/{}", name.replace('#', "%23")))),
            "{name}: {keys:?}"
        );
    }
}

/// Shortens each masked secret to one `X`.
fn shortened(masked: &str) -> String {
    let mut characters: Vec<char> = masked.chars().collect();
    characters.dedup_by(|a, b| *a == 'X' && *b == 'X');
    characters.into_iter().collect()
}

fn text_of(files: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let files = files.iter();
    files
        .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
        .collect()
}

fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        out.append_data(&mut header, name, *content).unwrap();
    }
    out.into_inner().unwrap()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn ungz(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(content).read_to_end(&mut out).unwrap();
    out
}

fn untarred(content: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(content);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned());
        (name.unwrap(), content)
    });
    entries.collect()
}

fn unzipped(content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(content)).unwrap();
    let files = (0..archive.len()).map(|index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().unwrap().into_owned(), content)
    });
    files.collect()
}
