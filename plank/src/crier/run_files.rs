//! What crier writes of a run where its pod could not: `started.json` and `finished.json`. Pure.

use common::prowjob::{ProwJob, ProwJobState};
use jiff::Timestamp;
use podutils::{
    JobSpec,
    clonerefs::CloneRecord,
    metadata::{StartedMetadata, requested_revision},
};
use serde::Serialize;
use serde_json::{Value, json};

/// The writer of the file; a pod's files do not name theirs.
const UPLOADER: (&str, &str) = ("uploader", "crier");

/// JSON as Prow's crier writes it.
pub(super) fn to_indented_json(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
    value
        .serialize(&mut serializer)
        .expect("what is written is JSON");
    text
}

/// `started.json` of a job that has started; Prow's crier writes none for a job without refs.
pub(super) fn started_json(job: &ProwJob, records: &[CloneRecord]) -> Option<Value> {
    let spec = job_spec(job)?;
    let start = job.status.as_ref()?.start_time.as_ref();
    let start = start.map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let started = StartedMetadata::new(&spec, records, start);
    let mut started = serde_json::to_value(started).expect("this is JSON");
    started["metadata"] = json!({UPLOADER.0: UPLOADER.1});
    Some(started)
}

/// Whether an existing `started.json` may be improved: crier wrote it before the commit that was
/// checked out was known.
pub(super) fn is_provisional(job: &ProwJob, there: &[u8]) -> bool {
    let Ok(there) = serde_json::from_slice::<Value>(there) else {
        return false;
    };
    let commit = there["repo-commit"].as_str().unwrap_or_default();
    let asked = job
        .spec
        .main_refs()
        .map(requested_revision)
        .unwrap_or_default();
    there["metadata"][UPLOADER.0] == UPLOADER.1 && (commit.is_empty() || commit == asked)
}

/// `finished.json` of a job that is complete.
pub(super) fn finished_json(job: &ProwJob) -> Option<Value> {
    let status = job.status.as_ref()?;
    let completion = status.completion_time.as_ref()?;
    Some(json!({
        "timestamp": completion.0.as_second(),
        "passed": status.state == ProwJobState::Success,
        "result": status.state,
        "metadata": {UPLOADER.0: UPLOADER.1},
    }))
}

fn job_spec(job: &ProwJob) -> Option<JobSpec> {
    Some(JobSpec {
        job_type: job.spec.job_type,
        job: job.spec.job.clone(),
        build_id: job.status.as_ref()?.build_id.clone(),
        refs: job.spec.refs.clone(),
        extra_refs: job.spec.extra_refs.clone(),
        ..JobSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use common::prowjob::{ProwJobStatus, Refs};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn job() -> ProwJob {
        let time = |text: &str| Some(Time(text.parse().unwrap()));
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.refs = Some(Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            base_sha: "base".into(),
            ..Refs::default()
        });
        job.status = Some(ProwJobStatus {
            state: ProwJobState::Error,
            start_time: time("2026-08-01T00:00:00Z"),
            completion_time: time("2026-08-01T00:01:00Z"),
            ..ProwJobStatus::default()
        });
        job
    }

    #[test]
    fn the_files_say_who_wrote_them() {
        let mut job = job();
        assert_eq!(
            started_json(&job, &[]).unwrap(),
            json!({
                "timestamp": 1_785_542_400, "repos": {"o/r": "main:base"},
                "repo-commit": "base", "repo-version": "base",
                "metadata": {"uploader": "crier"},
            })
        );
        assert_eq!(
            finished_json(&job).unwrap(),
            json!({
                "timestamp": 1_785_542_460, "passed": false, "result": "error",
                "metadata": {"uploader": "crier"},
            })
        );
        job.spec.refs = None;
        let periodics = started_json(&job, &[]).unwrap();
        assert_eq!(periodics["timestamp"], 1_785_542_400);
        assert_eq!(periodics["metadata"]["uploader"], "crier");
        job.status.as_mut().unwrap().completion_time = None;
        assert_eq!(finished_json(&job), None, "a job that runs");
    }

    #[test]
    fn what_a_pod_wrote_is_left_alone() {
        let job = job();
        let own = to_indented_json(&started_json(&job, &[]).unwrap());
        assert!(is_provisional(&job, &own));
        let record = CloneRecord {
            refs: job.spec.refs.clone().unwrap(),
            final_sha: "merged".into(),
            ..CloneRecord::default()
        };
        let resolved = to_indented_json(&started_json(&job, &[record]).unwrap());
        assert!(!is_provisional(&job, &resolved));
        assert!(!is_provisional(
            &job,
            br#"{"timestamp": 1, "repo-commit": "base"}"#
        ));
        assert!(!is_provisional(&job, b"not JSON"));
    }

    #[test]
    fn json_is_indented_by_tabs() {
        assert_eq!(
            to_indented_json(&json!({"a": [1]})),
            b"{\n\t\"a\": [\n\t\t1\n\t]\n}"
        );
    }
}
