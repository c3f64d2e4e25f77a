//! `JOB_SPEC`: the description of a job for its own containers and the pod utilities.

use common::prowjob::{DecorationConfig, ProwJobType, Refs};
use serde::{Deserialize, Serialize};

/// The value of `JOB_SPEC`. Plank writes it; initupload and sidecar read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    #[serde(
        rename = "type",
        default,
        skip_serializing_if = "ProwJobType::is_unset"
    )]
    pub job_type: ProwJobType,
    /// May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub job: String,
    #[serde(rename = "buildid", default, skip_serializing_if = "String::is_empty")]
    pub build_id: String,
    #[serde(
        rename = "prowjobid",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub prow_job_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refs: Option<Refs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_refs: Vec<Refs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoration_config: Option<DecorationConfig>,
}

impl JobSpec {
    /// The name of the environment variable.
    pub const ENV: &str = "JOB_SPEC";

    /// The job's main reference: its own, else the first extra reference that is not auxiliary.
    #[must_use]
    pub fn main_refs(&self) -> Option<&Refs> {
        self.refs
            .as_ref()
            .or_else(|| self.extra_refs.iter().find(|refs| !refs.auxiliary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_refs_skip_the_auxiliary_ones() {
        let refs = |org: &str, auxiliary| Refs {
            org: org.into(),
            auxiliary,
            ..Refs::default()
        };
        let spec = JobSpec {
            extra_refs: vec![refs("a", true), refs("b", false)],
            ..JobSpec::default()
        };
        assert_eq!(spec.main_refs().unwrap().org, "b");
        let spec = JobSpec {
            refs: Some(refs("own", false)),
            ..spec
        };
        assert_eq!(spec.main_refs().unwrap().org, "own");
        assert_eq!(JobSpec::default().main_refs(), None);
    }

    #[test]
    fn json_has_prows_names() {
        for json in [
            r#"{"type":"periodic","job":"j","buildid":"7","prowjobid":"p"}"#,
            r#"{"type":"periodic","buildid":"7"}"#,
        ] {
            let spec: JobSpec = serde_json::from_str(json).unwrap();
            assert_eq!(spec.job_type, ProwJobType::Periodic);
            assert_eq!(serde_json::to_string(&spec).unwrap(), json);
        }
    }
}
