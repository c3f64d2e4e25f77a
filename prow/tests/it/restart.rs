//! SIGKILL at the worst moment, then a second start: nothing is lost, nothing runs twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Program, eventually, kubectl};

const MINUTE: Duration = Duration::from_secs(60);

/// Processes of this machine whose command line contains `marker`.
fn processes(marker: &str) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-f", marker])
        .output()
        .expect("pgrep is installed: apt-get install procps");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn repository(folder: &Path, command: &str) -> PathBuf {
    let repo = folder.join("slow");
    fs::create_dir_all(&repo).unwrap();
    let jobs = format!(
        "presubmits:\n- name: slow\n  always_run: true\n  spec:\n    containers:\n    - image: x\n      command: [sh, -c, {command:?}]\n"
    );
    fs::write(repo.join("prow-jobs.yaml"), jobs).unwrap();
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "--quiet",
            "--message",
            "one",
        ],
    ] {
        let git = Command::new("git")
            .arg("-C")
            .arg(&repo)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(git.unwrap().success());
    }
    repo
}

fn prowjobs(kubeconfig: &Path) -> Vec<Value> {
    let text = kubectl(
        kubeconfig,
        &[
            "get",
            "prowjobs",
            "-o",
            "json",
            "--sort-by=.metadata.creationTimestamp",
        ],
    );
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn kubeconfig(demo: &mut Program) -> PathBuf {
    let line = demo.line_with("export KUBECONFIG=", MINUTE);
    PathBuf::from(line.split_once("KUBECONFIG=").unwrap().1)
}

#[test]
fn a_job_whose_machine_was_lost_runs_again_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    // The marker is in the command line of the job's process, and in nobody else's.
    let marker = format!("6.{:09}", std::process::id());
    let repo = repository(folder.path(), &format!("exec sleep {marker}"));
    let data = folder.path().join("data");
    let line = [
        "demo",
        "--data",
        data.to_str().unwrap(),
        "--repo",
        repo.to_str().unwrap(),
    ];

    let mut demo = Program::start(&line);
    kubeconfig(&mut demo);
    let pattern = format!("^sleep {marker}");
    let first = eventually("the job's process", MINUTE, || processes(&pattern).pop());
    demo.kill();
    assert_eq!(
        processes(&pattern),
        [first],
        "the process outlives its runner"
    );

    let mut demo = Program::start(&line);
    let kubeconfig = kubeconfig(&mut demo);
    eventually("the process is ended", MINUTE, || {
        (!processes(&pattern).contains(&first)).then_some(())
    });
    let job = eventually("the job ends", MINUTE, || {
        prowjobs(&kubeconfig)
            .into_iter()
            .next()
            .filter(|job| job["status"]["completionTime"].is_string())
    });
    assert_eq!(job["status"]["state"], "success", "{job}");
    assert_eq!(job["status"]["pod_revival_count"], 1, "{job}");
    drop(demo);
    // The second pull request's job may still run when the demo is killed.
    for process in processes(&pattern) {
        Command::new("kill")
            .args(["-9", &process.to_string()])
            .status()
            .unwrap();
    }
}
