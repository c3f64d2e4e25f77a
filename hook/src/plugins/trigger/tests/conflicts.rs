//! Pull requests that conflict with their base.

use super::*;
use crate::event::RerunEvent;

/// Git finds the conflict.
fn by_git(presubmits: Vec<Presubmit>) -> Case {
    let files = ["src/a.rs", "we`ird\n@all <b>"].map(str::to_owned).to_vec();
    Case {
        presubmits,
        own: Some((
            Ok(Arc::new(InRepoJobs::default())),
            Err(InRepoConfigError::Conflict(files)),
        )),
        ..Case::default()
    }
}

/// GitHub reports the conflict.
fn by_github() -> Case {
    Case {
        mergeable: Some(false),
        ..Case::default()
    }
}

fn comment_of(decision: &TriggerDecision) -> &str {
    match decision.effects.last() {
        Some(TriggerEffect::Comment(text)) => text,
        other => panic!("no comment, but {other:?}"),
    }
}

#[test]
fn whoever_asks_for_a_job_is_answered() {
    for (name, case) in [
        ("central jobs", by_git(presubmits())),
        ("none but the repository's own", by_git(Vec::new())),
        ("no configuration of its own", by_github()),
    ] {
        for body in [
            "/test A",
            "/test nosuch",
            "/test all",
            "/test",
            "/test ?",
            "/retest",
            "/retest-required",
            "/test-manual-required",
            "/ok-to-test",
        ] {
            let decision = case.decide(&WebhookEvent::Comment(comment("ann", body)));
            let text = comment_of(&decision);
            for part in [
                "it conflicts with `main`",
                "Rebase it on `main`",
                messages::HELP_MARKER,
            ] {
                assert!(text.contains(part), "{name}, {body}: {part} in {text}");
            }
            assert!(runs(&decision).is_empty(), "{name}, {body}");
            let reasons = decision.reasons.join("\n");
            assert!(
                reasons.contains("conflicts with main"),
                "{name}, {body}: {reasons}"
            );
            assert!(
                !reasons.contains("no presubmits"),
                "{name}, {body}: {reasons}"
            );
        }
    }
}

#[test]
fn the_answer_names_the_files_as_text() {
    let decision = by_git(presubmits()).decide(&WebhookEvent::Comment(comment("ann", "/retest")));
    let text = comment_of(&decision);
    assert!(
        text.contains("- `src/a.rs`\n- ``we`ird @all <b>``\n"),
        "{text}"
    );
    let many: Vec<_> = (0..100)
        .map(|n| format!("{n}-{}", "x".repeat(10_000)))
        .collect();
    let text = messages::conflict_message("main", &many);
    assert!(
        text.contains("and more") && text.len() < 10_000,
        "{}",
        text.len()
    );
}

#[test]
fn asking_what_there_is_lists_it_all_the_same() {
    for body in ["/test ?", "/test"] {
        let decision = by_git(presubmits()).decide(&WebhookEvent::Comment(comment("ann", body)));
        let text = comment_of(&decision);
        assert!(text.contains(" ```\n /test A\n ```\n"), "{text}");
    }
}

#[test]
fn a_rerun_is_answered_too() {
    let rerun = RerunEvent {
        context: Some("A".into()),
        head_sha: "head".into(),
        app: "prow".into(),
        sender: user("ann"),
        ..RerunEvent::default()
    };
    let decision = by_github().decide(&WebhookEvent::Rerun(Box::new(rerun)));
    assert_eq!(short(&decision), "say conflict");
}

#[test]
fn talk_and_taking_back_are_not_answered_with_it() {
    let case = by_github();
    assert_eq!(case.says("ann", "nice"), "");
    assert_eq!(case.says("ann", "/ok-to-test cancel"), "+needs-ok-to-test");
    let ignoring = Case {
        trigger: TriggerConfig {
            ignore_ok_to_test: true,
            ..TriggerConfig::default()
        },
        ..by_github()
    };
    assert_eq!(ignoring.says("ann", "/ok-to-test"), "");
}

#[test]
fn what_starts_by_itself_keeps_silent_and_says_why() {
    for case in [by_git(presubmits()), by_git(Vec::new()), by_github()] {
        for action in ["opened", "synchronize", "reopened", "ready_for_review"] {
            let event = PullRequestEvent {
                action: action.into(),
                pull_request: case.pull(),
                ..PullRequestEvent::default()
            };
            let decision = case.decide(&WebhookEvent::PullRequest(Box::new(event)));
            assert!(!short(&decision).contains("say"), "{action}");
            assert!(runs(&decision).is_empty(), "{action}");
            let reasons = decision.reasons.join("\n");
            assert!(
                reasons.contains("conflicts with main"),
                "{action}: {reasons}"
            );
            assert!(!reasons.contains("no presubmits"), "{action}: {reasons}");
        }
    }
}
