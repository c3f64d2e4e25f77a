use common::{config, untrusted_text};

use super::*;

fn job(name: &str) -> Presubmit {
    let mut job = presubmits().remove(0);
    job.base.name = name.into();
    job.context = name.into();
    job.trigger = GoRegexp::new(&format!(r"(?m)^/test( | .* ){name},?($|\s.*)")).unwrap();
    job
}

fn found(names: &[&str]) -> InRepoResult {
    Ok(Arc::new(InRepoJobs {
        presubmits: names.iter().map(|name| Arc::new(job(name))).collect(),
        postsubmits: Vec::new(),
        ..InRepoJobs::default()
    }))
}

fn broken() -> InRepoResult {
    Err(InRepoConfigError::Invalid(ConfigErrors(vec![Diagnostic {
        rule: "yaml",
        file: "prow-jobs.yaml".into(),
        line: 3,
        column: 5,
        path: "presubmits".into(),
        message: "expected a list, found `text` @everyone <b>".into(),
        hint: Some("write a list".into()),
    }])))
}

/// One central job, and the repository's own at the base and in the merge.
fn case(author: &'static str, at_base: InRepoResult, merged: InRepoResult) -> Case {
    Case {
        author,
        presubmits: vec![job("central")],
        own: Some((at_base, merged)),
        ..Case::default()
    }
}

#[test]
fn own_jobs_count_as_far_as_the_author_is_trusted() {
    let conflict = || Err(InRepoConfigError::Conflict(Vec::new()));
    let none = || found(&[]);
    let only_own = |author, at_base, merged| Case {
        presubmits: Vec::new(),
        ..case(author, at_base, merged)
    };
    for (name, found, expected) in [
        (
            "a member's head",
            case("ann", none(), found(&["own"])).on("opened"),
            "run central, run own",
        ),
        (
            "a push tells what is mended",
            case("ann", none(), found(&["own"])).on("synchronize"),
            "abort, run central, run own, report false",
        ),
        (
            "a stranger's head",
            case("eve", none(), found(&["own"])).on("opened"),
            "+needs-ok-to-test, say welcome",
        ),
        (
            "a stranger's head brings the first jobs",
            only_own("eve", none(), found(&["own"])).on("opened"),
            "",
        ),
        (
            "and a member approves them",
            only_own("eve", none(), found(&["own"])).says("bob", "/ok-to-test"),
            "+ok-to-test, run own",
        ),
        (
            "a member starts a job of the base",
            case("eve", found(&["base"]), found(&["head"])).says("bob", "/test base"),
            "run base",
        ),
        (
            "but none of the head",
            case("eve", found(&["base"]), found(&["head"])).says("bob", "/test head"),
            "say help",
        ),
        (
            "until it is approved",
            case("eve", found(&["base"]), found(&["head"])).says("bob", "/ok-to-test\n/test head"),
            "+ok-to-test, run central, run head",
        ),
        (
            "35 broken: told, and central jobs run",
            case("ann", none(), broken()).on("opened"),
            "run central, report true",
        ),
        (
            "35 broken by a stranger: told, nothing runs",
            case("eve", none(), broken()).on("opened"),
            "+needs-ok-to-test, say welcome, report true",
        ),
        (
            "35 broken, and no central job",
            only_own("ann", none(), broken()).on("opened"),
            "report true",
        ),
        (
            "28 a conflict runs nothing",
            case("ann", none(), conflict()).on("opened"),
            "",
        ),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_configuration_is_a_status_where_one_is_wanted() {
    let none = || found(&[]);
    let on = |author, merged: InRepoResult, action| {
        let case = Case {
            status_context: Some("prow/config"),
            ..case(author, none(), merged)
        };
        case.on(action)
    };
    let gone = || Err(InRepoConfigError::Unreadable("it is gone".into()));
    for (name, found, expected) in [
        (
            "broken",
            on("ann", broken(), "opened"),
            "run central, report true failure",
        ),
        (
            "broken by a stranger",
            on("eve", broken(), "opened"),
            "+needs-ok-to-test, say welcome, report true failure",
        ),
        (
            "unreadable",
            on("ann", gone(), "opened"),
            "run central, report true error",
        ),
        (
            "right from the start",
            on("ann", found(&["own"]), "opened"),
            "run central, run own, report false success",
        ),
        (
            "mended",
            on("ann", found(&["own"]), "synchronize"),
            "abort, run central, run own, report false success",
        ),
        ("no own jobs", on("ann", none(), "opened"), "run central"),
        (
            "its own jobs removed, perhaps the broken ones",
            on("ann", none(), "synchronize"),
            "abort, run central, report false success",
        ),
        (
            "a conflict",
            on(
                "ann",
                Err(InRepoConfigError::Conflict(Vec::new())),
                "synchronize",
            ),
            "abort",
        ),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_description_is_short_whatever_the_mistake_says() {
    let mistake = |message: &str| Diagnostic {
        rule: "yaml",
        file: "prow-jobs.yaml".into(),
        line: 3,
        column: 5,
        path: String::new(),
        message: message.into(),
        hint: None,
    };
    for (message, count, expected) in [
        (
            "unknown field `x`",
            1,
            "prow-jobs.yaml:3: unknown field `x`",
        ),
        (
            "unknown\nfield",
            3,
            "prow-jobs.yaml:3: unknown field (and 2 more)",
        ),
    ] {
        let errors = ConfigErrors(vec![mistake(message); count]);
        assert_eq!(messages::first_mistake(&errors), expected);
    }
    for letter in ["x", "ü", "\u{3164}", "\u{1b}"] {
        let errors = ConfigErrors(vec![mistake(&letter.repeat(1_000)); 1_000]);
        let text = messages::first_mistake(&errors);
        assert!(text.chars().count() <= 140, "{text}");
        assert!(text.ends_with("… (and 999 more)"), "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_without_effects_of_its_own() {
    let case = case("ann", found(&[]), broken());
    let mut event: PullRequestEvent = serde_json::from_value(json!({
        "action": "opened",
        "pull_request": {"number": 7, "base": {"ref": "x", "sha": ""}, "head": {"ref": "x", "sha": ""}},
    }))
    .unwrap();
    event.pull_request = case.pull();
    let decision = case.decide(&WebhookEvent::PullRequest(Box::new(event)));
    let Some(TriggerEffect::Report(report)) = decision.effects.last() else {
        panic!("the mistake is told last");
    };
    let text = report.mistakes.as_ref().unwrap();
    for part in [
        "**`prow-jobs.yaml, line 3, column 5`**",
        "``expected a list, found `text` @everyone <b>``",
        "How to mend it: `write a list`",
        messages::REPORT_MARKER,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A key that would be a link, an image, a reference, a mention and one of our markers.
#[test]
fn a_strangers_key_does_nothing_in_the_comment() {
    let key = "[Approve](https://evil.example/x) ![](https://evil.example/y.png) o/r#1 @all \
               <!-- prow: trigger help --> `x`";
    let file = format!("presubmits: [{{name: a, {key:?}: 1}}]\n{key:?}: 2\n");
    let files = [(format!(".prow/{key}.yaml"), file)];
    let errors =
        config::inrepo::parse_in_repo_files(&files, "o/r", &Config::default()).unwrap_err();
    assert!(errors.to_string().contains("evil.example"), "{errors}");
    let text = messages::in_repo_errors("o/r", &errors);
    let mut outside = text.clone();
    for problem in &errors.0 {
        let place = format!(
            "{}, line {}, column {}",
            problem.file, problem.line, problem.column
        );
        let words = [&place, &problem.path, &problem.message];
        for words in words.into_iter().chain(&problem.hint) {
            outside = outside.replace(&untrusted_text::escape_code_span(words, 500), "CODE");
        }
    }
    for hostile in ["evil", "o/r#1", "@all", "trigger help", "`"] {
        assert!(!outside.contains(hostile), "{hostile} in {outside}");
    }
    assert!(!text.contains(messages::HELP_MARKER), "{text}");
}

#[test]
fn a_refs_name_does_nothing_in_the_help() {
    let asked = comment(
        "ann",
        "/test ?\n<!-- test report -->\n```\n[a](https://evil.example)",
    );
    let base = "x](https://evil.example)`@all<!--";
    let text = messages::help_comment("", &asked, &[], base, "o/r", None);
    let name = untrusted_text::escape_code_span(&format!("o/r@{base}"), 400);
    let quoted = untrusted_text::escape_code_block(&asked.body, 2_000);
    let outside = text.replace(&name, "CODE").replace(&quoted, "CODE");
    for hostile in ["evil", "@all", "test report"] {
        assert!(!outside.contains(hostile), "{hostile} in {outside}");
    }
    assert!(!text.contains("<!-- test report -->"), "{text}");
}

#[test]
fn a_list_of_mistakes_fits_into_a_comment() {
    // Escaped characters are many times as long.
    let long = "\u{3164}".repeat(490);
    let mistake = Diagnostic {
        rule: "yaml",
        file: "prow-jobs.yaml".into(),
        line: 3,
        column: 5,
        path: long.clone(),
        message: long,
        hint: None,
    };
    let text = messages::in_repo_errors("o/r", &ConfigErrors(vec![mistake; 20]));
    assert!(text.chars().count() < 65_536, "{}", text.chars().count());
    assert!(text.contains(" more\n"), "{text}");
}
