use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use super::*;

/// A bare repository in which the commits `one` and `other` have changed the same `files`: one
/// has deleted them, the other has written something else into them.
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

    async fn merge(&self, limit: Duration) -> anyhow::Result<Merge> {
        let git = Git {
            dir: self.0.path().to_owned(),
            url: "http://127.0.0.1:1/o/r.git",
            credentials: None,
        };
        let [base, head] = ["one", "other"].map(|name| self.run(&["rev-parse", name], ""));
        merge(&git, &base, &head, limit).await
    }
}

#[tokio::test]
async fn conflicts_beyond_the_limit_are_conflicts() {
    let files: Vec<_> = (0..6_000)
        .map(|n| format!("{n:04}-{}", "x".repeat(200)))
        .collect();
    let merged = Repository::new(&files).merge(TRUSTED.merge).await.unwrap();
    let Merge::Conflict(named) = merged else {
        panic!("{merged:?}");
    };
    assert_eq!(named, files[..MAX_CONFLICTS]);
}

#[tokio::test]
async fn a_conflict_names_its_files() {
    let files = ["a b.txt", "dir/b"].map(str::to_owned);
    let merged = Repository::new(&files).merge(TRUSTED.merge).await.unwrap();
    assert_eq!(merged, Merge::Conflict(files.to_vec()));
}

#[tokio::test]
async fn what_takes_too_long_is_unreadable() {
    // Whoever connects waits for ever.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = Repository::new(&["a".to_owned()]);
    let git = Git {
        dir: repository.0.path().to_owned(),
        url: &format!("http://{}/o/r.git", silent.local_addr().unwrap()),
        credentials: None,
    };
    let wanted = vec![("one", "refs/prow/base".to_owned())];
    let limit = Duration::from_millis(100);
    let fetched = fetch(&git, &mut Present::new(), wanted, limit).await;
    let error = fetched.unwrap_err();
    let Some(Unreadable { told, .. }) = error.downcast_ref() else {
        panic!("{error:#}");
    };
    assert!(told.contains("git fetch took longer than"), "{told}");
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
        assert_eq!(conflicts(printed.as_bytes()), names, "{printed:?}");
    }
}

#[test]
fn a_head_nobody_vouches_for_gets_less_time() {
    let head = |trusted| Head {
        number: 7,
        sha: String::new(),
        trusted,
    };
    let strict = Limits::of(Some(&head(false)));
    for generous in [Limits::of(Some(&head(true))), Limits::of(None)] {
        assert!(strict.fetch < generous.fetch);
        assert!(strict.merge < generous.merge);
        assert!(strict.files < generous.files);
    }
}
