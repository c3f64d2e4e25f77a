//! Where people look at a run: Deck's page of it.

use common::{
    config::Plank,
    prowjob::{ProwJob, ProwJobSpec},
    storage::{Bucket, paths},
};
use url::Url;

/// Why `plank.job_url_template` cannot be rendered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    #[error(
        "plank.job_url_template: only plain fields as in {{{{.Spec.Job}}}} are supported yet, not {{{{{0}}}}}"
    )]
    Unsupported(String),
    #[error("plank.job_url_template: {{{{ is never closed")]
    Unclosed,
}

/// The URL of a run; empty when nothing is configured or a value is missing.
///
/// Decorated jobs get `job_url_prefix_config` and the storage path, others `job_url_template`.
pub fn job_url(config: &Plank, job: &ProwJob, build_id: &str) -> String {
    storage_url(config, &job.spec, build_id)
        .or_else(|| {
            render(&config.job_url_template, job, build_id)
                .ok()
                .flatten()
        })
        .unwrap_or_default()
}

/// Checks a template without rendering it.
pub fn check_template(template: &str) -> Result<(), TemplateError> {
    render(template, &ProwJob::new("", ProwJobSpec::default()), "").map(drop)
}

/// The key of a decorated run's folder in its bucket, for the token that opens it.
pub fn storage_dir(spec: &ProwJobSpec, build_id: &str) -> Option<String> {
    let config = spec
        .decoration_config
        .as_ref()?
        .gcs_configuration
        .as_ref()?;
    let job = paths::Job {
        job_type: spec.job_type,
        name: &spec.job,
        build_id,
        refs: spec.main_refs(),
    };
    paths::job_dir(config, &job).ok()
}

fn storage_url(config: &Plank, spec: &ProwJobSpec, build_id: &str) -> Option<String> {
    let mut url = Url::parse(config.job_url_prefix(spec)).ok()?;
    let storage = spec
        .decoration_config
        .as_ref()?
        .gcs_configuration
        .as_ref()?;
    let view = Bucket::parse(&storage.bucket).ok()?.view_path();
    let view = match (
        config.job_url_prefix_disable_append_storage_provider,
        view.split_once('/'),
    ) {
        (true, Some((_, rest))) => rest.to_owned(),
        (true, None) => String::new(),
        (false, _) => view,
    };
    let dir = storage_dir(spec, build_id)?;
    let mut segments = url.path_segments_mut().ok()?;
    segments.pop_if_empty();
    segments.extend(
        view.split('/')
            .chain(dir.split('/'))
            .filter(|part| !part.is_empty()),
    );
    drop(segments);
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

/// `Ok(None)` if the job lacks a field that the template names, as upstream's error does.
fn render(template: &str, job: &ProwJob, build_id: &str) -> Result<Option<String>, TemplateError> {
    let (mut text, mut rest) = (String::new(), template);
    let mut complete = true;
    while let Some((before, tail)) = rest.split_once("{{") {
        let (action, after) = tail.split_once("}}").ok_or(TemplateError::Unclosed)?;
        let name = action
            .trim_matches(|c: char| c.is_whitespace() || c == '-')
            .trim();
        let value = field(name, job, build_id);
        let value = value.ok_or_else(|| TemplateError::Unsupported(action.trim().to_owned()))?;
        text.push_str(before);
        match value {
            Some(value) => text.push_str(&value),
            None => complete = false,
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(complete.then_some(text))
}

/// A field by its Go name: `None` for one that is not known, `Some(None)` for a missing value.
fn field(name: &str, job: &ProwJob, build_id: &str) -> Option<Option<String>> {
    let spec = &job.spec;
    let status = job.status.clone().unwrap_or_default();
    if let Some(name) = name.strip_prefix(".Spec.Refs.") {
        let refs = spec.refs.clone();
        let value = |pick: fn(common::prowjob::Refs) -> String| Some(refs.map(pick));
        return match name {
            "Org" => value(|refs| refs.org),
            "Repo" => value(|refs| refs.repo),
            "RepoLink" => value(|refs| refs.repo_link),
            "BaseRef" => value(|refs| refs.base_ref),
            "BaseSHA" => value(|refs| refs.base_sha),
            _ => None,
        };
    }
    let value = match name {
        ".Name" | ".ObjectMeta.Name" => job.metadata.name.clone().unwrap_or_default(),
        ".Namespace" | ".ObjectMeta.Namespace" => {
            job.metadata.namespace.clone().unwrap_or_default()
        }
        ".Spec.Job" => spec.job.clone(),
        ".Spec.Type" => spec.job_type.to_string(),
        ".Spec.Agent" => spec.agent.0.clone(),
        ".Spec.Context" => spec.context.clone(),
        ".Spec.Cluster" => spec.cluster.clone(),
        ".Spec.Namespace" => spec.namespace.clone(),
        ".Status.BuildID" => build_id.to_owned(),
        ".Status.PodName" => job.metadata.name.clone().unwrap_or_default(),
        ".Status.State" => status.state.to_string(),
        _ => return None,
    };
    Some(Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(bucket: Option<&str>) -> ProwJob {
        let mut spec: ProwJobSpec = serde_json::from_value(json!({
            "type": "presubmit", "job": "unit",
            "refs": {"org": "o", "repo": "r", "pulls": [{"number": 7}]},
        }))
        .unwrap();
        if let Some(bucket) = bucket {
            spec.decoration_config = serde_json::from_value(json!({
                "gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"},
            }))
            .unwrap();
        }
        ProwJob::new("pj", spec)
    }

    fn plank(json: serde_json::Value) -> Plank {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_decorated_job_is_shown_from_its_storage() {
        for (prefix, bucket, url) in [
            (
                "https://prow.k8s.io/view/",
                "gs://b/x",
                "https://prow.k8s.io/view/gs/b/x/pr-logs/pull/o_r/7/unit/9",
            ),
            (
                "http://127.0.0.1:8080/view",
                "http://127.0.0.1:8080/storage",
                "http://127.0.0.1:8080/view/storage/pr-logs/pull/o_r/7/unit/9",
            ),
        ] {
            let config = plank(json!({"job_url_prefix_config": {"*": prefix}}));
            assert_eq!(job_url(&config, &job(Some(bucket)), "9"), url);
        }
        let bare = plank(json!({
            "job_url_prefix_config": {"*": "https://p/view/gcs"},
            "jobURLPrefixDisableAppendStorageProvider": true,
        }));
        assert_eq!(
            job_url(&bare, &job(Some("b")), "9"),
            "https://p/view/gcs/b/pr-logs/pull/o_r/7/unit/9"
        );
    }

    #[test]
    fn others_are_shown_by_the_template() {
        let config = plank(json!({
            "job_url_prefix_config": {"*": "https://p/view"},
            "job_url_template": "https://p/view/prowjob/{{.Spec.Job}}/{{ .Status.BuildID }}",
        }));
        assert_eq!(
            job_url(&config, &job(None), "9"),
            "https://p/view/prowjob/unit/9"
        );
        let by_repo = plank(json!({"job_url_template": "https://p/{{.Spec.Refs.Org}}"}));
        let mut periodic = job(None);
        periodic.spec.refs = None;
        assert_eq!(job_url(&by_repo, &periodic, "9"), "");
        assert_eq!(job_url(&plank(json!({})), &periodic, "9"), "");
    }

    #[test]
    fn a_template_that_cannot_be_rendered_is_told() {
        assert_eq!(check_template("x{{.Spec.Job}}y"), Ok(()));
        assert_eq!(
            check_template("{{if .Spec.Refs}}x{{end}}")
                .unwrap_err()
                .to_string(),
            "plank.job_url_template: only plain fields as in {{.Spec.Job}} are supported yet, not {{if .Spec.Refs}}"
        );
        assert_eq!(check_template("{{.Spec"), Err(TemplateError::Unclosed));
    }
}
