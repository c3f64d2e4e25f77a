use StateShort::{F, P, S};

use super::*;

/// Success, failure, pending.
#[derive(Clone, Copy)]
enum StateShort {
    S,
    F,
    P,
}

fn with_statuses(statuses: &[(&'static str, StateShort)]) -> Case {
    Case {
        statuses: statuses
            .iter()
            .map(|(context, state)| {
                let state = match state {
                    S => StatusState::Success,
                    F => StatusState::Failure,
                    P => StatusState::Pending,
                };
                (*context, state)
            })
            .collect(),
        ..Case::default()
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn comments_on_a_pull_request() {
    let own = Case::default;
    let stranger = || Case::stranger().labelled(&["needs-ok-to-test"]);
    let approved = || Case::stranger().labelled(&["ok-to-test"]);
    let red = || with_statuses(&[("A", F), ("R", P), ("O", F), ("X", S)]);
    let ignoring = || Case {
        trigger: TriggerConfig {
            ignore_ok_to_test: true,
            ..TriggerConfig::default()
        },
        ..stranger()
    };
    let jobless = Case {
        presubmits: Vec::new(),
        ..Case::stranger()
    };
    let draft = Case {
        draft: true,
        ..Case::default()
    };
    let conflicting = Case {
        mergeable: Some(false),
        ..Case::default()
    };
    for (name, found, expected) in [
        (
            "4 a stranger's /test",
            stranger().says("sam", "/test A"),
            "say refused",
        ),
        (
            "4 by the author",
            stranger().says("eve", "/retest"),
            "say refused",
        ),
        (
            "5 a member's /test",
            stranger().says("bob", "/test A"),
            "run A",
        ),
        (
            "6 a member's /ok-to-test",
            stranger().says("bob", "/ok-to-test"),
            "+ok-to-test, -needs-ok-to-test, run A, run R",
        ),
        (
            "6 twice",
            approved().says("bob", "/ok-to-test"),
            "run A, run R",
        ),
        (
            "6 where it counts for nothing",
            ignoring().says("bob", "/ok-to-test"),
            "",
        ),
        (
            "7 a stranger on an approved one",
            approved().says("sam", "/test all"),
            "run A, run R",
        ),
        ("10 an optional job", own().says("ann", "/test O"), "run O"),
        (
            "11 files do not match",
            own().says("ann", "/test X"),
            "run X",
        ),
        (
            "12 on the wrong branch",
            own().says("ann", "/test B"),
            "say help",
        ),
        (
            "13 one of two is known",
            own().says("ann", "/test A\n/test nosuch"),
            "run A",
        ),
        ("14 /retest", red().says("ann", "/retest"), "run A, run O"),
        (
            "15 /retest-required",
            red().says("ann", "/retest-required"),
            "run A",
        ),
        (
            "16 /retest before anything ran",
            with_statuses(&[("R", S)]).says("ann", "/retest"),
            "run A",
        ),
        (
            "17 /retest of what no longer matches",
            with_statuses(&[("A", S), ("R", S), ("X", F)]).says("ann", "/retest"),
            "run X",
        ),
        (
            "18 /retest of what never ran",
            with_statuses(&[("A", S), ("R", S)]).says("ann", "/retest"),
            "",
        ),
        (
            "19 /test-manual-required",
            own().says("ann", "/test-manual-required"),
            "run M",
        ),
        (
            "20 /test all",
            own().says("ann", "/test all"),
            "run A, run R",
        ),
        ("21 /test", own().says("ann", "/test"), "say help"),
        (
            "21 /test ?",
            own().says("ann", "/test ?\n/test A"),
            "say help",
        ),
        (
            "21 /retest foo",
            own().says("ann", "/retest foo\n/test A"),
            "say help",
        ),
        ("22 fenced", own().says("ann", "```\n/test A\n```"), ""),
        (
            "23 fenced beside unfenced: only what is outside",
            own().says("ann", "```\n/test O\n```\n/test A"),
            "run A",
        ),
        (
            "28 mergeable is false",
            conflicting.says("ann", "/test A"),
            "say conflict",
        ),
        ("29 the bot", own().says("prow[bot]", "/test A"), ""),
        (
            "30 no presubmits",
            jobless.says("bob", "/ok-to-test"),
            "+ok-to-test",
        ),
        (
            "30 a stranger",
            jobless.says("sam", "/test all"),
            "say refused",
        ),
        (
            "a draft runs what is asked for",
            draft.says("ann", "/test A"),
            "run A",
        ),
        (
            "nothing but talk",
            own().says("ann", "please /test this"),
            "",
        ),
        (
            "cancel",
            approved().says("bob", "/ok-to-test cancel"),
            "-ok-to-test, +needs-ok-to-test",
        ),
        (
            "cancel by a stranger",
            approved().says("sam", "/ok-to-test cancel"),
            "say cannot cancel",
        ),
        (
            "a stranger's /ok-to-test adds no label",
            approved()
                .labelled(&["ok-to-test"])
                .says("sam", "/ok-to-test"),
            "run A, run R",
        ),
        (
            "nor on a member's pull request",
            own().says("sam", "/ok-to-test"),
            "run A, run R",
        ),
        (
            "/test all without an automatic job",
            Case {
                presubmits: vec![presubmits().remove(1)],
                ..own()
            }
            .says("ann", "/test all"),
            "say help",
        ),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_not_new_or_not_open_is_ignored() {
    let base = comment("ann", "/test A");
    for (name, comment) in [
        (
            "29 edited",
            GenericCommentEvent {
                action: CommentAction::Edited,
                ..base.clone()
            },
        ),
        (
            "29 deleted",
            GenericCommentEvent {
                action: CommentAction::Deleted,
                ..base.clone()
            },
        ),
        (
            "29 closed",
            GenericCommentEvent {
                is_open: false,
                ..base.clone()
            },
        ),
        (
            "an issue",
            GenericCommentEvent {
                is_pull: false,
                ..base
            },
        ),
    ] {
        let decision = Case::default().decide(&WebhookEvent::Comment(comment));
        assert_eq!(short(&decision), "", "{name}");
    }
}

#[test]
fn a_retest_is_labelled_as_one() {
    let case = with_statuses(&[("A", F), ("R", S)]);
    for (body, label) in [("/retest", Some("true")), ("/test A", None)] {
        let decision = case.decide(&WebhookEvent::Comment(comment("ann", body)));
        let run = runs(&decision)[0];
        assert_eq!(
            run.labels.get("prow.k8s.io/retest").map(String::as_str),
            label
        );
    }
}

#[test]
fn talk_costs_no_call_but_the_bots_name() {
    let (identity, trigger) = (
        RepositoryRef {
            org: "o".into(),
            repo: "r".into(),
        },
        TriggerConfig::default(),
    );
    let config = Case::default().config();
    let scene = TriggerContext {
        identity: &identity,
        guid: "g",
        config: &config,
        trigger: &trigger,
        status_context: None,
    };
    let facts = TriggerLookups {
        bot: Some("prow[bot]".into()),
        ..TriggerLookups::default()
    };
    let talk = WebhookEvent::Comment(comment("ann", "looks good"));
    assert!(decide_event(&talk, scene, &facts).is_ok());
    let command = WebhookEvent::Comment(comment("ann", "/test A"));
    assert_eq!(
        decide_event(&command, scene, &facts),
        Err(MissingLookup::Pull(7))
    );
}

#[test]
fn help_lists_what_the_branch_has() {
    let decision = Case::default().decide(&WebhookEvent::Comment(comment("ann", "/test ?")));
    let Some(TriggerEffect::Comment(text)) = decision.effects.last() else {
        panic!("help is a comment");
    };
    for part in [
        "Required jobs:",
        " ```\n /test A\n ```\n",
        "Optional jobs:",
        "- `R`",
        " ```\n /test ?\n ```\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        !text.contains("/test B") && !text.contains("- `X`"),
        "{text}"
    );
    assert!(decision.effects.contains(&TriggerEffect::PruneHelp));
}

#[test]
fn earlier_help_goes_when_any_trigger_asks_for_a_job() {
    let mut case = Case::default();
    case.presubmits[0].trigger = GoRegexp::new("(?m)^/build$").unwrap();
    for (text, prunes) in [
        ("/build", true),
        ("/test O", true),
        ("/test ?", true),
        ("/ok-to-test", false),
    ] {
        let decision = case.decide(&WebhookEvent::Comment(comment("ann", text)));
        let found = decision.effects.contains(&TriggerEffect::PruneHelp);
        assert_eq!(found, prunes, "{text}");
    }
}

#[test]
fn every_organisation_whose_members_are_trusted_is_named() {
    let case = Case {
        trigger: TriggerConfig {
            trusted_org: "friends".into(),
            ..TriggerConfig::default()
        },
        ..Case::stranger()
    };
    let mut facts = case.facts();
    for stranger in ["eve", "sam"] {
        let membership = ("friends".to_owned(), stranger.to_owned());
        facts.members.insert(membership, false);
    }
    let decision = case.decide_with(&WebhookEvent::Comment(comment("sam", "/test A")), &facts);
    let Some(TriggerEffect::Comment(text)) = decision.effects.last() else {
        panic!("{:?}", decision.effects);
    };
    assert!(text.contains("A member of o or friends may"), "{text}");
}
