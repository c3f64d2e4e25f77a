use super::*;

fn postsubmit(name: &str) -> Postsubmit {
    Postsubmit {
        base: JobBase {
            name: name.into(),
            ..JobBase::default()
        },
        context: name.into(),
        ..Postsubmit::default()
    }
}

fn case() -> Case {
    let on = |branch: &str| Brancher {
        branches: vec![GoRegexp::new(branch).unwrap()],
        ..Brancher::default()
    };
    Case {
        postsubmits: vec![
            postsubmit("all"),
            Postsubmit {
                brancher: on("^v1$"),
                ..postsubmit("release")
            },
            Postsubmit {
                changes: RegexpChangeMatcher {
                    run_if_changed: Some(GoRegexp::new(r"\.go$").unwrap()),
                    ..RegexpChangeMatcher::default()
                },
                ..postsubmit("go")
            },
        ],
        ..Case::default()
    }
}

fn push(value: serde_json::Value) -> TriggerDecision {
    let mut payload = json!({
        "ref": "refs/heads/main", "after": "abc", "compare": "https://gh/compare",
        "repository": {"html_url": "https://gh/o/r"},
    });
    payload
        .as_object_mut()
        .unwrap()
        .extend(value.as_object().unwrap().clone());
    let push: PushEvent = serde_json::from_value(payload).unwrap();
    case().decide(&WebhookEvent::Push(Box::new(push)))
}

#[test]
fn pushes() {
    let zero = "0".repeat(40);
    for (name, event, expected) in [
        ("a branch", json!({}), "run all"),
        (
            "changed files",
            json!({"commits": [{"modified": ["a.go"]}, {"added": null}]}),
            "run all, run go",
        ),
        (
            "33 a tag",
            json!({"ref": "refs/tags/v1"}),
            "run all, run release",
        ),
        ("34 a deleted branch", json!({"deleted": true}), ""),
        (
            "34 a deleted branch by its commit",
            json!({"after": zero}),
            "",
        ),
        ("neither branch nor tag", json!({"ref": "refs/notes/x"}), ""),
    ] {
        assert_eq!(short(&push(event)), expected, "{name}");
    }
}

#[test]
fn a_run_is_about_the_pushed_commit() {
    let decision = push(json!({"ref": "refs/tags/v1"}));
    let run = runs(&decision)[1];
    assert_eq!(run.subject, "v1:abc");
    let refs = serde_json::to_value(run.spec.refs.as_ref().unwrap()).unwrap();
    assert_eq!(
        refs,
        json!({
            "org": "o", "repo": "r", "repo_link": "https://gh/o/r",
            "base_ref": "v1", "base_sha": "abc", "base_link": "https://gh/compare",
        })
    );
}

#[test]
fn of_an_annotated_tag_the_commit_counts() {
    for (head_commit, sha) in [
        (json!({"id": "c0ffee"}), "c0ffee"),
        (json!({"id": null}), "abc"),
        (json!(null), "abc"),
    ] {
        let tag = json!({"ref": "refs/tags/v1", "head_commit": head_commit});
        let decision = push(tag);
        let refs = runs(&decision)[1].spec.refs.as_ref().unwrap();
        assert_eq!(refs.base_sha, sha);
    }
}

/// Every way to move a ref, as GitHub sends it, and what runs: the ref's name, and the commit.
///
/// Upstream gets the same, except that it takes an annotated tag's own object for the commit.
#[test]
fn every_form_of_a_push_names_what_is_meant() {
    let (old, new, tag, zero) = (
        "a".repeat(40),
        "b".repeat(40),
        "c".repeat(40),
        "0".repeat(40),
    );
    let head = json!({"id": new});
    for (name, event, expected) in [
        (
            "a branch",
            json!({"ref": "refs/heads/main", "before": old, "after": new, "head_commit": head}),
            Some(("main", &new)),
        ),
        (
            "a branch with slashes",
            json!({"ref": "refs/heads/feature/a/b", "before": old, "after": new, "head_commit": head}),
            Some(("feature/a/b", &new)),
        ),
        (
            "a branch that is called like a tag's ref",
            json!({"ref": "refs/heads/tags/v1", "before": old, "after": new, "head_commit": head}),
            Some(("tags/v1", &new)),
        ),
        (
            "forced",
            json!({"ref": "refs/heads/main", "before": old, "after": new, "forced": true,
                "head_commit": head, "commits": []}),
            Some(("main", &new)),
        ),
        (
            "new, with nothing of its own",
            json!({"ref": "refs/heads/topic", "before": zero, "after": new, "created": true,
                "base_ref": "refs/heads/main", "head_commit": head, "commits": []}),
            Some(("topic", &new)),
        ),
        (
            "renamed: the new name",
            json!({"ref": "refs/heads/new-name", "before": zero, "after": new, "created": true,
                "head_commit": head, "commits": []}),
            Some(("new-name", &new)),
        ),
        (
            "renamed: the old name",
            json!({"ref": "refs/heads/old-name", "before": new, "after": zero, "deleted": true,
                "head_commit": null, "commits": []}),
            None,
        ),
        (
            "a lightweight tag",
            json!({"ref": "refs/tags/v2", "before": zero, "after": new, "created": true,
                "base_ref": "refs/heads/main", "head_commit": head, "commits": []}),
            Some(("v2", &new)),
        ),
        (
            "an annotated tag",
            json!({"ref": "refs/tags/v2", "before": zero, "after": tag, "created": true,
                "head_commit": head, "commits": []}),
            Some(("v2", &new)),
        ),
        (
            "a tag that was moved",
            json!({"ref": "refs/tags/v2", "before": old, "after": tag, "forced": true,
                "head_commit": head, "commits": []}),
            Some(("v2", &new)),
        ),
        (
            "a tag of something that is no commit",
            json!({"ref": "refs/tags/tree", "before": zero, "after": tag, "created": true,
                "head_commit": null, "commits": []}),
            Some(("tree", &tag)),
        ),
        (
            "a tag that is gone",
            json!({"ref": "refs/tags/v2", "before": tag, "after": zero, "deleted": true,
                "head_commit": null}),
            None,
        ),
        (
            "gone, though only the commit says so",
            json!({"ref": "refs/heads/main", "before": old, "after": zero, "head_commit": null}),
            None,
        ),
    ] {
        let decision = push(event);
        let refs = runs(&decision)
            .into_iter()
            .map(|run| run.spec.refs.clone().unwrap())
            .next();
        let found = refs
            .as_ref()
            .map(|refs| (refs.base_ref.as_str(), &refs.base_sha));
        assert_eq!(found, expected, "{name}");
    }
}
