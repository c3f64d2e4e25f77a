//! What people read about every way in which a run ends: on GitHub and on Deck.

use common::{
    failure_digest::{
        DigestSources, FailureDigest, QuotingPolicy, SetupFailure, build_log::LogTail,
        compose_digest, junit::JunitReport,
    },
    prowjob::{DecorationConfig, ProwJob, ProwJobAgent, ProwJobState, ProwJobStatus},
    untrusted_text::escape_html,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::markdown::{DigestBlock, render_digest_section};
use crate::{
    crier::checks::plan,
    pod_view::{PodView, PrunedPod},
    transition::{
        ObservedJob, ProwJobChange, TransitionSettings, TransitionStep, decide_next_step,
    },
};

/// What a run stored.
#[derive(Default)]
struct StoredOutput<'a> {
    junit: &'a str,
    log: &'a str,
    clone: Option<&'a str>,
}

/// The title of the check run, and the headline of the comment and of Deck's page if there is one.
fn reported_texts(
    state: ProwJobState,
    description: &str,
    left: &StoredOutput<'_>,
) -> (String, Option<String>) {
    let digest = matches!(state, ProwJobState::Failure | ProwJobState::Error)
        .then(|| digest_of_run(state, description, left));
    let mut job = ProwJob::new("pj", Default::default());
    job.status = Some(ProwJobStatus {
        state,
        description: description.into(),
        ..ProwJobStatus::default()
    });
    let output = plan::check_run_change(&job, digest.as_ref(), "")
        .output
        .unwrap();
    assert!(
        output.summary.contains(description),
        "{description} is in the check run: {}",
        output.summary
    );
    if let Some(digest) = &digest {
        let comment =
            render_digest_section(&[DigestBlock::new("unit", "http://deck/view/7", digest, "")]);
        assert!(
            comment.contains(&format!(
                "<code>{}</code>",
                escape_html(&digest.summary, 1_000)
            )),
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

fn digest_of_run(state: ProwJobState, description: &str, left: &StoredOutput<'_>) -> FailureDigest {
    let mut tests = JunitReport::default();
    tests.add_file(left.junit.as_bytes(), &[]);
    let mut tail = LogTail::from_start();
    tail.push_chunk(left.log.as_bytes());
    let logs = [(String::new(), tail.scan_errors(&[]))];
    let setup = left.clone.map(|summary| SetupFailure {
        summary: summary.into(),
        lines: vec!["$ git merge x".into()],
    });
    compose_digest(&DigestSources {
        state,
        description,
        setup: setup.as_ref(),
        quoting: QuotingPolicy::Censored,
        tests: &tests,
        logs: if left.log.is_empty() { &[] } else { &logs },
    })
}

#[test]
fn every_end_has_its_reason() {
    use ProwJobState::{Aborted, Error, Failure};
    let none = StoredOutput::default;
    let junit = r#"<t><testcase name="add"/><testcase name="sub"/><testcase name="mul"/><testcase name="divide"><failure message="expected 2, found 3"/></testcase></t>"#;
    let fail = "ok    add\nFAIL  divide: expected 2, found 3\n";
    let timeout = r#"{"component":"entrypoint","level":"error","msg":"Process did not finish before 8s timeout"}"#;
    let conflict = "conflict in main.txt with main: rebase #7";
    let rows = [
        (
            Failure,
            "Job failed.",
            StoredOutput {
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
            StoredOutput {
                log: fail,
                ..none()
            },
            "FAIL  divide: expected 2, found 3",
            Some("FAIL  divide: expected 2, found 3"),
        ),
        (
            Failure,
            "Job failed.",
            StoredOutput {
                log: timeout,
                ..none()
            },
            "timed out after 8 s",
            Some("timed out after 8 s"),
        ),
        (
            Failure,
            "Job failed in initupload: conflict in main.txt with main: rebase #7",
            StoredOutput {
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
            crate::crier::deleted_job::DELETED,
            none(),
            crate::crier::deleted_job::DELETED,
            None,
        ),
    ];
    for (state, description, left, title, headline) in rows {
        assert_eq!(
            reported_texts(state, description, &left),
            (title.to_owned(), headline.map(str::to_owned)),
            "{description}"
        );
    }
}

/// What plank decides when the pod of a run has failed and its container has ended like this.
fn decide_as_plank(decorated: bool, terminated: &Value) -> (ProwJobState, String) {
    let mut job = ProwJob::new("pj", Default::default());
    job.spec.agent = ProwJobAgent::kubernetes();
    job.spec.decoration_config = decorated.then(DecorationConfig::default);
    job.status = Some(ProwJobStatus {
        state: ProwJobState::Pending,
        build_id: "7".into(),
        ..ProwJobStatus::default()
    });
    let limit = json!({"limits": {"memory": "64Mi"}});
    let pod: PrunedPod = serde_json::from_value(json!({
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
    let seen = ObservedJob::new(&job, Some(&pod));
    let step = decide_next_step(&seen, &TransitionSettings::default(), Timestamp::UNIX_EPOCH).step;
    let TransitionStep::Change(ProwJobChange::Complete { state, description }) = step else {
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
        let (state, description) = decide_as_plank(decorated, &terminated);
        let left = StoredOutput {
            log: "step 1\n",
            ..StoredOutput::default()
        };
        assert_eq!(reported_texts(state, &description, &left), (title, Some(description)));
    }
}
