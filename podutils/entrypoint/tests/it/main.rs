//! The entrypoint as a pod sees it: a binary, an environment variable, files and signals.

mod ends;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Pod {
    dir: TempDir,
    options: Value,
}

impl Pod {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let options = json!({
            "timeout": 20_000_000_000_u64, "grace_period": 5_000_000_000_u64,
            "artifact_dir": path("artifacts"),
            "args": ["sh", "-c", script],
            "process_log": path("process-log.txt"), "marker_file": path("marker-file.txt"),
            "metadata_file": path("artifacts/metadata.json"),
        });
        Self { dir, options }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.options[key] = value.into();
        self
    }

    fn millis(self, key: &str, value: u64) -> Self {
        self.with(key, value * 1_000_000)
    }

    fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_entrypoint"))
            .env("ENTRYPOINT_OPTIONS", self.options.to_string())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self) -> Output {
        self.start().wait_with_output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// Waits for a file that the script writes.
    fn await_file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        eventually(&format!("{name} appears"), || path.exists());
        self.read(name)
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The message in a line of the entrypoint's own.
fn said(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["component"], "entrypoint");
    line["msg"].as_str().unwrap().to_owned()
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|s| !s.contains(") Z "))
}

#[test]
fn output_goes_to_stdout_and_to_the_log_and_the_code_to_the_marker() {
    for (script, code) in [
        ("echo out; echo err >&2", 0),
        ("echo out; echo err >&2; exit 7", 7),
    ] {
        let pod = Pod::new(script);
        let output = pod.run();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(pod.read("marker-file.txt"), code.to_string());
        assert_eq!(pod.read("process-log.txt"), "out\nerr\n");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "out\nerr\n");
        assert!(pod.dir.path().join("artifacts").is_dir());
    }
}

#[test]
fn a_process_that_a_signal_ends_leaves_minus_one() {
    let pod = Pod::new("printf unfinished; kill -9 $$");
    assert_eq!(pod.run().status.code(), Some(255));
    assert_eq!(pod.read("marker-file.txt"), "-1");
    let log = pod.read("process-log.txt");
    let own = said(log.strip_prefix("unfinished\n").unwrap());
    assert_eq!(own, "Process was ended by SIGKILL");
}

#[test]
fn a_command_that_does_not_exist_is_told_in_the_log() {
    let pod = Pod::new("").with("args", json!(["/no/such/command"]));
    assert_eq!(pod.run().status.code(), Some(127));
    assert_eq!(pod.read("marker-file.txt"), "127");
    assert!(pod.read("process-log.txt").contains("/no/such/command"));
}

#[test]
fn always_zero_keeps_the_code_in_the_marker() {
    let pod = Pod::new("exit 3").with("always_zero", true);
    assert_eq!(pod.run().status.code(), Some(0));
    assert_eq!(pod.read("marker-file.txt"), "3");
}

#[test]
fn a_timeout_asks_first() {
    let pod =
        Pod::new("trap 'echo bye; exit 5' INT; while :; do sleep 0.1; done").millis("timeout", 300);
    assert_eq!(pod.run().status.code(), Some(127));
    assert_eq!(pod.read("marker-file.txt"), "127");
    let log = pod.read("process-log.txt");
    assert!(
        log.contains("Process did not finish before 300ms timeout"),
        "{log}"
    );
    assert!(log.contains("bye"), "{log}");
    assert!(
        log.contains("Process gracefully exited before 5s grace period"),
        "{log}"
    );
}

#[test]
fn a_timeout_kills_who_does_not_listen() {
    let pod = Pod::new("trap '' INT; echo $$ > pid; while :; do sleep 0.1; done")
        .millis("timeout", 300)
        .millis("grace_period", 300);
    assert_eq!(pod.run().status.code(), Some(127));
    assert!(
        pod.read("process-log.txt")
            .contains("Process did not exit before 300ms grace period")
    );
    assert!(!is_running(&pod.read("pid")));
}

#[test]
fn propagate_error_code_reports_the_process_own_code() {
    let pod = Pod::new("trap 'exit 5' INT; while :; do sleep 0.1; done")
        .millis("timeout", 300)
        .with("propagate_error_code", true);
    assert_eq!(pod.run().status.code(), Some(5));
    assert_eq!(pod.read("marker-file.txt"), "5");
}

#[test]
fn sigterm_and_sigint_abort() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let pod = Pod::new("touch ready; sleep 30");
        let child = pod.start();
        pod.await_file("ready");
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let start = Instant::now();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
        assert!(start.elapsed() < Duration::from_secs(4));
        assert_eq!(pod.read("marker-file.txt"), "130");
        assert!(
            pod.read("process-log.txt")
                .contains(&format!("Entrypoint received interrupt: {signal}"))
        );
    }
}

#[test]
fn grandchildren_hear_the_signal_too() {
    let pod = Pod::new(
        "sh -c 'trap \"echo heard > heard; exit\" TERM INT; touch ready; while :; do sleep 0.1; done'; true",
    );
    let child = pod.start();
    pod.await_file("ready");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    pod.await_file("heard");
}

#[test]
fn a_daemon_that_holds_the_output_open_does_not_hold_the_job() {
    let pod = Pod::new("sleep 60 & echo $! > pid; echo done; exit 4");
    let start = Instant::now();
    let output = pod.run();
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(output.status.code(), Some(4));
    assert!(pod.read("process-log.txt").starts_with("done\n"));
    assert!(!is_running(&pod.read("pid")), "the daemon survived the job");
}

#[test]
fn a_daemon_in_a_session_of_its_own_is_swept_too() {
    let pod = Pod::new(
        "setsid sh -c 'echo $$ > pid; exec sleep 60' >/dev/null 2>&1 </dev/null & while ! [ -s pid ]; do sleep 0.05; done",
    );
    assert_eq!(pod.run().status.code(), Some(0));
    let pid = pod.read("pid");
    eventually("the daemon is gone", || !is_running(&pid));
}

#[test]
fn what_a_late_child_writes_is_kept() {
    let pod = Pod::new("(sleep 0.3; echo late) & echo early");
    assert_eq!(pod.run().status.code(), Some(0));
    assert_eq!(pod.read("process-log.txt"), "early\nlate\n");
}

#[test]
fn a_large_output_arrives_whole() {
    let pod = Pod::new("yes 0123456789abcdef | head -n 200000");
    let output = pod.run();
    assert_eq!(output.stdout.len(), 200_000 * 17);
    assert_eq!(pod.read("process-log.txt").len(), 200_000 * 17);
}

#[test]
fn the_previous_container_decides() {
    for (previous, code) in [("0", 0), ("1", 1130)] {
        let pod = Pod::new("touch ran");
        let marker = pod.dir.path().join("previous");
        let pod = pod.with("previous_marker", marker.to_str().unwrap());
        let child = pod.start();
        std::thread::sleep(Duration::from_millis(150));
        std::fs::write(&marker, previous).unwrap();
        child.wait_with_output().unwrap();
        assert_eq!(pod.read("marker-file.txt"), code.to_string());
        assert_eq!(pod.dir.path().join("ran").exists(), code == 0);
    }
}

#[test]
fn signals_are_not_blocked_for_the_process() {
    let pod = Pod::new("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    pod.run();
    for line in pod.read("process-log.txt").lines() {
        // Only the classic 31: posix_spawn of glibc always ignores its own two.
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
}

#[test]
fn copy_mode_places_a_working_binary() {
    let dir = tempfile::tempdir().unwrap();
    let destination = dir.path().join("tools/entrypoint");
    let status = Command::new(env!("CARGO_BIN_EXE_entrypoint"))
        .arg("--copy-mode-only")
        .arg(format!("-copy-destination={}", destination.display()))
        .status()
        .unwrap();
    assert!(status.success());
    let output = Command::new(&destination)
        .arg("--bogus=1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "entrypoint: unknown flag: -bogus\n"
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("tools")).unwrap().count(),
        1
    );
}

#[test]
fn flags_do_what_the_environment_does() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_entrypoint"))
        .current_dir(dir.path())
        .args([
            "--process-log=log.txt",
            "-marker-file",
            "marker.txt",
            "--timeout=5s",
            "--",
            "sh",
            "-c",
            "echo hi; exit 2",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("marker.txt")).unwrap(),
        "2"
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("log.txt")).unwrap(),
        "hi\n"
    );
}
