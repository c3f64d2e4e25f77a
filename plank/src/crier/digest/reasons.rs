//! What people read of every way a run can end: on GitHub and on Deck.

use common::{
    digest::{Digest, Setup, Sources, compose, junit::Report, log::Tail},
    prowjob::{ProwJob, ProwJobState, ProwJobStatus},
};

use super::markdown::{Block, digest_section};
use crate::crier::checks::plan;

/// What a run left.
#[derive(Default)]
struct Left<'a> {
    junit: &'a str,
    log: &'a str,
    clone: Option<&'a str>,
}

/// The title of the check run, and the headline of the comment and of Deck's page if there is one.
fn told(state: ProwJobState, description: &str, left: &Left<'_>) -> (String, Option<String>) {
    let digest = matches!(state, ProwJobState::Failure | ProwJobState::Error)
        .then(|| digest(state, description, left));
    let mut job = ProwJob::new("pj", Default::default());
    job.status = Some(ProwJobStatus {
        state,
        description: description.into(),
        ..ProwJobStatus::default()
    });
    let output = plan::change(&job, digest.as_ref(), "").output.unwrap();
    assert!(
        output.summary.contains(description),
        "{description} is in the check run: {}",
        output.summary
    );
    if let Some(digest) = &digest {
        let comment = digest_section(&[Block::new("unit", "http://deck/view/7", digest, "")]);
        assert!(
            comment.contains(&format!("<code>{}</code>", digest.summary)),
            "{comment}"
        );
        let raw = "\"component\":";
        assert!(
            !comment.contains(raw) && !output.text.contains(raw),
            "{comment}"
        );
    }
    (output.title, digest.map(|digest| digest.summary))
}

fn digest(state: ProwJobState, description: &str, left: &Left<'_>) -> Digest {
    let mut tests = Report::default();
    tests.read(left.junit.as_bytes(), &[]);
    let mut tail = Tail::from_start();
    tail.push(left.log.as_bytes());
    let logs = [(String::new(), tail.findings(&[]))];
    let setup = left.clone.map(|summary| Setup {
        summary: summary.into(),
        lines: vec!["$ git merge x".into()],
    });
    compose(&Sources {
        state,
        description,
        setup: setup.as_ref(),
        censored: true,
        tests: &tests,
        logs: if left.log.is_empty() { &[] } else { &logs },
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_end_has_its_reason() {
    use ProwJobState::{Aborted, Error, Failure};
    let none = Left::default;
    let junit = r#"<t><testcase name="add"/><testcase name="sub"/><testcase name="mul"/><testcase name="divide"><failure message="expected 2, found 3"/></testcase></t>"#;
    let fail = "ok    add\nFAIL  divide: expected 2, found 3\n";
    let timeout = r#"{"component":"entrypoint","level":"error","msg":"Process did not finish before 8s timeout"}"#;
    let conflict = "conflict in main.txt with main: rebase #7";
    let rows = [
        (
            Failure,
            "Job failed.",
            Left {
                junit,
                log: fail,
                clone: None,
            },
            "1 of 4 tests failed: divide",
            Some("1 of 4 tests failed: divide"),
        ),
        (
            Failure,
            "Job failed.",
            Left {
                log: fail,
                ..none()
            },
            "FAIL  divide: expected 2, found 3",
            Some("FAIL  divide: expected 2, found 3"),
        ),
        (
            Failure,
            "Job failed.",
            Left {
                log: timeout,
                ..none()
            },
            "timed out after 8 s",
            Some("timed out after 8 s"),
        ),
        (
            Failure,
            "Job failed in initupload: conflict in main.txt with main: rebase #7",
            Left {
                log: "$ git merge\n",
                clone: Some(conflict),
                junit: "",
            },
            conflict,
            Some(conflict),
        ),
        (
            Failure,
            "Job failed in init container setup: it ended with exit code 3.",
            none(),
            "Job failed in init container setup: it ended with exit code 3.",
            Some("Job failed in init container setup: it ended with exit code 3."),
        ),
        (
            Failure,
            "Job failed: container test ran out of memory (OOMKilled).",
            Left {
                log: "step 1\n",
                ..none()
            },
            "Job failed: container test ran out of memory (OOMKilled).",
            Some("Job failed: container test ran out of memory (OOMKilled)."),
        ),
        (
            Error,
            "Pod could not start: container test: ErrImagePull: img: not found",
            none(),
            "infrastructure: Pod could not start: container test: ErrImagePull: img: not found",
            Some("Pod could not start: container test: ErrImagePull: img: not found"),
        ),
        (
            Error,
            "Job pod was evicted by the cluster.",
            none(),
            "infrastructure: Job pod was evicted by the cluster.",
            Some("Job pod was evicted by the cluster."),
        ),
        (
            Error,
            "Terminal error: no client for build cluster \"nosuch\".",
            none(),
            "infrastructure: Terminal error: no client for build cluster \"nosuch\".",
            Some("Terminal error: no client for build cluster \"nosuch\"."),
        ),
        (
            Aborted,
            "Pod running timeout.",
            none(),
            "Pod running timeout.",
            None,
        ),
        (
            Aborted,
            crate::crier::obituary::DELETED,
            none(),
            crate::crier::obituary::DELETED,
            None,
        ),
    ];
    for (state, description, left, title, headline) in rows {
        assert_eq!(
            told(state, description, &left),
            (title.to_owned(), headline.map(str::to_owned)),
            "{description}"
        );
    }
}
