//! `prow demo` as a user sees it.

mod play;
mod repository;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    contributor::Contributor,
    support::{Program, eventually, free_port, kubectl, try_kubectl},
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn curl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--write-out",
            "\n%{http_code}",
        ])
        .args(arguments)
        .output()
        .expect("curl is installed: apt-get install curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), code.to_owned())
}

pub(crate) fn kubeconfig(demo: &mut Program) -> PathBuf {
    let line = demo.line_with("export KUBECONFIG=", MINUTE);
    PathBuf::from(line.split_once("KUBECONFIG=").unwrap().1)
}

/// Name and state of each job.
fn jobs(kubeconfig: &Path) -> Vec<(String, String)> {
    let columns = "jsonpath={range .items[*]}{.spec.job} {.status.state}{\"\\n\"}{end}";
    let text = kubectl(kubeconfig, &["get", "prowjobs", "-o", columns]);
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(job, state)| (job.to_owned(), state.to_owned()))
        .collect()
}

fn count(jobs: &[(String, String)], name: &str, state: &str) -> usize {
    jobs.iter()
        .filter(|(job, found)| job == name && found == state)
        .count()
}

#[test]
fn ends_by_itself_with_the_table_it_expects() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    // In a folder that was used, it goes on with a new pull request.
    for number in 1..=2 {
        let mut demo = Program::start(&["demo", "--exit", "--data", data]);
        let (code, printed) = demo.end(MINUTE);
        assert_eq!(code, Some(0), "{printed}");
        for expected in [
            &format!("Opened #{number} "),
            "unit-test          success    success",
            "fails-on-purpose   failure    failure",
            "style              success    success",
            "docs               not run    not run",
            "publish            success    success",
        ] {
            assert!(
                printed.contains(expected),
                "{expected:?} is not in\n{printed}"
            );
        }
    }
}

#[test]
fn serves_a_browser_kubectl_and_a_retest() {
    let mut demo = Program::start(&["demo"]);
    let kubeconfig = kubeconfig(&mut demo);
    let deck = demo.word_after("  Deck  ", MINUTE);
    demo.line_with("Still serving", MINUTE);

    let (list, code) = curl(&[&deck]);
    assert_eq!(code, "200");
    assert!(list.contains("unit-test") && list.contains("fails-on-purpose"));
    let page = demo.word_after("fails-on-purpose ", MINUTE);
    let (page, code) = curl(&["--location", &page]);
    assert_eq!(code, "200", "{page}");
    assert!(page.contains("expected 2, found 3"), "{page}");
    let why = "1 of 4 tests failed: divide";
    assert!(
        page.contains(&format!("<p class=\"summary\">{why}</p>")),
        "{page}"
    );

    let listed = kubectl(&kubeconfig, &["get", "prowjobs,pods"]);
    assert!(
        listed.contains("prowjob.prow.k8s.io/") && listed.contains("pod/"),
        "{listed}"
    );
    let pod = "jsonpath={.items[0].metadata.name}";
    let pod = kubectl(
        &kubeconfig,
        &["get", "pods", "-l", "prow.k8s.io/job=unit-test", "-o", pod],
    );
    let log = kubectl(&kubeconfig, &["logs", "-f", &pod, "-c", "test"]);
    assert!(log.contains("round-trip"), "{log}");
    let node = kubectl(&kubeconfig, &["get", "nodes", "--no-headers"]);
    assert!(node.starts_with("local   Ready"), "{node}");
    for what in ["prowjob.spec.pod_spec", "pod.spec.containers"] {
        let told = kubectl(&kubeconfig, &["explain", what]);
        assert!(told.contains("FIELD: "), "{told}");
    }
    let events = kubectl(&kubeconfig, &["events", "--for", &format!("pod/{pod}")]);
    assert!(events.contains("Started container test"), "{events}");
    kubectl(&kubeconfig, &["delete", "pod", &pod]);
    assert!(
        try_kubectl(&kubeconfig, &["get", "pod", &pod])
            .unwrap_err()
            .contains("NotFound")
    );

    let before = jobs(&kubeconfig);
    let contributor = Contributor::introduced_by(&mut demo, MINUTE);
    let told = contributor.get_comments().to_string();
    assert!(told.contains(&format!("<code>{why}</code>")), "{told}");
    contributor.write_comment("/retest");
    let failed = count(&before, "fails-on-purpose", "failure");
    eventually("the failing job runs again", MINUTE, || {
        (count(&jobs(&kubeconfig), "fails-on-purpose", "failure") > failed).then_some(())
    });
    assert_eq!(
        count(&jobs(&kubeconfig), "unit-test", "success"),
        count(&before, "unit-test", "success")
    );

    demo.interrupt();
}

#[test]
fn the_cluster_is_closed_to_others() {
    let port = free_port().to_string();
    let mut demo = Program::start(&["demo", "--api-port", &port]);
    kubeconfig(&mut demo);
    let url = format!("https://127.0.0.1:{port}/api/v1/pods");
    assert_eq!(curl(&["--insecure", &url]).1, "401");
    assert_eq!(
        curl(&["--insecure", "-H", "Origin: https://example.com", &url]).1,
        "403"
    );
    assert_eq!(
        curl(&["--insecure", "-H", "Host: example.com", &url]).1,
        "403"
    );
}

#[test]
fn two_demos_side_by_side() {
    let mut first = Program::start(&["demo", "--exit"]);
    let mut second = Program::start(&["demo", "--exit"]);
    for demo in [&mut first, &mut second] {
        let (code, printed) = demo.end(2 * MINUTE);
        assert_eq!(code, Some(0), "{printed}");
    }
}

#[test]
fn one_folder_has_one_demo() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let mut first = Program::start(&["demo", "--data", data]);
    kubeconfig(&mut first);
    let mut second = Program::start(&["demo", "--exit", "--data", data]);
    let (code, printed) = second.end(MINUTE);
    assert_eq!(code, Some(1));
    assert!(
        printed.contains(&format!("process {}", first.id())),
        "{printed}"
    );
}

#[test]
fn ctrl_c_in_the_middle_ends_everything() {
    let data = tempfile::tempdir().unwrap();
    let mut demo = Program::start(&["demo", "--data", data.path().to_str().unwrap()]);
    demo.line_with("Opened #1", MINUTE);
    demo.interrupt();
    let left = Command::new("pgrep")
        .args(["-f", data.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[test]
fn a_full_disk_ends_the_demo_and_is_told_once() {
    let data = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", data.path().join("log.jsonl")).unwrap();
    let flags = ["demo", "--exit", "--data", data.path().to_str().unwrap()];
    let (code, printed) = Program::start(&flags).end(MINUTE);
    assert_eq!(code, Some(1), "{printed}");
    assert_eq!(printed.matches("No space left").count(), 1, "{printed}");
    assert!(printed.contains("log.jsonl"), "{printed}");
    assert!(!printed.contains("Unable to write"), "{printed}");
}
