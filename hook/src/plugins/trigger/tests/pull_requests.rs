use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn changes_of_a_pull_request() {
    let base_change = json!({"action": "edited", "changes": {"base": {"ref": {"from": "old"}, "sha": {"from": "1"}}}});
    let labelled = |label: &str, sender: &str| json!({"action": "labeled", "label": {"name": label}, "sender": {"login": sender}});
    let draft = || Case {
        draft: true,
        ..Case::default()
    };
    let conflicting = Case {
        mergeable: Some(false),
        ..Case::default()
    };
    let jobless = |author| Case {
        author,
        presubmits: Vec::new(),
        ..Case::default()
    };
    let ignoring = Case {
        trigger: TriggerConfig {
            ignore_ok_to_test: true,
            ..TriggerConfig::default()
        },
        ..Case::stranger()
    };
    let waiting = || Case::stranger().labelled(&["needs-ok-to-test"]);
    let approved = || Case::stranger().labelled(&["ok-to-test"]);
    for (name, found, expected) in [
        (
            "1 opened by a trusted author",
            Case::default().on("opened"),
            "run A, run R",
        ),
        ("2 opened as a draft", draft().on("opened"), "say draft"),
        (
            "2 ready for review",
            Case::default().on("ready_for_review"),
            "run A, run R",
        ),
        (
            "3 opened by a stranger",
            Case::stranger().on("opened"),
            "+needs-ok-to-test, say welcome",
        ),
        (
            "3 with the label set already",
            approved().on("opened"),
            "say welcome",
        ),
        (
            "3 where /ok-to-test counts for nothing",
            ignoring.on("opened"),
            "say welcome",
        ),
        (
            "5 push after a single /test",
            waiting().on("synchronize"),
            "abort",
        ),
        (
            "8 push after /ok-to-test",
            approved().on("synchronize"),
            "abort, run A, run R",
        ),
        (
            "8 both labels",
            approved()
                .labelled(&["Ok-To-Test", "needs-ok-to-test"])
                .on("synchronize"),
            "abort, -needs-ok-to-test, run A, run R",
        ),
        (
            "9 push to a stranger's",
            Case::stranger().on("synchronize"),
            "abort",
        ),
        (
            "24 base branch edited",
            Case::default().on_event(base_change),
            "run A, run R",
        ),
        ("24 title edited", Case::default().on("edited"), ""),
        ("25 closed", Case::default().on("closed"), "abort"),
        (
            "25 converted to draft",
            draft().on("converted_to_draft"),
            "abort",
        ),
        (
            "26 a human adds ok-to-test",
            Case::stranger()
                .labelled(&["ok-to-test", "needs-ok-to-test"])
                .on_event(labelled("ok-to-test", "bob")),
            "run A, run R",
        ),
        (
            "26 the bot adds ok-to-test",
            approved().on_event(labelled("ok-to-test", "prow[bot]")),
            "",
        ),
        (
            "27 lgtm on a stranger's",
            waiting().on_event(labelled("lgtm", "bob")),
            "run A, run R",
        ),
        (
            "26 somebody untrusted adds ok-to-test",
            approved().on_event(labelled("ok-to-test", "sam")),
            "",
        ),
        (
            "27 somebody untrusted adds lgtm",
            waiting().on_event(labelled("lgtm", "sam")),
            "",
        ),
        (
            "27 lgtm on a trusted one",
            Case::default().on_event(labelled("lgtm", "bob")),
            "",
        ),
        (
            "27 another label",
            waiting().on_event(labelled("size/XS", "bob")),
            "",
        ),
        ("28 mergeable is false", conflicting.on("opened"), ""),
        ("30 no presubmits", jobless("ann").on("opened"), ""),
        (
            "30 no presubmits, a stranger",
            jobless("eve").on("opened"),
            "",
        ),
        (
            "reopened by a trusted author",
            Case::default().on("reopened"),
            "run A, run R",
        ),
        ("reopened as a draft", draft().on("reopened"), ""),
        ("push to a draft", draft().on("synchronize"), "abort"),
        ("assigned", Case::default().on("assigned"), ""),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_run_carries_what_prow_puts_into_it() {
    let mut event = PullRequestEvent::clone(&serde_json::from_value(json!({
        "action": "opened",
        "pull_request": {"number": 7, "base": {"ref": "x", "sha": ""}, "head": {"ref": "x", "sha": ""}},
    })).unwrap());
    let case = Case::default();
    event.pull_request = case.pull();
    let decision = case.decide(&WebhookEvent::PullRequest(Box::new(event)));
    let run = runs(&decision)[0];
    assert_eq!(run.labels["event-GUID"], "guid");
    assert_eq!(run.labels["prow.k8s.io/is-optional"], "false");
    assert_eq!(run.labels.get("prow.k8s.io/retest"), None);
    assert_eq!(run.subject, "main,7", "the same whatever main points at");
    let refs = serde_json::to_value(run.spec.refs.as_ref().unwrap()).unwrap();
    assert_eq!(
        refs,
        json!({
            "org": "o", "repo": "r", "repo_link": "https://github.com/o/r",
            "base_ref": "main", "base_sha": "base-now",
            "base_link": "https://github.com/o/r/commit/base-now",
            "pulls": [{
                "number": 7, "author": "ann", "sha": "head", "title": "t", "head_ref": "topic",
                "link": "https://gh/o/r/pull/7",
                "commit_link": "https://gh/o/r/pull/7/commits/head",
                "author_link": "https://github.com/ann",
            }],
        })
    );
}

#[test]
fn closing_asks_for_nothing_but_the_pull_request() {
    let event = serde_json::from_value(json!({
        "action": "closed",
        "pull_request": {"number": 7, "base": {"ref": "x", "sha": ""}, "head": {"ref": "x", "sha": ""}},
    }))
    .unwrap();
    let event = WebhookEvent::PullRequest(event);
    let (identity, config, trigger) = (
        RepositoryRef::default(),
        Config::default(),
        TriggerConfig::default(),
    );
    let scene = TriggerContext {
        identity: &identity,
        guid: "g",
        config: &config,
        trigger: &trigger,
        status_context: None,
    };
    let mut facts = TriggerLookups::default();
    assert_eq!(
        decide_event(&event, scene, &facts),
        Err(MissingLookup::PullNow(7))
    );
    facts.pull_now = Some(None);
    let decision = decide_event(&event, scene, &facts).unwrap();
    assert_eq!(decision.effects, [TriggerEffect::Abort]);
}
