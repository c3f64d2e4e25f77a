//! The commit status that is reported of a job, and its text. Pure.

use common::{
    config::GithubReporterConfig,
    github::{CommitStatus, GithubError, StatusState},
    prowjob::{ProwJob, ProwJobState, ProwJobType},
    untrusted_text,
};

/// GitHub's limit of a description, applied to bytes as in Prow.
const MAX_DESCRIPTION: usize = 140;
/// Most characters of a text that are read; of a longer text both ends are shown.
const MAX_TEXT: usize = 10_000;
const ELISION: &str = " ... ";
/// Tide reads the commit that follows it.
const BASE_SHA: &str = " BaseSHA:";
/// A wide space, which moves the commit out of view in GitHub's list.
const PADDING: char = '\u{2001}';
const GERRIT_LABEL: &str = "prow.k8s.io/gerrit-report-label";

/// A commit status and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatusReport {
    pub org: String,
    pub repo: String,
    pub sha: String,
    pub status: CommitStatus,
}

/// Whether the job's states are reported on GitHub.
pub fn is_reported(job: &ProwJob, report_agent: &str) -> bool {
    let spec = &job.spec;
    let labels = job.metadata.labels.as_ref();
    let gerrit = labels.is_some_and(|labels| labels.contains_key(GERRIT_LABEL));
    let kind = matches!(
        spec.job_type,
        ProwJobType::Presubmit | ProwJobType::Postsubmit
    );
    let agent = report_agent.is_empty() || spec.agent.0 == report_agent;
    spec.report && !gerrit && kind && agent && job.state() != ProwJobState::Scheduling
}

/// The commit status for the job's state; `None` where this job gets none.
pub fn build_status_report(
    job: &ProwJob,
    config: &GithubReporterConfig,
) -> Option<CommitStatusReport> {
    let refs = job.spec.refs.as_ref()?;
    if !config.job_types_to_report.contains(&job.spec.job_type) || refs.pulls.len() > 1 {
        return None;
    }
    let sha = refs.pulls.first().map_or(&refs.base_sha, |pull| &pull.sha);
    let status = job.status.clone().unwrap_or_default();
    Some(CommitStatusReport {
        org: refs.org.clone(),
        repo: refs.repo.clone(),
        sha: sha.clone(),
        status: CommitStatus {
            state: to_status_state(job.state())?,
            context: job.spec.context.clone(),
            description: status_description(&status.description, &refs.base_sha),
            target_url: status.url,
        },
    })
}

fn to_status_state(state: ProwJobState) -> Option<StatusState> {
    match state {
        ProwJobState::Scheduling => None,
        ProwJobState::Triggered | ProwJobState::Pending => Some(StatusState::Pending),
        ProwJobState::Success => Some(StatusState::Success),
        ProwJobState::Failure | ProwJobState::Aborted => Some(StatusState::Failure),
        ProwJobState::Error => Some(StatusState::Error),
    }
}

/// Whether GitHub refuses this status for good: it counts as reported and is given up.
pub fn is_permanent_refusal(error: &GithubError) -> bool {
    match error {
        GithubError::NotFound(_) => true,
        GithubError::Invalid(text) => {
            text.contains("This SHA and context has reached the maximum number of statuses")
                || text.contains("No commit found for SHA")
        }
        _ => false,
    }
}

/// The text, and the job's base commit where Tide looks for it.
fn status_description(text: &str, base_sha: &str) -> String {
    let mut text = untrusted_text::escape_plain(text, MAX_TEXT);
    if base_sha.is_empty() {
        return truncate_middle(&text, MAX_DESCRIPTION);
    }
    let suffix = format!("{BASE_SHA}{base_sha}");
    // Prow's own loop, which counts a pad as one byte in one place and as three in another.
    let mut pads = 0;
    while text.len() + suffix.len() + pads < MAX_DESCRIPTION {
        text.push(PADDING);
        pads += 1;
    }
    truncate_middle(&text, MAX_DESCRIPTION.saturating_sub(suffix.len())) + &suffix
}

/// At most `max` bytes, the middle left out.
fn truncate_middle(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let half = max.saturating_sub(ELISION.len()) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{}{ELISION}{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use common::prowjob::{ProwJobAgent, ProwJobStatus, Pull, Refs, labels};

    use super::*;

    const SHA: &str = "0123456789012345678901234567890123456789";

    fn job(state: ProwJobState) -> ProwJob {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.job_type = ProwJobType::Presubmit;
        job.spec.agent = ProwJobAgent::kubernetes();
        job.spec.report = true;
        job.spec.context = "ci/unit".into();
        job.spec.refs = Some(Refs {
            org: "o".into(),
            repo: "r".into(),
            base_sha: SHA.into(),
            pulls: vec![Pull {
                number: 7,
                sha: "head".into(),
                ..Pull::default()
            }],
            ..Refs::default()
        });
        job.status = Some(ProwJobStatus {
            state,
            url: "http://deck/7".into(),
            description: "Job succeeded.".into(),
            ..ProwJobStatus::default()
        });
        job
    }

    #[test]
    fn states_map_as_prows() {
        for (state, expected) in [
            (ProwJobState::Triggered, Some(StatusState::Pending)),
            (ProwJobState::Pending, Some(StatusState::Pending)),
            (ProwJobState::Success, Some(StatusState::Success)),
            (ProwJobState::Failure, Some(StatusState::Failure)),
            (ProwJobState::Aborted, Some(StatusState::Failure)),
            (ProwJobState::Error, Some(StatusState::Error)),
            (ProwJobState::Scheduling, None),
        ] {
            let told = build_status_report(&job(state), &GithubReporterConfig::default());
            assert_eq!(told.map(|report| report.status.state), expected, "{state}");
        }
    }

    #[test]
    fn a_presubmit_reports_on_its_head_and_a_postsubmit_on_its_base() {
        let presubmit = job(ProwJobState::Success);
        let told = build_status_report(&presubmit, &GithubReporterConfig::default()).unwrap();
        assert_eq!(
            (told.org.as_str(), told.repo.as_str(), told.sha.as_str()),
            ("o", "r", "head")
        );
        assert_eq!(told.status.context, "ci/unit");
        assert_eq!(told.status.target_url, "http://deck/7");
        let mut postsubmit = presubmit.clone();
        postsubmit.spec.job_type = ProwJobType::Postsubmit;
        postsubmit.spec.refs.as_mut().unwrap().pulls.clear();
        assert_eq!(
            build_status_report(&postsubmit, &GithubReporterConfig::default())
                .unwrap()
                .sha,
            SHA
        );

        let only_post = GithubReporterConfig {
            job_types_to_report: vec![ProwJobType::Postsubmit],
            ..GithubReporterConfig::default()
        };
        assert_eq!(build_status_report(&presubmit, &only_post), None);
        let mut batch = presubmit;
        batch
            .spec
            .refs
            .as_mut()
            .unwrap()
            .pulls
            .push(Pull::default());
        assert_eq!(
            build_status_report(&batch, &GithubReporterConfig::default()),
            None
        );
    }

    #[test]
    fn jobs_that_nobody_asked_about_are_not_reported() {
        let edited = |edit: fn(&mut ProwJob)| {
            let mut job = job(ProwJobState::Success);
            edit(&mut job);
            job
        };
        for (name, job, expected) in [
            ("a presubmit", job(ProwJobState::Success), true),
            (
                "a postsubmit",
                edited(|job| job.spec.job_type = ProwJobType::Postsubmit),
                true,
            ),
            (
                "optional",
                edited(|job| {
                    job.metadata.labels =
                        Some([(labels::IS_OPTIONAL.into(), "true".into())].into());
                }),
                true,
            ),
            ("skip_report", edited(|job| job.spec.report = false), false),
            ("scheduling", job(ProwJobState::Scheduling), false),
            (
                "a periodic",
                edited(|job| job.spec.job_type = ProwJobType::Periodic),
                false,
            ),
            (
                "a batch",
                edited(|job| job.spec.job_type = ProwJobType::Batch),
                false,
            ),
            (
                "another agent",
                edited(|job| job.spec.agent = ProwJobAgent("jenkins".into())),
                false,
            ),
            (
                "gerrit's",
                edited(|job| {
                    job.metadata.labels = Some([(GERRIT_LABEL.into(), "x".into())].into());
                }),
                false,
            ),
        ] {
            assert_eq!(is_reported(&job, "kubernetes"), expected, "{name}");
        }
    }

    #[test]
    fn the_base_commit_is_out_of_sight_and_where_tide_looks() {
        let text = status_description("Job succeeded.", SHA);
        assert_eq!(
            text,
            format!("Job succeeded.{} BaseSHA:{SHA}", "\u{2001}".repeat(20))
        );
        assert_eq!(text.len(), 123);
        let long = status_description(&"é".repeat(100), SHA);
        assert!(
            long.len() <= 140 && long.contains(" ... ") && long.ends_with(SHA),
            "{long}"
        );
        assert_eq!(status_description("short", ""), "short");
        assert_eq!(
            status_description("a\nb\u{1b}[31m\u{202e}", ""),
            "a b\\u{1b}[31m\\u{202e}"
        );
        assert_eq!(status_description(&"x".repeat(141), "").len(), 139);
    }

    #[test]
    fn some_refusals_are_final() {
        for (error, expected) in [
            (GithubError::NotFound("gone".into()), true),
            (
                GithubError::Invalid("422 No commit found for SHA: x".into()),
                true,
            ),
            (
                GithubError::Invalid(
                    "This SHA and context has reached the maximum number of statuses.".into(),
                ),
                true,
            ),
            (GithubError::Invalid("Validation Failed".into()), false),
            (GithubError::Forbidden("403".into()), false),
        ] {
            assert_eq!(is_permanent_refusal(&error), expected, "{error}");
        }
    }
}
