//! What people read of every way a run can end: on GitHub and on Deck.

use common::{
    digest::{Digest, Quoting, Setup, Sources, compose, junit::Report, log::Tail},
    inert::html,
    prowjob::{DecorationConfig, ProwJob, ProwJobAgent, ProwJobState, ProwJobStatus},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::markdown::{Block, digest_section};
use crate::{
    crier::checks::plan,
    pod_view::{Pod, PodView},
    transition::{Change, Observed, Settings, Step, transition},
};

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
            comment.contains(&format!("<code>{}</code>", html(&digest.summary, 1_000))),
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
        quoting: Quoting::Censored,
        tests: &tests,
        logs: if left.log.is_empty() { &[] } else { &logs },
    })
}

#[test]
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

/// What plank writes when the pod of a run has failed, and its container has ended like this.
fn by_plank(decorated: bool, terminated: &Value) -> (ProwJobState, String) {
    let mut job = ProwJob::new("pj", Default::default());
    job.spec.agent = ProwJobAgent::kubernetes();
    job.spec.decoration_config = decorated.then(DecorationConfig::default);
    job.status = Some(ProwJobStatus {
        state: ProwJobState::Pending,
        build_id: "7".into(),
        ..ProwJobStatus::default()
    });
    let limit = json!({"limits": {"memory": "64Mi"}});
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": "pj", "uid": "u",
            "labels": {"prow.k8s.io/id": "pj", "prow.k8s.io/build-id": "7"},
        },
        "spec": {"containers": [{"name": "test", "resources": limit}]},
        "status": {"phase": "Failed", "containerStatuses": [{
            "name": "test", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": terminated},
        }]},
    }))
    .unwrap();
    let pod = PodView::from(&pod);
    let seen = Observed::new(&job, Some(&pod));
    let step = transition(&seen, &Settings::default(), Timestamp::UNIX_EPOCH).step;
    let Step::Change(Change::Complete { state, description }) = step else {
        panic!("{terminated}: {step:?}");
    };
    (state, description.unwrap())
}

#[test]
fn every_end_of_a_container_has_its_reason() {
    let oom = "ran out of memory (limit 64Mi): raise its memory limit.";
    let killed = "was killed (SIGKILL, exit code 137): by the job, or for memory of its node.";
    let finished = "2026-08-01T00:00:00Z";
    for (decorated, exit_code, reason, message, title) in [
        (true, 137, "OOMKilled", "", format!("infrastructure: Container test {oom}")),
        (false, 137, "OOMKilled", "", format!("Job failed: Container test {oom}")),
        (true, 137, "Error", "", format!("infrastructure: Container test {killed}")),
        (
            true,
            128,
            "StartError",
            "exec: \"nosuch\": not found",
            "infrastructure: Pod could not start: container test: StartError: exec: \"nosuch\": not found".into(),
        ),
    ] {
        let terminated = json!({
            "exitCode": exit_code, "reason": reason, "message": message, "finishedAt": finished,
        });
        let (state, description) = by_plank(decorated, &terminated);
        let left = Left {
            log: "step 1\n",
            ..Left::default()
        };
        assert_eq!(told(state, &description, &left), (title, Some(description)));
    }
}
