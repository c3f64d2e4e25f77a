//! The variables that tell a job's containers about their job.

use std::collections::BTreeMap;

use common::prowjob::{ProwJobSpec, ProwJobType, Refs};
use podutils::JobSpec;
use serde_json::Value;

use super::{
    DecorateError,
    json::{go_json, literal_env_var},
};

/// Variables by name: sorted, as Prow writes them.
pub(super) type JobEnvironment = BTreeMap<&'static str, String>;

/// The variables that every job gets, after its own.
pub(super) fn env_for_spec(
    spec: &ProwJobSpec,
    job_spec: &JobSpec,
) -> Result<JobEnvironment, DecorateError> {
    let mut all = JobEnvironment::from([
        ("CI", "true".to_owned()),
        ("JOB_NAME", spec.job.clone()),
        ("JOB_TYPE", spec.job_type.to_string()),
        (JobSpec::ENV, go_json(job_spec)),
        ("BUILD_ID", job_spec.build_id.clone()),
        ("PROW_JOB_ID", job_spec.prow_job_id.clone()),
    ]);
    if spec.agent.is_kubernetes() {
        all.insert("BUILD_NUMBER", job_spec.build_id.clone());
    }
    if spec.job_type == ProwJobType::Periodic {
        return Ok(all);
    }
    let kind = spec.job_type.as_str();
    let refs = match &spec.refs {
        Some(refs) => refs,
        // A job without a type may lack refs, too: it gets what there is. Upstream's plank fails
        // here.
        None if spec.job_type.is_unset() => return Ok(all),
        None => return Err(DecorateError::Missing(kind, "refs")),
    };
    let (host, base) = split_import_path(refs);
    all.extend([
        ("REPO_OWNER", refs.org.clone()),
        ("REPO_NAME", refs.repo.clone()),
        ("SRC_HOST", host),
        ("SRC_BASE", base),
        ("PULL_BASE_REF", refs.base_ref.clone()),
        ("PULL_BASE_SHA", refs.base_sha.clone()),
        ("PULL_REFS", refs.to_string()),
    ]);
    if matches!(spec.job_type, ProwJobType::Postsubmit | ProwJobType::Batch) {
        return Ok(all);
    }
    let pull = match refs.pulls.first() {
        Some(pull) => pull,
        None if spec.job_type.is_unset() => return Ok(all),
        None => return Err(DecorateError::Missing(kind, "a pull request in refs.pulls")),
    };
    all.extend([
        ("PULL_NUMBER", pull.number.to_string()),
        ("PULL_PULL_SHA", pull.sha.clone()),
        ("PULL_HEAD_REF", pull.head_ref.clone()),
        ("PULL_TITLE", pull.title.clone()),
    ]);
    Ok(all)
}

pub(super) fn env_vars(environment: &JobEnvironment) -> Vec<Value> {
    environment
        .iter()
        .map(|(name, value)| literal_env_var(name, value))
        .collect()
}

/// Host and path of the source: the first segment of the import path, and the rest.
fn split_import_path(refs: &Refs) -> (String, String) {
    let path = refs.import_path();
    match path.split_once('/') {
        Some((host, base)) => (host.to_owned(), base.to_owned()),
        None => (path, refs.org_repo()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_type_gets_what_there_is() {
        let refs = |pulls: serde_json::Value| serde_json::json!({"org": "o", "pulls": pulls});
        for (refs, has_repo, has_pull) in [
            (serde_json::json!(null), false, false),
            (refs(serde_json::json!([])), true, false),
            (refs(serde_json::json!([{"number": 7}])), true, true),
        ] {
            let spec = serde_json::json!({"job": "unit", "refs": refs});
            let spec: ProwJobSpec = serde_json::from_value(spec).unwrap();
            let all = env_for_spec(&spec, &JobSpec::default()).unwrap();
            assert_eq!(all["JOB_TYPE"], "");
            assert_eq!(all.contains_key("REPO_OWNER"), has_repo);
            assert_eq!(all.contains_key("PULL_NUMBER"), has_pull);
        }
    }

    #[test]
    fn the_source_follows_alias_then_link_then_github() {
        let refs = |alias: &str, link: &str| Refs {
            org: "o".into(),
            repo: "r".into(),
            path_alias: alias.into(),
            repo_link: link.into(),
            ..Refs::default()
        };
        for (refs, host, base) in [
            (refs("", ""), "github.com", "o/r"),
            (
                refs("k8s.io/test-infra", "https://x/y"),
                "k8s.io",
                "test-infra",
            ),
            (refs("k8s.io", ""), "k8s.io", "o/r"),
            (
                refs("", "https://git.example.com/a/b"),
                "git.example.com",
                "a/b",
            ),
        ] {
            assert_eq!(
                split_import_path(&refs),
                (host.to_owned(), base.to_owned()),
                "{refs:?}"
            );
        }
    }
}
