//! What a user does while a demo serves: uses the printed lines, and starts the same demo again.

use std::{path::Path, process::Command};

use serde_json::Value;

use super::{MINUTE, count, curl, jobs, kubeconfig};
use crate::support::{Program, eventually, kubectl};

/// The address that the demo prints after a name.
fn address(demo: &mut Program, name: &str) -> String {
    let line = demo.line_with(&format!("  {name}  "), MINUTE);
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn every_port_is_the_same_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let places = ["Deck", "GitHub", "webhooks"];
    // Demos of other tests take the usual ports.
    let flags = ["--deck-port", "--github-port", "--hook-port", "--api-port"];
    let free = flags.map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = free.map(|it| it.local_addr().unwrap().port().to_string());
    let mut arguments = vec!["demo", "--data", data];
    arguments.extend(
        flags
            .iter()
            .zip(&ports)
            .flat_map(|(flag, port)| [*flag, port]),
    );
    let mut demo = Program::start(&arguments);
    let before = places.map(|name| address(&mut demo, name));
    let cluster = std::fs::read_to_string(kubeconfig(&mut demo)).unwrap();
    let server = |text: &str| {
        let config: Value = serde_json::from_str(text).unwrap();
        config["clusters"][0]["cluster"]["server"].clone()
    };
    demo.interrupt();

    let mut demo = Program::start(&["demo", "--data", data]);
    assert_eq!(places.map(|name| address(&mut demo, name)), before);
    let again = std::fs::read_to_string(kubeconfig(&mut demo)).unwrap();
    assert_eq!(server(&again), server(&cluster));
    assert!(!demo.printed().contains("lead nowhere"));
    demo.interrupt();

    let port = before[1].rsplit(':').next().unwrap();
    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let mut demo = Program::start(&["demo", "--data", data]);
    let told = demo.line_with("lead nowhere", MINUTE);
    for words in ["The GitHub stand-in", port, "--github-port"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    let moved = address(&mut demo, "GitHub");
    assert_ne!(moved, before[1]);
    demo.interrupt();

    let flags = ["demo", "--data", data, "--github-port", port];
    let (code, printed) = Program::start(&flags).end(MINUTE);
    assert_eq!(code, Some(1));
    assert!(
        printed.contains(&format!("--github-port {port}")),
        "{printed}"
    );
}

/// Runs a line in a shell, as a user would.
fn shell(lines: &str) -> String {
    let output = Command::new("sh").args(["-c", lines]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{lines}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

#[test]
fn the_printed_lines_show_trust_and_a_signed_webhook() {
    let mut demo = Program::start(&["demo"]);
    let kubeconfig = kubeconfig(&mut demo);
    let ping = demo.line_with("X-Hub-Signature-256", 2 * MINUTE);
    let line = |demo: &mut Program, words: &str| {
        let line = demo.line_with(words, MINUTE);
        line[line.find(words).unwrap() + words.len()..].to_owned()
    };
    let page = line(&mut demo, "A stranger opened #");
    let (number, page) = page.split_once("  ").unwrap();
    let of_stranger = |kubeconfig: &Path| {
        let selector = format!("prow.k8s.io/refs.pull={number}");
        kubectl(
            kubeconfig,
            &["get", "prowjobs", "-l", &selector, "-o", "name"],
        )
    };
    let (text, code) = curl(&[page]);
    assert_eq!(code, "200");
    assert!(text.contains("no member of your-org"), "{text}");

    // The stranger may not start jobs.
    shell(&line(&mut demo, "the stranger, in vain"));
    eventually("the stranger is told why", MINUTE, || {
        let (text, _) = curl(&[page]);
        text.contains("Jobs cannot be started").then_some(())
    });
    assert_eq!(of_stranger(&kubeconfig), "");

    shell(&line(&mut demo, "you, and jobs run"));
    eventually("jobs run on the stranger's change", MINUTE, || {
        (of_stranger(&kubeconfig).lines().count() == 3).then_some(())
    });
    eventually("the periodic has run", MINUTE, || {
        (count(&jobs(&kubeconfig), "heartbeat", "success") > 0).then_some(())
    });

    let lines = [
        demo.line_with("  payload=", MINUTE),
        demo.line_with("  signature=", MINUTE),
        ping,
    ];
    assert_eq!(shell(&lines.join("\n")), "200 Delivery stored\n");
    for expected in ["images     are not pulled", "  heartbeat          success"] {
        eventually(expected, MINUTE, || {
            demo.printed().contains(expected).then_some(())
        });
    }
    // A job that is not about the pull request names its branch.
    let publish = demo.line_with("  publish ", MINUTE);
    assert!(publish.contains("  main "), "{publish}");
    demo.interrupt();
}
