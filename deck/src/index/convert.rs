//! `ProwJob` → [`IndexedJob`]. Strings that several jobs share are stored once.

use std::collections::HashSet;
use std::sync::Arc;

use common::prowjob::{ProwJob, ProwJobSpec, Pull, Refs, labels};
use common::storage::paths;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use super::job::{IndexedJob, JobPullRequest, JobRepository};
use super::prowjob_json::ProwJobJson;
use crate::redact::{redact_secrets, redact_text};

/// Keeps one copy of each string that is in use.
#[derive(Debug, Default)]
pub(super) struct StringInterner {
    strings: HashSet<Arc<str>>,
    /// At this size of the set, strings that nobody else holds are dropped.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 4096;

impl StringInterner {
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        if self.strings.len() >= self.sweep_at {
            self.strings.retain(|string| Arc::strong_count(string) > 1);
            self.sweep_at = FIRST_SWEEP.max(self.strings.len() * 2);
        }
        let new: Arc<str> = text.into();
        self.strings.insert(new.clone());
        new
    }

    /// `shown` is [`redacted_value`] of the object. `None` for an object without a name.
    pub(super) fn build_job(&mut self, object: &ProwJob, shown: Value) -> Option<IndexedJob> {
        let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
        let name: Arc<str> = object.metadata.name.as_deref()?.into();
        let told = |field: &str| {
            shown["status"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (url, description) = (told("url"), told("description"));
        let body = ProwJobJson::new(shown, |text| self.intern(text));
        let created = object
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0);
        let pulls = spec.refs.iter().flat_map(|refs| &refs.pulls);
        Some(IndexedJob {
            job: self.intern(&spec.job),
            kind: spec.job_type,
            state: status.state,
            repository: spec.main_refs().map(|refs| self.build_repository(refs)),
            repos: self.list_repos(spec),
            has_refs: spec.refs.is_some(),
            pulls: pulls.map(|pull| self.build_pull(pull)).collect(),
            started: status
                .start_time
                .map(|time| time.0)
                .or(created)
                .unwrap_or(Timestamp::UNIX_EPOCH),
            pending: status.pending_time.map(|time| time.0),
            completed: status.completion_time.map(|time| time.0),
            build_id: status.build_id.as_str().into(),
            url: url.into(),
            description: self.intern(&description),
            pod_name: if status.pod_name.is_empty() {
                name.clone()
            } else {
                status.pod_name.as_str().into()
            },
            cluster: self.intern(spec.cluster_alias()),
            containers: self.container_names(spec),
            decorated: spec.decoration_config.is_some(),
            censors: spec
                .decoration_config
                .as_ref()
                .is_some_and(|decoration| decoration.censor_secrets == Some(true)),
            bucket: bucket_name(spec).map(|bucket| self.intern(bucket)),
            folder: run_folder(spec, &status.build_id).map(Arc::from),
            hidden: spec.hidden,
            tenant: self.intern(
                spec.prowjob_defaults
                    .as_ref()
                    .map_or("", |defaults| &defaults.tenant_id),
            ),
            superseded_by: object
                .annotations()
                .get(labels::SUPERSEDED_BY)
                .map(|by| by.as_str().into()),
            name,
            body,
        })
    }

    fn build_repository(&mut self, refs: &Refs) -> JobRepository {
        JobRepository {
            org: self.intern(&refs.org),
            repo: self.intern(&refs.repo),
            link: self.intern(&redact_text(&refs.repo_link)),
            base_ref: self.intern(&refs.base_ref),
            base_sha: self.intern(&refs.base_sha),
        }
    }

    fn list_repos(&mut self, spec: &ProwJobSpec) -> Box<[Arc<str>]> {
        let mut repos: Vec<Arc<str>> = Vec::new();
        for refs in spec.refs.iter().chain(&spec.extra_refs) {
            let repo = self.intern(&refs.org_repo());
            if !repos.contains(&repo) {
                repos.push(repo);
            }
        }
        repos.into()
    }

    fn build_pull(&mut self, pull: &Pull) -> JobPullRequest {
        JobPullRequest {
            number: pull.number,
            author: self.intern(&pull.author),
            sha: self.intern(&pull.sha),
            title: self.intern(&pull.title),
            link: self.intern(&redact_text(&pull.link)),
            commit_link: self.intern(&redact_text(&pull.commit_link)),
            author_link: self.intern(&redact_text(&pull.author_link)),
        }
    }

    /// Plank names the only container `test`, whatever the spec says.
    fn container_names(&mut self, spec: &ProwJobSpec) -> Box<[Arc<str>]> {
        let listed = spec
            .pod_spec
            .as_ref()
            .and_then(|pod| pod.0.get("containers")?.as_array());
        let names: Vec<&str> = listed
            .into_iter()
            .flatten()
            .map(|container| container["name"].as_str().unwrap_or(""))
            .collect();
        match names.as_slice() {
            [] | [_] => [self.intern("test")].into(),
            several => several.iter().map(|name| self.intern(name)).collect(),
        }
    }
}

/// What is shown of an object: all of it without its secrets. `None` if it cannot be written as
/// JSON, which a `ProwJob` always can.
pub(super) fn redacted_value(object: &ProwJob) -> Option<Value> {
    let mut shown = serde_json::to_value(object).ok()?;
    redact_secrets(&mut shown);
    Some(shown)
}

/// `None`: the job is not decorated, the run has no build id yet, or its names make no valid key.
fn run_folder(spec: &ProwJobSpec, build_id: &str) -> Option<String> {
    let decoration = spec.decoration_config.as_ref()?;
    let storage = decoration.gcs_configuration.as_ref()?;
    let job = paths::JobPathParts {
        job_type: spec.job_type,
        name: &spec.job,
        build_id,
        refs: spec.refs.as_ref(),
    };
    paths::job_dir(storage, &job).ok()
}

fn bucket_name(spec: &ProwJobSpec) -> Option<&str> {
    let storage = spec
        .decoration_config
        .as_ref()?
        .gcs_configuration
        .as_ref()?;
    Some(storage.bucket.as_str()).filter(|bucket| !bucket.is_empty())
}
