use super::*;
use crate::event::RerunEvent;

fn rerun(context: Option<&str>) -> RerunEvent {
    RerunEvent {
        context: context.map(str::to_owned),
        head_sha: "head".into(),
        app: "prow".into(),
        prowjob: "pj".into(),
        html_url: "https://gh/o/r/runs/1".into(),
        sender: user("bob"),
        ..RerunEvent::default()
    }
}

fn by(sender: &str, context: Option<&str>) -> RerunEvent {
    RerunEvent {
        sender: user(sender),
        ..rerun(context)
    }
}

#[test]
fn a_rerun_is_a_test_of_the_context() {
    let stranger = || Case::stranger().labelled(&["needs-ok-to-test"]);
    let approved = || Case::stranger().labelled(&["ok-to-test"]);
    let red = Case {
        statuses: vec![("A", StatusState::Failure), ("R", StatusState::Success)],
        ..Case::default()
    };
    let renamed = Case {
        presubmits: vec![Presubmit {
            context: "ci/a".into(),
            ..presubmits().remove(0)
        }],
        ..Case::default()
    };
    for (name, case, rerun, expected) in [
        ("a member's", Case::default(), rerun(Some("A")), "run A"),
        (
            "of a manual job",
            Case::default(),
            rerun(Some("O")),
            "run O",
        ),
        (
            "of a job whose files did not change",
            Case::default(),
            rerun(Some("X")),
            "run X",
        ),
        (
            "by context, not by name",
            renamed,
            rerun(Some("ci/a")),
            "run A",
        ),
        (
            "of a job that is gone",
            Case::default(),
            rerun(Some("nosuch")),
            "",
        ),
        (
            "of a job of another branch",
            Case::default(),
            rerun(Some("B")),
            "",
        ),
        (
            "a stranger's on a stranger's",
            stranger(),
            by("sam", Some("A")),
            "say refused",
        ),
        (
            "the author's",
            stranger(),
            by("eve", Some("A")),
            "say refused",
        ),
        (
            "a member's on a stranger's",
            stranger(),
            rerun(Some("A")),
            "run A",
        ),
        (
            "a stranger's on an approved one",
            approved(),
            by("sam", Some("A")),
            "run A",
        ),
        ("of all checks", red, rerun(None), "run A"),
        (
            "of another App's",
            Case::default(),
            RerunEvent {
                app: "other".into(),
                ..rerun(Some("A"))
            },
            "",
        ),
        (
            "of an older commit",
            Case::default(),
            RerunEvent {
                head_sha: "before".into(),
                ..rerun(Some("A"))
            },
            "",
        ),
    ] {
        let decision = case.decide(&WebhookEvent::Rerun(Box::new(rerun)));
        assert_eq!(short(&decision), expected, "{name}: {:?}", decision.reasons);
    }
}

#[test]
fn a_commit_without_a_pull_request_starts_nothing() {
    let case = Case::default();
    let mut facts = case.facts();
    facts.pull_at = Some(None);
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
    let decision = rerun::decide_rerun(&rerun(Some("A")), scene, &facts).unwrap();
    assert_eq!(
        decision.reasons,
        ["no pull request of the check run's commit is known"]
    );
}
