//! Payloads with null or missing fields, anywhere: they are read as in Go, as zero values, and
//! decided on.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event;

/// A payload of each kind that hook handles, with every field that it reads.
fn payloads() -> Vec<(&'static str, Value)> {
    let person = |login: &str| json!({"login": login, "type": "User", "html_url": "https://gh/u"});
    let repo = json!({
        "name": "r", "full_name": "o/r", "html_url": "https://gh/o/r",
        "owner": {"login": "o", "name": "o"},
    });
    let pull = json!({
        "number": 7, "title": "t", "state": "open", "draft": false, "merged": false,
        "mergeable": true, "updated_at": "2026-01-02T03:04:05Z", "user": person("ann"),
        "labels": [{"name": "ok-to-test"}, {"name": "x"}], "html_url": "https://gh/o/r/pull/7",
        "body": "/test A", "base": {"ref": "main", "sha": "base-then", "repo": repo},
        "head": {"ref": "topic", "sha": "head", "repo": repo},
    });
    let said = json!({"body": "/test all", "html_url": "https://gh/c", "user": person("ann")});
    let check = json!({
        "name": "A", "head_sha": "head", "external_id": "pj", "html_url": "https://gh/r",
        "app": {"slug": "prow"}, "pull_requests": [{"number": 7, "base": {"repo": repo}}],
    });
    let issue = json!({
        "number": 7, "state": "open", "pull_request": {"url": "x"}, "body": "b",
        "html_url": "https://gh/i", "user": person("ann"),
    });
    let files = json!({"added": ["a.go"], "removed": ["b"], "modified": ["c", "d"]});
    let mut payloads = vec![
        (
            "issue_comment",
            json!({"action": "created", "issue": issue, "comment": said}),
        ),
        ("issues", json!({"action": "opened", "issue": issue})),
        (
            "pull_request_review",
            json!({"action": "submitted", "pull_request": pull, "review": said}),
        ),
        (
            "pull_request_review_comment",
            json!({"action": "created", "pull_request": pull, "comment": said}),
        ),
        (
            "check_run",
            json!({"action": "rerequested", "check_run": check, "sender": person("bob")}),
        ),
        (
            "check_suite",
            json!({"action": "rerequested", "check_suite": check, "sender": person("bob")}),
        ),
        (
            "push",
            json!({
                "ref": "refs/heads/main", "after": "abc", "deleted": false, "compare": "https://gh/c",
                "commits": [files, files], "repository": repo,
            }),
        ),
    ];
    for action in [
        "opened",
        "reopened",
        "edited",
        "synchronize",
        "labeled",
        "closed",
    ] {
        payloads.push(("pull_request", json!({
            "action": action, "number": 7, "pull_request": pull, "label": {"name": "ok-to-test"},
            "changes": {"base": {"ref": {"from": "old"}, "sha": {"from": "0"}}, "title": {"from": "s"}},
            "sender": person("bob"),
        })));
    }
    payloads
}

/// The JSON pointers of everything in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, below)| (key.clone(), below))
            .collect(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, below)| (index.to_string(), below))
                .collect()
        }
        _ => Vec::new(),
    };
    for (key, below) in below {
        let place = format!("{at}/{key}");
        places(below, &place, found);
        found.push(place);
    }
}

/// Sets a field to null, or removes it.
fn empty(value: &mut Value, place: &str, remove: bool) {
    let (folder, key) = place.rsplit_once('/').expect("a place below the root");
    match value.pointer_mut(folder) {
        Some(Value::Object(fields)) if remove => drop(fields.remove(key)),
        Some(Value::Object(fields)) => drop(fields.insert(key.to_owned(), Value::Null)),
        Some(Value::Array(items)) => {
            if let Some(item) = key
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index))
            {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// Parses and decides, with lookups from a GitHub that has everything. An error is one that would
/// fail a delivery.
fn decided(kind: &str, payload: &Value) -> Result<(), String> {
    let case = Case {
        postsubmits: vec![Postsubmit::default()],
        ..Case::default()
    };
    let identity = RepositoryRef {
        org: "o".into(),
        repo: "r".into(),
    };
    let config = case.config();
    let scene = TriggerContext {
        identity: &identity,
        guid: "guid",
        config: &config,
        trigger: &case.trigger,
        status_context: None,
    };
    let events = event::parse_events(kind, payload.to_string().as_bytes());
    for event in events.map_err(|error| error.to_string())? {
        let mut facts = case.facts();
        loop {
            match decide_event(&event, scene, &facts) {
                Ok(_) => break,
                Err(MissingLookup::Member { org, user }) if !user.is_empty() => {
                    facts.members.insert((org, user), false);
                }
                Err(MissingLookup::Collaborator(user)) => {
                    facts.collaborators.insert(user, false);
                }
                Err(need) => return Err(format!("{need:?} is nothing to ask GitHub for")),
            }
        }
    }
    Ok(())
}

#[test]
fn no_single_field_is_needed() {
    for (kind, payload) in payloads() {
        let mut all = Vec::new();
        places(&payload, "", &mut all);
        for place in &all {
            for remove in [false, true] {
                let mut payload = payload.clone();
                empty(&mut payload, place, remove);
                let decided = decided(kind, &payload);
                assert_eq!(decided, Ok(()), "{kind} {} {place}", payload["action"]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_field_is_needed(
        which in any::<proptest::sample::Index>(),
        emptied in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 1..12),
    ) {
        let mut all = payloads();
        let (kind, mut payload) = all.swap_remove(which.index(all.len()));
        for (index, remove) in emptied {
            let mut places_left = Vec::new();
            places(&payload, "", &mut places_left);
            if places_left.is_empty() {
                break;
            }
            let place = &places_left[index.index(places_left.len())].clone();
            empty(&mut payload, place, remove);
        }
        prop_assert_eq!(decided(kind, &payload), Ok(()), "{} {}", kind, payload);
    }
}

#[test]
fn null_means_what_it_means_in_go() {
    let (_, mut payload) = payloads().remove(7);
    for place in [
        "draft",
        "title",
        "merged",
        "mergeable",
        "labels",
        "html_url",
        "updated_at",
    ] {
        empty(&mut payload, &format!("/pull_request/{place}"), false);
    }
    empty(&mut payload, "/changes", false);
    let body = payload.to_string();
    let WebhookEvent::PullRequest(event) = event::parse_events("pull_request", body.as_bytes())
        .unwrap()
        .remove(0)
    else {
        panic!("the pull request goes first");
    };
    assert_eq!(
        short(&Case::default().decide(&WebhookEvent::PullRequest(event))),
        "run A, run R"
    );
}
