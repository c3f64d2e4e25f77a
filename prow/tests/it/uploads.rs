//! Deck is killed while pods upload to its storage: what they store arrives all the same, and no
//! object is ever incomplete.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use common::storage::{ObjectStorage, StorageCredentials, token};
use jiff::{SignedDuration, Timestamp};
use local::apiserver::ApiServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    restart::{cluster, listens},
    support::{Program, eventually, free_port},
};

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &[u8] = b"a key of plank and deck";
/// The folder of the run, and the number of its artifacts.
const RUN: &str = "logs/unit/7";
const ARTIFACTS: usize = 300;
/// Longer than the replacement of a pod takes, and than a few quick retries last.
const OUTAGE: Duration = Duration::from_secs(16);

/// A cluster, and a Deck that can be killed and started again.
struct Installation {
    folder: TempDir,
    kubeconfig: PathBuf,
    port: u16,
    _api: ApiServer,
}

impl Installation {
    async fn new() -> Self {
        common::service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), KEY).unwrap();
        fs::write(folder.path().join("config.yaml"), "{}").unwrap();
        let (api, kubeconfig, _) = cluster(folder.path()).await;
        Self {
            folder,
            kubeconfig,
            port: free_port(),
            _api: api,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts Deck, always on the same port and folder.
    async fn deck(&self) -> Program {
        let arguments = [
            "deck".to_owned(),
            format!("--port={}", self.port),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--config-path={}", self.path("config.yaml")),
            format!("--storage-dir={}", self.path("storage")),
            format!("--storage-key-file={}", self.path("key")),
            format!("--health-port={}", free_port()),
            format!("--metrics-port={}", free_port()),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let deck = Program::start(&arguments);
        listens(self.port).await;
        deck
    }

    /// Deck's storage, read without Deck.
    fn storage(&self) -> ObjectStorage {
        let url = format!("file://{}", self.path("storage"));
        ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap()
    }

    /// The sidecar of a run that has ended and left these files.
    fn sidecar(&self, files: &BTreeMap<String, Vec<u8>>) -> Program {
        let logs = self.folder.path().join("pod");
        for (name, content) in files {
            let file = logs.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        fs::write(logs.join("marker"), "0").unwrap();
        fs::write(logs.join("token"), bearer()).unwrap();
        let at = |name: &str| logs.join(name).display().to_string();
        let options = json!({
            "gcs_options": {
                "items": [at("artifacts")], "path_strategy": "explicit", "dry_run": false,
                "bucket": format!("http://127.0.0.1:{}/storage", self.port),
                "storage_token_file": at("token"),
            },
            "entries": [{
                "args": ["true"], "container_name": "test", "process_log": at("build-log.txt"),
                "marker_file": at("marker"), "metadata_file": at("metadata.json"),
            }],
            "censoring_options": {},
        });
        let spec = json!({"type": "periodic", "job": "unit", "buildid": "7", "prowjobid": "pj"});
        let environment = [
            ("SIDECAR_OPTIONS", options.to_string()),
            ("JOB_SPEC", spec.to_string()),
        ];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        Program::with_environment(&["sidecar"], &environment)
    }
}

/// The run's token for Deck's storage.
fn bearer() -> String {
    let hour = SignedDuration::from_hours(1);
    token::sign_token(KEY, RUN, Timestamp::now().saturating_add(hour).unwrap())
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
}

async fn content(storage: &ObjectStorage, key: &str) -> Vec<u8> {
    let object = storage.get_object(key).await;
    let object = object.unwrap_or_else(|error| panic!("{key}: {error}"));
    object.read_bytes(128 << 20).await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_deck_was_killed_under_arrive_when_it_is_back() {
    let installation = Installation::new().await;
    let mut files: BTreeMap<String, Vec<u8>> = (0..ARTIFACTS)
        .map(|n| {
            let name = format!("artifacts/{n:03}.bin");
            (name, vec![u8::try_from(n % 256).unwrap(); 64 << 10])
        })
        .collect();
    files.insert("artifacts/large.bin".into(), vec![7; 32 << 20]);
    files.insert("build-log.txt".into(), b"line\n".repeat(10_000));
    let mut deck = installation.deck().await;
    let mut sidecar = installation.sidecar(&files);
    let artifacts = PathBuf::from(installation.path("storage")).join(format!("{RUN}/artifacts"));
    eventually("some artifacts are there", MINUTE, || {
        (count(&artifacts) >= 20).then_some(())
    });
    deck.kill();
    let before = count(&artifacts);
    assert!(before <= ARTIFACTS, "killed too late: {before}");
    sidecar.line_with("upload failed, trying again", MINUTE);
    std::thread::sleep(OUTAGE);

    let _deck = installation.deck().await;
    let (code, printed) = sidecar.end(2 * MINUTE);
    assert_eq!(code, Some(0), "{printed}");
    let storage = installation.storage();
    for (name, expected) in &files {
        let stored = content(&storage, &format!("{RUN}/{name}")).await;
        assert!(stored == *expected, "{name}: {} bytes", stored.len());
    }
    let finished = content(&storage, &format!("{RUN}/finished.json")).await;
    let finished: Value = serde_json::from_slice(&finished).unwrap();
    assert_eq!(finished["result"], "SUCCESS");
    assert_eq!(finished["metadata"], json!({"censored": false}));
    assert_eq!(content(&storage, "logs/unit/latest-build.txt").await, b"7");
}

/// A version of the object that is written repeatedly; its content type names the version.
fn version(n: u8) -> (String, Vec<u8>) {
    let content = vec![n; (4 << 20) + 1000 * usize::from(n)];
    (format!("text/x-{n}"), content)
}

/// Begins to PUT a version: sends the header, and this many bytes of the body.
fn put(port: u16, key: &str, n: u8, bytes: usize) -> TcpStream {
    let (kind, body) = version(n);
    let (length, token) = (body.len(), bearer());
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "PUT /storage/{key} HTTP/1.1\r\nHost: deck\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..bytes.min(length)]).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_deck_was_killed_under_leaves_the_old_object_or_the_new_one() {
    let installation = Installation::new().await;
    let key = format!("{RUN}/artifacts/again.bin");
    let whole = usize::MAX;
    // How many bytes of the body are sent, and after how many milliseconds Deck is killed.
    let rounds = [
        (0, 0),
        (2 << 20, 50),
        (4 << 20, 50),
        (whole, 0),
        (whole, 2),
        (whole, 5),
        (whole, 10),
        (whole, 20),
        (2 << 20, 0),
        (whole, 40),
    ];
    let mut deck = installation.deck().await;
    let mut answer = String::new();
    let mut stream = put(installation.port, &key, 0, whole);
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    let mut there = 0;
    for ((bytes, wait), next) in rounds.into_iter().zip(1..) {
        let stream = put(installation.port, &key, next, bytes);
        std::thread::sleep(Duration::from_millis(wait));
        deck.kill();
        drop(stream);
        let storage = installation.storage();
        let object = storage.get_object(&key).await.unwrap();
        let kind = object.attributes.content_type.clone().unwrap();
        let stored = object.read_bytes(128 << 20).await.unwrap();
        let found = [there, next]
            .into_iter()
            .find(|n| version(*n) == (kind.clone(), stored.to_vec()));
        let Some(found) = found else {
            panic!(
                "round {next}: {kind}, {} bytes of {}",
                stored.len(),
                stored[0]
            );
        };
        assert!(bytes == whole || found == there, "a part counts as nothing");
        let listing = storage.list_objects("", false).await.unwrap();
        let keys: Vec<_> = listing.objects.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, [key.as_str()], "round {next}");
        there = found;
        deck = installation.deck().await;
    }
    let (kind, last) = version(99);
    let mut stream = put(installation.port, &key, 99, whole);
    answer.clear();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let object = installation.storage().get_object(&key).await.unwrap();
    assert_eq!(object.attributes.content_type, Some(kind));
    assert!(content(&installation.storage(), &key).await == last);
}
