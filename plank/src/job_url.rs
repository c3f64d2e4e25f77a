//! The URL of a run: Deck's page for it.

use common::{
    config::PlankConfig,
    prowjob::{ProwJob, ProwJobSpec},
    storage::{Bucket, paths},
    template::{self, GoTemplate},
};
use url::Url;

/// The URL of a run; empty when nothing is configured or a value is missing.
///
/// Decorated jobs get `job_url_prefix_config` and the storage path, others `job_url_template`.
pub fn build_job_url(config: &PlankConfig, job: &ProwJob, build_id: &str) -> String {
    storage_url(config, &job.spec, build_id).unwrap_or_else(|| {
        render_url_template(&config.job_url_template, job, build_id).unwrap_or_else(|error| {
            let job = job.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(job, %error, "plank.job_url_template gives this job no URL");
            String::new()
        })
    })
}

fn render_url_template(
    text: &str,
    job: &ProwJob,
    build_id: &str,
) -> Result<String, template::GoTemplateError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let mut job = job.clone();
    let status = job.status.get_or_insert_default();
    build_id.clone_into(&mut status.build_id);
    status.pod_name = job.metadata.name.clone().unwrap_or_default();
    GoTemplate::parse_template(text)?.render_job(&job)
}

/// The key of a decorated run's folder in its bucket, for the token that opens it.
pub fn storage_dir(spec: &ProwJobSpec, build_id: &str) -> Option<String> {
    let config = spec
        .decoration_config
        .as_ref()?
        .gcs_configuration
        .as_ref()?;
    let job = paths::JobPathParts {
        job_type: spec.job_type,
        name: &spec.job,
        build_id,
        refs: spec.main_refs(),
    };
    paths::job_dir(config, &job).ok()
}

fn storage_url(config: &PlankConfig, spec: &ProwJobSpec, build_id: &str) -> Option<String> {
    let mut url = Url::parse(config.job_url_prefix(spec)).ok()?;
    let storage = spec
        .decoration_config
        .as_ref()?
        .gcs_configuration
        .as_ref()?;
    let view = Bucket::parse_url(&storage.bucket).ok()?.view_path();
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

    fn plank(json: serde_json::Value) -> PlankConfig {
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
            assert_eq!(build_job_url(&config, &job(Some(bucket)), "9"), url);
        }
        let bare = plank(json!({
            "job_url_prefix_config": {"*": "https://p/view/gcs"},
            "jobURLPrefixDisableAppendStorageProvider": true,
        }));
        assert_eq!(
            build_job_url(&bare, &job(Some("b")), "9"),
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
            build_job_url(&config, &job(None), "9"),
            "https://p/view/prowjob/unit/9"
        );
        let by_repo = plank(json!({"job_url_template": "https://p/{{.Spec.Refs.Org}}"}));
        let mut periodic = job(None);
        periodic.spec.refs = None;
        assert_eq!(build_job_url(&by_repo, &periodic, "9"), "");
        assert_eq!(build_job_url(&plank(json!({})), &periodic, "9"), "");
    }
}
