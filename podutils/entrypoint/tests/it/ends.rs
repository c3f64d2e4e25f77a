//! However the entrypoint ends, the sidecar can tell.

use std::process::{Command, Stdio};

use entrypoint::marker::{MarkerState, read_marker_state};
use serde_json::json;

use crate::{Pod, eventually};

fn state(pod: &Pod) -> MarkerState {
    read_marker_state(&pod.dir.path().join("marker-file.txt")).unwrap()
}

#[test]
fn a_killed_entrypoint_lets_go_though_its_process_lives_on() {
    let pod = Pod::new("echo $$ > pid; sleep 0.5; kill -9 $PPID; exec sleep 100");
    let mut entrypoint = pod.start();
    let pid = pod.await_file("pid");
    assert_eq!(state(&pod), MarkerState::Open);
    entrypoint.wait().unwrap();
    eventually("nobody holds the lock", || {
        state(&pod) == MarkerState::Abandoned
    });
    assert!(crate::is_running(&pid));
    Command::new("kill")
        .args(["-9", pid.trim()])
        .status()
        .unwrap();
}

#[test]
fn a_previous_container_that_was_killed_has_failed() {
    let first = Pod::new("kill -9 $PPID");
    first.start().wait().unwrap();
    let marker = first.dir.path().join("marker-file.txt");
    let second = Pod::new("echo never").with("previous_marker", marker.to_str().unwrap());
    assert_eq!(second.run().status.code(), Some(106));
    assert_eq!(state(&second), MarkerState::Ended(1130));
}

#[test]
fn options_that_are_no_json_end_with_a_log_and_a_marker() {
    let pod = Pod::new("true");
    let broken = pod.options.to_string().replace("true", "say \"hi\"");
    let output = Command::new(env!("CARGO_BIN_EXE_entrypoint"))
        .env("ENTRYPOINT_OPTIONS", broken)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(state(&pod), MarkerState::Ended(127));
    let log = pod.read("process-log.txt");
    assert!(log.contains("ENTRYPOINT_OPTIONS is not valid"), "{log}");
}

#[test]
fn words_of_their_own_reach_the_process_and_their_variables_do_not() {
    let pod = Pod::new("").with("args", json!(["sh", "-c", ""]));
    let script = "echo 'say \"hi\"'; env | grep -c ENTRYPOINT_";
    let status = Command::new(env!("CARGO_BIN_EXE_entrypoint"))
        .env("ENTRYPOINT_OPTIONS", "{")
        .env("ENTRYPOINT_PLAIN_OPTIONS", pod.options.to_string())
        .env("ENTRYPOINT_ARGUMENT_2", script)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(pod.read("process-log.txt"), "say \"hi\"\n1\n");
}

/// Runs a job on a small disk and returns exit code, marker and log.
fn on_a_small_disk(script: &str) -> (String, String, String) {
    let disk = tempfile::tempdir().unwrap();
    let path = |name: &str| disk.path().join(name).to_str().unwrap().to_owned();
    let options = json!({
        "timeout": 20_000_000_000_u64, "grace_period": 5_000_000_000_u64,
        "args": ["sh", "-c", script.replace("LARGE", &path("large"))],
        "process_log": path("process-log.txt"), "marker_file": path("marker-file.txt"),
        "metadata_file": "",
    });
    let script = "mount -t tmpfs -o size=64k tmpfs \"$1\" && \"$2\" > /dev/null; echo $?; \
                  cat \"$1/marker-file.txt\"; echo; cat \"$1/process-log.txt\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", script, "sh"])
        .arg(disk.path())
        .arg(env!("CARGO_BIN_EXE_entrypoint"))
        .env("ENTRYPOINT_OPTIONS", options.to_string())
        .output()
        .expect("unshare has to be installed: apt-get install util-linux");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.splitn(3, '\n').map(str::to_owned);
    let mut next = || parts.next().unwrap();
    (next(), next(), next())
}

/// The space for the marker and the log's first lines is reserved before the process can fill
/// the disk.
#[test]
fn a_full_disk_has_room_for_the_marker_and_a_line() {
    let (code, marker, log) = on_a_small_disk("cat /dev/zero > LARGE; echo filled; exit 3");
    assert_eq!((code.as_str(), marker.as_str()), ("3", "3"), "{log}");
    assert!(log.ends_with("No space left on device\nfilled\n"), "{log}");
}

#[test]
fn a_log_that_fills_the_disk_ends_the_job_and_says_so() {
    for script in ["yes", "trap 'exit 0' INT; while echo line; do :; done"] {
        let (code, marker, log) = on_a_small_disk(script);
        assert_eq!((code.as_str(), marker.as_str()), ("1", "1"));
        let said = crate::said(log.lines().next_back().unwrap());
        assert!(
            said.starts_with("The process log cannot be written, so the job ends here: No space"),
            "{said}"
        );
    }
}
