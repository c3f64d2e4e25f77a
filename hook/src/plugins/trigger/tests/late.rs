//! Events whose pull request has changed by the time they are acted on.

use jiff::Timestamp;

use super::*;

/// The time at a second of the pull request's life.
fn at(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

/// The effects of an event at second 10, when GitHub answers `now` for its pull request.
fn late(
    action: &str,
    case: &Case,
    event: GithubPullRequest,
    now: Option<GithubPullRequest>,
) -> String {
    let label = crate::event::LabelPayload {
        name: "ok-to-test".into(),
    };
    let event = PullRequestEvent {
        action: action.into(),
        pull_request: GithubPullRequest {
            updated_at: at(10),
            ..event
        },
        label: (action == "labeled").then_some(label),
        sender: Some(user("bob")),
        ..PullRequestEvent::default()
    };
    let facts = TriggerLookups {
        pull_now: Some(now),
        ..case.facts()
    };
    short(&case.decide_with(&WebhookEvent::PullRequest(Box::new(event)), &facts))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn the_pull_request_counts_as_it_is_now() {
    let ours = Case::default();
    let theirs = Case::stranger();
    let waiting = || Case::stranger().labelled(&["needs-ok-to-test"]).pull();
    let approved = |second| {
        Some(GithubPullRequest {
            updated_at: at(second),
            ..Case::stranger().labelled(&["ok-to-test"]).pull()
        })
    };
    let now = |change: fn(&mut GithubPullRequest)| {
        let mut pull = GithubPullRequest {
            updated_at: at(20),
            ..ours.pull()
        };
        change(&mut pull);
        Some(pull)
    };
    let pushed = || now(|pull| pull.head.sha = "newer".into());
    let draft = || GithubPullRequest {
        draft: true,
        ..ours.pull()
    };
    for (name, found, expected) in [
        (
            "a push that still carries needs-ok-to-test",
            late("synchronize", &theirs, waiting(), approved(11)),
            "abort, run A, run R",
        ),
        (
            "within the same second",
            late("synchronize", &theirs, waiting(), approved(10)),
            "abort, run A, run R",
        ),
        (
            "a push that still carries ok-to-test, which was taken back",
            late(
                "synchronize",
                &theirs,
                approved(0).unwrap(),
                Some(GithubPullRequest {
                    updated_at: at(11),
                    ..waiting()
                }),
            ),
            "abort",
        ),
        (
            "a payload's labels when GitHub does not have the pull request",
            late("opened", &theirs, approved(0).unwrap(), None),
            "+needs-ok-to-test, say welcome",
        ),
        (
            "opened by a member, unknown to GitHub yet",
            late("opened", &ours, ours.pull(), None),
            "run A, run R",
        ),
        (
            "an old push does not end what runs on the newest commit",
            late("synchronize", &ours, ours.pull(), pushed()),
            "",
        ),
        (
            "opened, and pushed to since",
            late("opened", &ours, ours.pull(), pushed()),
            "",
        ),
        (
            "a stranger's is greeted all the same",
            late(
                "opened",
                &theirs,
                theirs.pull(),
                Some(GithubPullRequest {
                    user: user("eve"),
                    ..pushed().unwrap()
                }),
            ),
            "+needs-ok-to-test, say welcome",
        ),
        (
            "opened, and closed since",
            late(
                "opened",
                &ours,
                ours.pull(),
                now(|pull| pull.state = "closed".into()),
            ),
            "",
        ),
        (
            "pushed, and closed since",
            late(
                "synchronize",
                &ours,
                ours.pull(),
                now(|pull| pull.state = "closed".into()),
            ),
            "abort",
        ),
        (
            "closed, and reopened since",
            late(
                "closed",
                &ours,
                GithubPullRequest {
                    state: "closed".into(),
                    ..ours.pull()
                },
                now(|_| ()),
            ),
            "",
        ),
        (
            "a draft, and ready since",
            late("converted_to_draft", &ours, draft(), now(|_| ())),
            "",
        ),
        (
            "opened as a draft, and ready since",
            late("opened", &ours, draft(), now(|_| ())),
            "run A, run R",
        ),
        (
            "ready, and a draft since",
            late(
                "ready_for_review",
                &ours,
                ours.pull(),
                now(|pull| pull.draft = true),
            ),
            "",
        ),
        (
            "in conflict with a base that has moved since",
            late(
                "reopened",
                &ours,
                GithubPullRequest {
                    mergeable: Some(false),
                    ..ours.pull()
                },
                now(|pull| pull.mergeable = Some(true)),
            ),
            "run A, run R",
        ),
        (
            "in conflict since",
            late(
                "reopened",
                &ours,
                ours.pull(),
                now(|pull| pull.mergeable = Some(false)),
            ),
            "",
        ),
        (
            "labelled, and the label is gone again",
            late(
                "labeled",
                &theirs,
                approved(0).unwrap(),
                now(|pull| pull.user = user("eve")),
            ),
            "",
        ),
        (
            "labelled",
            late("labeled", &theirs, approved(0).unwrap(), approved(10)),
            "run A, run R",
        ),
        (
            "labelled, and GitHub lags",
            late(
                "labeled",
                &theirs,
                approved(0).unwrap(),
                Some(GithubPullRequest {
                    updated_at: at(9),
                    ..theirs.pull()
                }),
            ),
            "run A, run R",
        ),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_command_on_what_is_closed_by_now_starts_nothing() {
    let case = Case::default();
    let mut facts = case.facts();
    facts.pull.as_mut().unwrap().state = "closed".into();
    let decision = case.decide_with(&WebhookEvent::Comment(comment("ann", "/test A")), &facts);
    assert_eq!(short(&decision), "");
}
