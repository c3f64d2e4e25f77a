//! What the program says about itself.

use std::process::{Command, Output, Stdio};

use crate::support::PROW;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROW).args(arguments).output().unwrap()
}

#[test]
fn every_program_tells_its_version() {
    let version = env!("CARGO_PKG_VERSION");
    for arguments in [&["--version"][..], &["version"], &["-V"]] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, format!("prow {version}\n"), "{arguments:?}");
    }
    for program in [
        "hook",
        "prow-controller-manager",
        "crier",
        "horologium",
        "deck",
        "sinker",
        "check",
        "demo",
        "mkpj",
        "mkpod",
    ] {
        let output = run(&[program, "--version"]);
        assert!(output.status.success(), "{program}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.ends_with(&format!(" {version}\n")), "{text}");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_panic() {
    for arguments in [&["help"][..], &["nosuch"], &["check", "--help"]] {
        let mut child = Command::new(PROW)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let code = child.wait().unwrap().code();
        // A panic gives 101, a signal gives no code.
        assert!(matches!(code, Some(0..=2)), "{arguments:?}: {code:?}");
    }
}
