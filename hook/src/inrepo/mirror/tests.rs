use std::{
    fmt::Write as _,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use futures::StreamExt as _;

use super::*;

/// A bare repository in which the commits `one` and `other` change the same `files`: one deletes
/// them, the other writes something else into them.
struct Repository(TempDir);

impl Repository {
    fn new(files: &[String]) -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.run(&["init", "--quiet", "--bare"], "");
        let mut script = String::from("blob\nmark :1\ndata 2\na\n\nblob\nmark :2\ndata 2\nb\n\n");
        let mut commit = |name: &str, from: &str, change: &dyn Fn(&str) -> String| {
            let _ = write!(
                script,
                "commit refs/heads/{name}\ncommitter x <x@example.com> 0 +0000\ndata 0\n{from}"
            );
            for file in files {
                script.push_str(&change(file));
            }
            script.push('\n');
        };
        commit("start", "", &|file| format!("M 100644 :1 {file}\n"));
        let from = "from refs/heads/start\n";
        commit("one", from, &|file| format!("D {file}\n"));
        commit("other", from, &|file| format!("M 100644 :2 {file}\n"));
        repository.run(&["fast-import", "--quiet"], &script);
        repository
    }

    fn run(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new("git")
            .current_dir(self.0.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git is installed (apt-get install git)");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn merge(&self, limit: Duration) -> anyhow::Result<MergeOutcome> {
        let git = MirrorGit {
            dir: self.0.path().to_owned(),
            url: "http://127.0.0.1:1/o/r.git",
            credentials: None,
            gits: &Arc::default(),
        };
        let [base, head] = ["one", "other"].map(|name| self.run(&["rev-parse", name], ""));
        merge_tree(&git, &base, &head, limit).await
    }
}

#[tokio::test]
async fn conflicts_beyond_the_limit_are_conflicts() {
    let files: Vec<_> = (0..6_000)
        .map(|n| format!("{n:04}-{}", "x".repeat(200)))
        .collect();
    let merged = Repository::new(&files)
        .merge(TRUSTED_TIMEOUTS.merge)
        .await
        .unwrap();
    let MergeOutcome::Conflict(named) = merged else {
        panic!("{merged:?}");
    };
    assert_eq!(named, files[..MAX_CONFLICTS]);
}

#[tokio::test]
async fn a_conflict_names_its_files() {
    let files = ["a b.txt", "dir/b"].map(str::to_owned);
    let merged = Repository::new(&files)
        .merge(TRUSTED_TIMEOUTS.merge)
        .await
        .unwrap();
    assert_eq!(merged, MergeOutcome::Conflict(files.to_vec()));
}

#[tokio::test]
async fn nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let git = MirrorGit {
        dir: folder.path().join("o/r.git"),
        url: "http://127.0.0.1:1/o/r.git",
        credentials: None,
        gits: &Arc::default(),
    };
    let mode = || std::fs::metadata(&git.dir).unwrap().permissions().mode() & 0o777;
    for time in ["new", "from before"] {
        fetch_base_and_head(&git, &mut FetchedCommits::new(), &"0".repeat(40), None)
            .await
            .unwrap_err();
        assert_eq!(mode(), 0o700, "{time}");
        std::fs::set_permissions(&git.dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn what_takes_too_long_is_unreadable() {
    // The server accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = Repository::new(&["a".to_owned()]);
    let git = MirrorGit {
        dir: repository.0.path().to_owned(),
        url: &format!("http://{}/o/r.git", silent.local_addr().unwrap()),
        credentials: None,
        gits: &Arc::default(),
    };
    let wanted = vec![("one", "refs/prow/base".to_owned())];
    let limit = Duration::from_millis(100);
    let fetched = fetch_commits(&git, &mut FetchedCommits::new(), wanted, limit).await;
    let error = fetched.unwrap_err();
    let Some(UnreadableRepository { told, .. }) = error.downcast_ref() else {
        panic!("{error:#}");
    };
    assert!(told.contains("git fetch took longer than"), "{told}");
}

fn upload_pack(repository: &Path, flags: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["upload-pack", "--stateless-rpc"])
        .args(flags)
        .arg(repository)
        .env("GIT_PROTOCOL", "version=2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// Serves the repository over HTTP, and sends nothing more after `limit` bytes of an answer.
async fn serve(repository: &Path, limit: usize) -> String {
    let mut refs = b"001e# service=git-upload-pack\n0000".to_vec();
    refs.extend(upload_pack(repository, &["--advertise-refs"], b""));
    let repository = repository.to_owned();
    let answer = async move |asked: axum::body::Bytes| {
        let mut answer = upload_pack(&repository, &[], &asked);
        let rest = match answer.len() > limit {
            true => futures::stream::pending().left_stream(),
            false => futures::stream::empty().right_stream(),
        };
        answer.truncate(limit);
        let start = futures::stream::once(async { Ok::<_, std::io::Error>(answer) });
        let kind = [("content-type", "application/x-git-upload-pack-result")];
        (kind, axum::body::Body::from_stream(start.chain(rest)))
    };
    let kind = [(
        "content-type",
        "application/x-git-upload-pack-advertisement",
    )];
    let refs = axum::routing::get(async move || (kind, refs));
    let router = axum::Router::new()
        .route("/o/r.git/info/refs", refs)
        .route("/o/r.git/git-upload-pack", axum::routing::post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/o/r.git", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_is_ended_at_its_limit_leaves_nothing_half_written() {
    let origin = Repository::new(&["a".to_owned()]);
    // Content that a pack cannot compress.
    let mut seed = 1_u64;
    let noise: String = (0..400_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x}", seed >> 32)
        })
        .collect();
    let script = format!(
        "blob\nmark :1\ndata {}\n{noise}\ncommit refs/heads/large\ncommitter x <x@example.com> 0 +0000\ndata 0\nM 100644 :1 f\n\n",
        noise.len()
    );
    origin.run(&["fast-import", "--quiet"], &script);
    let sha = origin.run(&["rev-parse", "large"], "");
    let url = serve(origin.0.path(), 1 << 20).await;

    let mirror = tempfile::tempdir().unwrap();
    let git = MirrorGit {
        dir: mirror.path().to_owned(),
        url: &url,
        credentials: None,
        gits: &Arc::default(),
    };
    git.run_git(&["init", "--quiet", "--bare"], LOCAL_TIMEOUT)
        .await
        .unwrap();
    let half = || {
        let packs = std::fs::read_dir(mirror.path().join("objects/pack")).unwrap();
        let names = packs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tmp_")).count()
    };
    let wanted = vec![(sha.as_str(), "refs/prow/base".to_owned())];
    let mut present = FetchedCommits::new();
    let fetching = fetch_commits(&git, &mut present, wanted, Duration::from_secs(5));
    let seen = async {
        while half() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (fetched, ()) = tokio::join!(fetching, seen);
    let error = fetched.unwrap_err();
    assert!(
        format!("{error:#}").contains("took longer than"),
        "{error:#}"
    );
    assert_eq!(half(), 0);
}

#[test]
fn names_of_files_in_conflict_are_read() {
    let many = format!("0123\0{}", "f\0".repeat(1_000));
    for (printed, names) in [
        ("", &[][..]),
        ("0123\0", &[]),
        ("0123\0a b\0c\nd\0", &["a b", "c\nd"]),
        ("0123\0a\0b\0\0", &["a", "b"]),
        ("0123\0a\0cut o", &["a"]),
        (&many, &["f"; MAX_CONFLICTS]),
    ] {
        assert_eq!(parse_conflicts(printed.as_bytes()), names, "{printed:?}");
    }
}

#[test]
fn a_head_nobody_vouches_for_gets_less_time() {
    let head = |trusted| PullRequestHead {
        number: 7,
        sha: String::new(),
        trusted,
    };
    let strict = GitTimeouts::for_head(Some(&head(false)));
    for generous in [
        GitTimeouts::for_head(Some(&head(true))),
        GitTimeouts::for_head(None),
    ] {
        assert!(strict.fetch < generous.fetch);
        assert!(strict.merge < generous.merge);
        assert!(strict.files < generous.files);
    }
}
