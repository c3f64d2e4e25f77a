//! Secrets that jobs print in every shape are found nowhere in what the demo's services store,
//! serve, log or send; the harmless words next to them are found everywhere.

mod scene;
mod shapes;
mod slack;

use std::time::Duration;

use scene::{CanaryScene, PrintedRun};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn secrets_are_found_nowhere_and_harmless_words_everywhere() {
    let scene = CanaryScene::start();
    let mut live = scene.follow("masked-tests");
    let runs = scene.end_all(&["masked-tests", "masked-words", "plain-tests", "plain-words"]);
    let [masked_tests, masked_words, plain_tests, plain_words] = &runs[..] else {
        unreachable!("four jobs were asked for");
    };

    for run in [masked_tests, masked_words] {
        run.assert_censored(true);
        hides_secrets_and_shows_the_rest(run);
    }
    for run in [plain_tests, plain_words] {
        run.assert_censored(false);
        is_told_of_without_its_words(run);
    }
    for run in &runs {
        run.assert_shown("Slack", &[&format!("{}: failure, ", run.job)]);
    }
    for run in [masked_tests, plain_tests] {
        for sink in ["the comment", "the check run", "the run's page"] {
            run.assert_shown(sink, &["harmless-test"]);
        }
    }
    masked_tests.assert_shown("the comment", &["harmless-message-volume"]);
    masked_words.assert_shown("the comment", &["harmless-digest"]);
    masked_words.assert_shown("the check run", &["harmless-digest"]);

    live.assert_was_shown_while_it_ran();
    for (sink, text) in scene.end() {
        let found = shapes::find_canaries(&text);
        assert!(found.is_empty(), "{sink} has {found:?}");
    }
}

fn hides_secrets_and_shows_the_rest(run: &PrintedRun) {
    for (sink, text) in run.all_sinks() {
        let found = shapes::find_canaries(text);
        assert!(
            found.is_empty(),
            "{}: {sink} has {found:?}: {text}",
            run.job
        );
    }
    run.assert_shown("/log", &shapes::harmless("log"));
    run.assert_shown("the run's page", &["harmless-split"]);
    run.assert_shown("podinfo.json", &["canary-env-from"]);
    run.assert_shown("build-log.txt", &shapes::harmless("log"));
    run.assert_shown("build-log.txt", &["harmless-split", "after-split"]);
    for file in [
        "plain.txt",
        "packed.tgz",
        "packed.zip",
        "packed.txt",
        "nested.tgz",
    ] {
        run.assert_shown(&format!("artifacts/{file}"), &shapes::harmless("artifact"));
    }
    for canary in shapes::ALL {
        let words = [
            format!("harmless-metadata-{}", canary.name),
            format!("harmless-key-{}", canary.name),
        ];
        run.assert_shown("finished.json", &words);
    }
    assert!(
        run.all_sinks()
            .any(|(sink, _)| sink.contains("harmless-name")),
        "the artifact whose name is a secret is there"
    );
}

/// Without masking, what the job printed is stored unchanged, and quoted nowhere.
fn is_told_of_without_its_words(run: &PrintedRun) {
    let log = run.sink("build-log.txt");
    assert!(log.contains(&shapes::text("log")), "{}: {log}", run.job);
    for sink in [
        "the comment",
        "the check run",
        "the commit status",
        "Slack",
        "the ProwJob",
        "podinfo.json",
    ] {
        let found = shapes::find_canaries(run.sink(sink));
        assert!(found.is_empty(), "{}: {sink} has {found:?}", run.job);
    }
}
