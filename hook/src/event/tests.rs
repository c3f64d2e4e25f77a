use serde_json::{Value, json};

use super::*;

fn pull(action: &str) -> Value {
    json!({
        "action": action, "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "title": "t", "body": "/test unit", "html_url": "u",
            "user": {"login": "ann", "type": "User"},
            "base": {"ref": "main", "sha": "1", "repo": {"name": "r", "full_name": "o/r", "owner": {"login": "o"}}},
            "head": {"ref": "topic", "sha": "2", "repo": null},
            "labels": [{"name": "lgtm"}], "mergeable": null,
        },
        "sender": {"login": "ann"},
    })
}

fn events(kind: &str, payload: &Value) -> Vec<WebhookEvent> {
    parse_events(kind, payload.to_string().as_bytes()).unwrap()
}

/// The comment in a payload: action, number, whether it is on an open pull request, text.
fn said_in(kind: &str, payload: &Value) -> Option<(CommentAction, u64, bool, String)> {
    events(kind, payload)
        .into_iter()
        .find_map(|event| match event {
            WebhookEvent::Comment(said) => Some((
                said.action,
                said.number,
                said.is_pull && said.is_open,
                said.body,
            )),
            _ => None,
        })
}

#[test]
fn texts_become_comments() {
    use CommentAction::{Created, Deleted, Edited};
    let issue = json!({"number": 3, "state": "open", "body": "issue"});
    let on_pull = json!({"number": 7, "state": "open", "pull_request": {"url": "x"}});
    let closed = json!({"number": 7, "state": "closed", "pull_request": {"url": "x"}});
    let comment = json!({"body": "hi", "user": {"login": "bob"}});
    let on = |issue: &Value, action| json!({"action": action, "issue": issue, "comment": comment});
    let with = |action: &str, key: &str, value: Value| {
        let mut payload = pull(action);
        payload[key] = value;
        payload
    };
    for (name, kind, payload, expected) in [
        (
            "a comment",
            "issue_comment",
            on(&on_pull, "created"),
            Some((Created, 7, true, "hi")),
        ),
        (
            "an edited comment",
            "issue_comment",
            on(&on_pull, "edited"),
            Some((Edited, 7, true, "hi")),
        ),
        (
            "a comment on an issue",
            "issue_comment",
            on(&issue, "created"),
            Some((Created, 3, false, "hi")),
        ),
        (
            "a comment on what is closed",
            "issue_comment",
            on(&closed, "created"),
            Some((Created, 7, false, "hi")),
        ),
        (
            "an issue's own text",
            "issues",
            json!({"action": "opened", "issue": issue}),
            Some((Created, 3, false, "issue")),
        ),
        (
            "a pull request's own text",
            "pull_request",
            pull("opened"),
            Some((Created, 7, true, "/test unit")),
        ),
        ("closing says nothing", "pull_request", pull("closed"), None),
        (
            "a review",
            "pull_request_review",
            with("submitted", "review", json!({"body": "ok"})),
            Some((Created, 7, true, "ok")),
        ),
        (
            "a review without a text",
            "pull_request_review",
            with("submitted", "review", json!({"body": null})),
            Some((Created, 7, true, "")),
        ),
        (
            "a review taken back",
            "pull_request_review",
            with("dismissed", "review", json!({"body": "ok"})),
            Some((Deleted, 7, true, "ok")),
        ),
        (
            "a comment on a line",
            "pull_request_review_comment",
            with("created", "comment", comment.clone()),
            Some((Created, 7, true, "hi")),
        ),
        (
            "a push",
            "push",
            json!({"ref": "refs/heads/main", "after": "1", "repository": {}}),
            None,
        ),
    ] {
        let expected =
            expected.map(|(action, number, open, text)| (action, number, open, text.to_owned()));
        assert_eq!(said_in(kind, &payload), expected, "{name}");
    }
}

#[test]
fn a_pull_request_event_keeps_what_trigger_looks_at() {
    let mut payload = pull("edited");
    payload["changes"] = json!({"base": {"ref": {"from": "old"}, "sha": {"from": "0"}}});
    let WebhookEvent::PullRequest(event) = events("pull_request", &payload).remove(0) else {
        panic!("the pull request goes first");
    };
    assert!(event.base_changed());
    assert_eq!(event.pull_request.labels, ["lgtm"]);
    assert_eq!(event.pull_request.base.git_ref, "main");

    payload["changes"] = json!({"title": {"from": "old"}});
    let WebhookEvent::PullRequest(event) = events("pull_request", &payload).remove(0) else {
        panic!("the pull request goes first");
    };
    assert!(!event.base_changed());
}

#[test]
fn events_of_a_pull_request_share_a_lane() {
    let identity = RepositoryRef {
        org: "o".into(),
        repo: "r".into(),
    };
    for (name, kind, payload, lane) in [
        ("pull request", "pull_request", pull("opened"), "o/r#7"),
        (
            "comment",
            "issue_comment",
            json!({"issue": {"number": 7}}),
            "o/r#7",
        ),
        (
            "review",
            "pull_request_review",
            json!({"pull_request": {"number": 7}}),
            "o/r#7",
        ),
        (
            "push",
            "push",
            json!({"ref": "refs/heads/x"}),
            "o/r@refs/heads/x",
        ),
        ("anything else", "ping", json!({"zen": "x"}), "guid"),
        ("another shape", "status", json!({"number": "x"}), "guid"),
    ] {
        let outline = PayloadHeader::parse_payload(payload.to_string().as_bytes());
        assert_eq!(
            outline.ordering_key(&identity, kind, "guid"),
            lane,
            "{name}"
        );
    }
}

#[test]
fn what_nobody_listens_to_may_have_any_shape() {
    assert_eq!(events("ping", &json!({"action": 1})), [WebhookEvent::Other]);
    assert!(parse_events("pull_request", b"{\"action\":7}").is_err());
}
