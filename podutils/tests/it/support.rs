//! A pod's folders, a bucket and git repositories, all in one temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::prowjob::{GcsConfiguration, PathStrategy, ProwJobType, Pull, Refs};
use common::storage::{BucketObject, ObjectStorage, StorageCredentials};
use podutils::{JobSpec, gcs};
use tempfile::TempDir;

pub(crate) struct Pod {
    pub(crate) dir: TempDir,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("logs/artifacts")).unwrap();
        Self { dir }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    pub(crate) fn gcs(&self) -> gcs::GcsUploadOptions {
        gcs::GcsUploadOptions {
            config: GcsConfiguration {
                bucket: format!("file://{}", self.path("bucket")),
                path_strategy: Some(PathStrategy::Explicit),
                ..GcsConfiguration::default()
            },
            ..gcs::GcsUploadOptions::default()
        }
    }

    pub(crate) async fn object(&self, key: &str) -> BucketObject {
        let storage =
            ObjectStorage::open_bucket(&self.gcs().config.bucket, &StorageCredentials::default())
                .unwrap();
        storage
            .get_object(key)
            .await
            .unwrap_or_else(|e| panic!("{key}: {e}"))
    }

    pub(crate) async fn text(&self, key: &str) -> String {
        let bytes = self.object(key).await.read_bytes(64 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(crate) async fn json(&self, key: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(key).await).unwrap()
    }

    /// All keys of the bucket.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let storage =
            ObjectStorage::open_bucket(&self.gcs().config.bucket, &StorageCredentials::default())
                .unwrap();
        storage
            .list_objects("", false)
            .await
            .unwrap()
            .objects
            .into_iter()
            .map(|o| o.key)
            .collect()
    }
}

/// A presubmit `unit` on `o/r`, pull request 7.
pub(crate) fn presubmit(build_id: &str) -> JobSpec {
    let pulls = vec![Pull {
        number: 7,
        sha: "abcdef0".into(),
        ..Pull::default()
    }];
    JobSpec {
        job_type: ProwJobType::Presubmit,
        job: "unit".into(),
        build_id: build_id.into(),
        prow_job_id: "id".into(),
        refs: Some(Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            base_sha: "1234567".into(),
            pulls,
            ..Refs::default()
        }),
        ..JobSpec::default()
    }
}

/// A repository to clone from, with GitHub's `pull/N/head` refs.
pub(crate) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// With one commit on `main` that adds `README`.
    pub(crate) fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let repository = Self {
            dir: dir.to_owned(),
        };
        repository.git(&["init", "--initial-branch=main"]);
        // As on GitHub: the head of a pull request may be fetched by its id.
        repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        repository.git(&["config", "gc.auto", "0"]);
        repository.git(&["config", "maintenance.auto", "false"]);
        repository.commit("README", "hello");
        repository
    }

    pub(crate) fn uri(&self) -> String {
        format!("file://{}", self.dir.display())
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let env = BTreeMap::from([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@x"),
            ("GIT_AUTHOR_DATE", "@1700000000 +0000"),
            ("GIT_COMMITTER_NAME", "c"),
            ("GIT_COMMITTER_EMAIL", "c@x"),
            ("GIT_COMMITTER_DATE", "@1700000000 +0000"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ]);
        let output = Command::new("git")
            .args(args)
            .current_dir(&self.dir)
            .envs(env)
            .output();
        let output = output.expect("git has to be installed: apt-get install git");
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits a file on the current branch.
    pub(crate) fn commit(&self, file: &str, content: &str) -> String {
        fs::write(self.dir.join(file), content).unwrap();
        self.git(&["add", "--", file]);
        self.git(&["commit", "-m", file]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A pull request that adds a file to `main` as it is now.
    pub(crate) fn pull(&self, number: u64, file: &str, content: &str) -> Pull {
        let head = format!("refs/pull/{number}/head");
        self.git(&["checkout", "--detach", "main"]);
        let sha = self.commit(file, content);
        self.git(&["update-ref", &head, &sha]);
        self.git(&["checkout", "main"]);
        Pull {
            number,
            sha,
            ..Pull::default()
        }
    }

    pub(crate) fn refs(&self, pulls: Vec<Pull>) -> Refs {
        Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            base_sha: self.git(&["rev-parse", "main"]),
            clone_uri: self.uri(),
            pulls,
            ..Refs::default()
        }
    }
}
