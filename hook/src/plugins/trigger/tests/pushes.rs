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
        branches: vec![Pattern::new(branch).unwrap()],
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
                    run_if_changed: Some(Pattern::new(r"\.go$").unwrap()),
                    ..RegexpChangeMatcher::default()
                },
                ..postsubmit("go")
            },
        ],
        ..Case::default()
    }
}

fn push(value: serde_json::Value) -> Decision {
    let mut payload = json!({
        "ref": "refs/heads/main", "after": "abc", "compare": "https://gh/compare",
        "repository": {"html_url": "https://gh/o/r"},
    });
    payload
        .as_object_mut()
        .unwrap()
        .extend(value.as_object().unwrap().clone());
    let push: PushEvent = serde_json::from_value(payload).unwrap();
    case().decide(&Event::Push(Box::new(push)))
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
