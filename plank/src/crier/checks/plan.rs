//! What a check run says about a job. Pure.

use std::collections::BTreeMap;

use common::{
    failure_digest::{AnnotationLevel, DigestAnnotation, FailureDigest},
    github::{CheckAnnotation, CheckConclusion, CheckOutput, CheckRunChange, CheckStatus},
    prowjob::{ProwJob, ProwJobState},
    untrusted_text,
};

use crate::crier::{digest::markdown, quote::MAX_TEXT};

/// Most characters of a title; GitHub takes 255.
const MAX_TITLE: usize = 200;

/// The check run for the job's state, without annotations. `losses` is what was not stored.
#[must_use]
pub fn check_run_change(
    job: &ProwJob,
    digest: Option<&FailureDigest>,
    losses: &str,
) -> CheckRunChange {
    let status = job.status.clone().unwrap_or_default();
    let time = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.map(|time| time.0.to_string())
    };
    let (check, conclusion) = match status.state {
        ProwJobState::Scheduling | ProwJobState::Triggered => (CheckStatus::Queued, None),
        ProwJobState::Pending => (CheckStatus::InProgress, None),
        ProwJobState::Success => (CheckStatus::Completed, Some(CheckConclusion::Success)),
        ProwJobState::Failure | ProwJobState::Error => {
            (CheckStatus::Completed, Some(CheckConclusion::Failure))
        }
        ProwJobState::Aborted => (CheckStatus::Completed, Some(CheckConclusion::Cancelled)),
    };
    let has_page = status.url.starts_with("http://") || status.url.starts_with("https://");
    CheckRunChange {
        status: check,
        conclusion,
        output: Some(check_output(
            &status.description,
            status.state,
            &status.url,
            digest,
            losses,
        )),
        details_url: has_page.then_some(status.url),
        started_at: time(status.pending_time),
        completed_at: conclusion.and(time(status.completion_time)),
    }
}

fn check_output(
    description: &str,
    state: ProwJobState,
    url: &str,
    digest: Option<&FailureDigest>,
    losses: &str,
) -> CheckOutput {
    let told = match description.trim() {
        "" => state.as_str(),
        description => description,
    };
    let title = match (state, digest) {
        (ProwJobState::Error, _) => format!("infrastructure: {told}"),
        (_, Some(digest)) => markdown::digest_title(digest),
        (_, None) => told.to_owned(),
    };
    CheckOutput {
        title: untrusted_text::escape_plain(&title, MAX_TITLE),
        summary: format!(
            "{}{}",
            untrusted_text::escape_code_span(told, MAX_TEXT),
            markdown::render_losses(losses)
        )
        .trim_end()
        .to_owned(),
        text: digest.map_or_else(String::new, |digest| markdown::render_digest(url, digest)),
        annotations: Vec::new(),
    }
}

/// The same change with a batch of annotations.
pub(super) fn with_annotations(
    change: &CheckRunChange,
    batch: &[CheckAnnotation],
) -> CheckRunChange {
    let mut change = change.clone();
    if let Some(output) = &mut change.output {
        output.annotations = batch.to_vec();
    }
    change
}

/// Whether a refusal says that the client may not have check runs at all. These are GitHub's texts
/// for an App without the permission and for a client that is no App; others are about an archived
/// repository, say.
pub(super) fn lacks_permission(refusal: &str) -> bool {
    [
        "Resource not accessible by",
        "You must authenticate via a GitHub App",
    ]
    .iter()
    .any(|words| refusal.contains(words))
}

/// A path's folder, empty for the root, and its name.
pub(super) fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The annotations on files that are in these folders.
pub(super) fn check_annotations(
    remarks: &[DigestAnnotation],
    folders: &BTreeMap<&str, Vec<String>>,
) -> Vec<CheckAnnotation> {
    let is_there = |remark: &&DigestAnnotation| {
        let (folder, name) = split_path(&remark.path);
        let names = folders.get(folder);
        names.is_some_and(|names| names.iter().any(|there| there == name))
    };
    let annotation = |remark: &DigestAnnotation| CheckAnnotation {
        path: remark.path.clone(),
        start_line: remark.line,
        end_line: remark.line,
        annotation_level: match remark.level {
            AnnotationLevel::Failure => "failure",
            AnnotationLevel::Warning => "warning",
            AnnotationLevel::Notice => "notice",
        }
        .to_owned(),
        // GitHub requires a text.
        message: match remark.message.as_str() {
            "" => "failed here".to_owned(),
            message => untrusted_text::escape_plain(message, MAX_TEXT),
        },
    };
    remarks.iter().filter(is_there).map(annotation).collect()
}

#[cfg(test)]
mod tests {
    use common::{failure_digest::FailureKind, prowjob::ProwJobStatus};

    use super::*;

    fn told(
        state: ProwJobState,
        description: &str,
        digest: Option<&FailureDigest>,
    ) -> CheckRunChange {
        let mut job = ProwJob::new("pj", Default::default());
        job.status = Some(ProwJobStatus {
            state,
            description: description.into(),
            url: "https://deck/7".into(),
            ..ProwJobStatus::default()
        });
        check_run_change(&job, digest, "")
    }

    #[test]
    fn only_a_missing_permission_ends_check_runs_for_an_organisation() {
        for (refusal, lacks) in [
            ("Resource not accessible by integration", true),
            ("Resource not accessible by personal access token", true),
            ("You must authenticate via a GitHub App.", true),
            ("Repository was archived so is read-only.", false),
            ("Repository access blocked", false),
            ("", false),
        ] {
            assert_eq!(lacks_permission(refusal), lacks, "{refusal}");
        }
    }

    #[test]
    fn states_are_checks() {
        use CheckConclusion::{Cancelled, Failure, Success};
        use CheckStatus::{Completed, InProgress, Queued};
        for (state, status, conclusion) in [
            (ProwJobState::Triggered, Queued, None),
            (ProwJobState::Pending, InProgress, None),
            (ProwJobState::Success, Completed, Some(Success)),
            (ProwJobState::Failure, Completed, Some(Failure)),
            (ProwJobState::Error, Completed, Some(Failure)),
            (ProwJobState::Aborted, Completed, Some(Cancelled)),
        ] {
            let change = told(state, "d", None);
            assert_eq!(
                (change.status, change.conclusion),
                (status, conclusion),
                "{state}"
            );
            assert_eq!(change.details_url.as_deref(), Some("https://deck/7"));
        }
    }

    #[test]
    fn what_was_not_stored_is_told_of_a_success_too() {
        let mut job = ProwJob::new("pj", Default::default());
        job.status = Some(ProwJobStatus {
            state: ProwJobState::Success,
            description: "Job succeeded.".into(),
            ..ProwJobStatus::default()
        });
        let summary = |losses| check_run_change(&job, None, losses).output.unwrap().summary;
        assert_eq!(
            summary("1 file was not stored: a`@all: no."),
            "`Job succeeded.`\n\nNot everything was stored: ``1 file was not stored: a`@all: no.``"
        );
        assert_eq!(summary(""), "`Job succeeded.`");
    }

    #[test]
    fn titles_say_why() {
        let digest = FailureDigest {
            kind: FailureKind::Tests,
            summary: "1 of 3 tests failed: TestFoo".into(),
            ..FailureDigest::default()
        };
        for (state, description, digest, expected) in [
            (
                ProwJobState::Success,
                "Job succeeded.",
                None,
                "Job succeeded.",
            ),
            (
                ProwJobState::Failure,
                "Job failed.",
                Some(&digest),
                "1 of 3 tests failed: TestFoo",
            ),
            (ProwJobState::Failure, "Job failed.", None, "Job failed."),
            (
                ProwJobState::Error,
                "Pod evicted.",
                Some(&digest),
                "infrastructure: Pod evicted.",
            ),
            (ProwJobState::Pending, "", None, "pending"),
        ] {
            let output = told(state, description, digest).output.unwrap();
            assert_eq!(output.title, expected);
            assert!(!output.summary.is_empty());
        }
    }

    #[test]
    fn only_files_that_are_there_are_annotated() {
        let remark = |path: &str| DigestAnnotation {
            path: path.into(),
            line: 3,
            level: AnnotationLevel::Warning,
            message: String::new(),
        };
        let folders = BTreeMap::from([
            ("", vec!["main.go".to_owned()]),
            ("a/b", vec!["c.go".to_owned()]),
        ]);
        let remarks = ["main.go", "a/b/c.go", "a/b/d.go", "x/main.go", "c.go"].map(remark);
        let told: Vec<_> = check_annotations(&remarks, &folders)
            .into_iter()
            .map(|one| format!("{} {}", one.annotation_level, one.path))
            .collect();
        assert_eq!(told, ["warning main.go", "warning a/b/c.go"]);
    }
}
