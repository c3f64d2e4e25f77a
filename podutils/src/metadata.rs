//! `started.json` and `finished.json`: the two files that say how a run went.

use std::collections::BTreeMap;

use common::prowjob::Refs;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::JobSpec;
use crate::clonerefs::Record;

/// `started.json`. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Started {
    timestamp: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pull: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    repos: BTreeMap<String, String>,
    #[serde(rename = "repo-commit", skip_serializing_if = "String::is_empty")]
    repo_commit: String,
    /// The same; readers exist for both.
    #[serde(rename = "repo-version", skip_serializing_if = "String::is_empty")]
    repo_version: String,
}

impl Started {
    /// The version is what was really checked out, if the records tell; else what was asked for.
    #[must_use]
    pub fn new(spec: &JobSpec, records: &[Record], now: Timestamp) -> Self {
        let main = spec.main_refs();
        let version = main.map_or_else(String::new, |main| {
            let cloned = records
                .iter()
                .find(|r| r.refs == *main && !r.final_sha.is_empty());
            cloned.map_or_else(|| revision(main), |r| r.final_sha.clone())
        });
        let pull = spec.refs.as_ref().and_then(|refs| refs.pulls.first());
        Self {
            timestamp: now.as_second(),
            pull: pull.map_or_else(String::new, |p| p.number.to_string()),
            repos: spec
                .refs
                .iter()
                .chain(&spec.extra_refs)
                .map(|r| (r.org_repo(), r.to_string()))
                .collect(),
            repo_commit: version.clone(),
            repo_version: version,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Aborted,
}

/// `finished.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finished {
    timestamp: i64,
    passed: bool,
    result: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    revision: String,
}

impl Finished {
    pub(crate) fn new(
        spec: &JobSpec,
        outcome: Outcome,
        metadata: Map<String, Value>,
        now: Timestamp,
    ) -> Self {
        Self {
            timestamp: now.as_second(),
            passed: outcome == Outcome::Success,
            result: match outcome {
                Outcome::Success => "SUCCESS",
                Outcome::Failure => "FAILURE",
                Outcome::Aborted => "ABORTED",
            },
            metadata,
            revision: spec.main_refs().map_or_else(String::new, revision),
        }
    }
}

/// What was asked for: the pull request's commit, else the base's, else the base's name.
#[must_use]
pub fn revision(refs: &Refs) -> String {
    let pull = refs.pulls.first().map(|p| p.sha.as_str());
    [pull.unwrap_or_default(), &refs.base_sha, &refs.base_ref]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;
    use serde_json::json;

    use super::*;

    fn refs() -> Refs {
        let pulls = vec![Pull {
            number: 7,
            sha: "pull".into(),
            ..Pull::default()
        }];
        Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            base_sha: "base".into(),
            pulls,
            ..Refs::default()
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_348_800).unwrap()
    }

    #[test]
    fn started_tells_what_was_checked_out() {
        let extra = Refs {
            org: "o".into(),
            repo: "x".into(),
            base_ref: "dev".into(),
            ..Refs::default()
        };
        let spec = JobSpec {
            refs: Some(refs()),
            extra_refs: vec![extra],
            ..JobSpec::default()
        };
        let record = Record {
            refs: refs(),
            final_sha: "merged".into(),
            ..Record::default()
        };
        for (records, version) in [
            (vec![], "pull"),
            (vec![record], "merged"),
            (vec![Record::default()], "pull"),
        ] {
            assert_eq!(
                serde_json::to_value(Started::new(&spec, &records, now())).unwrap(),
                json!({
                    "timestamp": 1_795_348_800, "pull": "7",
                    "repos": {"o/r": "main:base,7:pull", "o/x": "dev"},
                    "repo-commit": version, "repo-version": version,
                })
            );
        }
        let bare = serde_json::to_value(Started::new(&JobSpec::default(), &[], now())).unwrap();
        assert_eq!(bare, json!({"timestamp": 1_795_348_800}));
    }

    #[test]
    fn finished_tells_how_it_ended() {
        let spec = JobSpec {
            refs: Some(refs()),
            ..JobSpec::default()
        };
        for (outcome, passed, result) in [
            (Outcome::Success, true, "SUCCESS"),
            (Outcome::Failure, false, "FAILURE"),
            (Outcome::Aborted, false, "ABORTED"),
        ] {
            let metadata = Map::from_iter([("k".to_owned(), json!(1))]);
            assert_eq!(
                serde_json::to_value(Finished::new(&spec, outcome, metadata, now())).unwrap(),
                json!({"timestamp": 1_795_348_800, "passed": passed, "result": result, "metadata": {"k": 1}, "revision": "pull"})
            );
        }
    }
}
