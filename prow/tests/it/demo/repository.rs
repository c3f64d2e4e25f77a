//! `prow demo --repo`: the user's own repository.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::MINUTE;
use crate::support::Program;

/// A user's repository, with one job that passes.
struct Repository {
    folder: tempfile::TempDir,
}

const JOB: &str = "- name: here\n  always_run: true\n  decorate: true\n  spec:\n    containers:\n    - image: x\n      command: [cat, README]\n";

impl Repository {
    /// Two commits, the second with `job_file`.
    fn with(job_file: &str) -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(this.path().join("docs/deep")).unwrap();
        this.git(&["init", "--quiet", "--initial-branch", "main"]);
        this.write("README", "hello\n");
        this.write("docs/deep/note", "note\n");
        this.commit("one");
        this.write(job_file, &format!("presubmits:\n{JOB}"));
        this.commit("two");
        this
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mine")
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn state(&self) -> String {
        let output = Command::new("sh")
            .args(["-c", "find . -type f | sort | xargs sha256sum"])
            .current_dir(self.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What the demo prints for a repository that passes.
fn demonstrate(path: &Path) -> String {
    let mut demo = Program::start(&["demo", "--exit", "--repo", path.to_str().unwrap()]);
    let (code, printed) = demo.end(MINUTE);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("local/mine/pull/1"), "{printed}");
    assert!(printed.contains("here               success"), "{printed}");
    printed
}

#[test]
fn a_repository_of_the_user_is_only_read() {
    let repo = Repository::with("prow-jobs.yaml");
    repo.write("docs/deep/note", "changed\n");
    repo.write("new file", "x\n");
    let before = repo.state();
    let printed = demonstrate(&repo.path());
    assert_eq!(repo.state(), before);
    let told = "Not committed, so not in the demo: docs/deep/note, new file.";
    assert!(printed.contains(told), "{printed}");
}

#[test]
fn jobs_are_found_wherever_prow_looks_for_them() {
    let repo = Repository::with(".prow.yaml");
    assert!(!demonstrate(&repo.path()).contains("note "));
    let repo = Repository::with(".prow/ci/jobs.yaml");
    repo.write("prow-jobs.yaml", "not: [used");
    repo.commit("three");
    // A folder within the repository works, too.
    let printed = demonstrate(&repo.path().join("docs/deep"));
    let told = ".prow is read; prow-jobs.yaml beside it is ignored.";
    assert!(printed.contains(told), "{printed}");
}

#[test]
fn a_shallow_clone_will_do() {
    let repo = Repository::with("prow-jobs.yaml");
    for depth in ["1", "2"] {
        let shallow = Repository {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(shallow.path()).unwrap();
        repo.git(&["branch", "--force", "copy"]);
        let source = format!("file://{}", repo.path().display());
        shallow.git(&[
            "clone", "--quiet", "--depth", depth, "--branch", "copy", &source, ".",
        ]);
        let printed = demonstrate(&shallow.path());
        assert!(printed.contains("is a shallow clone"), "{printed}");
    }
}

#[test]
fn a_repository_that_is_none_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::fs::create_dir(folder.path().join("plain")).unwrap();
    let environment = [("TMPDIR", temporary.to_str().unwrap())];
    for (name, commands, says) in [
        ("typo", "", "No such file or directory"),
        ("plain", "", "not a git repository"),
        ("empty", "git init -q .", "it has no commit yet"),
        (
            "jobless",
            "git init -q . && git commit -q --allow-empty -m one && touch prow-jobs.yaml",
            "prow-jobs.yaml is there and not committed: commit it",
        ),
    ] {
        if !commands.is_empty() {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let identity = [
                "AUTHOR_NAME",
                "AUTHOR_EMAIL",
                "COMMITTER_NAME",
                "COMMITTER_EMAIL",
            ]
            .map(|part| (format!("GIT_{part}"), "t"));
            let status = Command::new("sh")
                .args(["-c", commands])
                .current_dir(folder.path().join(name))
                .envs(identity)
                .status()
                .unwrap();
            assert!(status.success());
        }
        let path = folder.path().join(name);
        let flags = ["demo", "--exit", "--repo", path.to_str().unwrap()];
        let (code, printed) = Program::with_environment(&flags, &environment).end(MINUTE);
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains(path.to_str().unwrap()), "{printed}");
        assert!(printed.contains(says), "{printed}");
        let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_broken_configuration_is_told_as_on_the_pull_request() {
    let repo = Repository::with("prow-jobs.yaml");
    repo.git(&["rm", "--quiet", "prow-jobs.yaml"]);
    let broken = JOB.replace("decorate", "decorated");
    repo.write(".prow.yaml", &format!("presubmits:\n{broken}"));
    repo.commit("three");
    let path = repo.path();
    let flags = ["demo", "--exit", "--repo", path.to_str().unwrap()];
    let (code, printed) = Program::start(&flags).end(MINUTE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains(".prow.yaml, line 4"), "{printed}");
    assert!(printed.contains("did you mean \"decorate\"?"), "{printed}");
    assert!(!printed.contains("<!--"), "{printed}");
}

/// `repos` is how paths of GitHub's API begin.
#[test]
fn an_organisation_that_no_account_can_be_is_left_out() {
    let repo = Repository::with("prow-jobs.yaml");
    repo.git(&["remote", "add", "origin", "https://git.host/repos/mine.git"]);
    demonstrate(&repo.path());
}
