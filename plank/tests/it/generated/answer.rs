//! Our answer to an input.

use std::{fs, path::Path};

use clap::Parser as _;
use common::{
    config::{
        Brancher, ChangedFiles, Config, ConfigOptions, JobBase, Periodic, Postsubmit, Presubmit,
        inrepo, periodic_labels, periodic_spec, plugins::PluginConfiguration, postsubmit_labels,
        postsubmit_spec, presubmit_labels, presubmit_spec,
    },
    prowjob::{ProwJobSpec, ProwJobState, Pull, Refs, StringMap, labels::EVENT_GUID, new_prowjob},
};
use jiff::Timestamp;
use plank::decorate::{PodTarget, build_pod};
use serde_json::{Map, Value, json};

use super::Input;

const NAME: &str = "00000000-0000-4000-8000-000000000000";
const BUILD_ID: &str = "1700000000000000000";
/// 2020-01-01T00:00:00Z.
const START: i64 = 1_577_836_800;
/// The repository whose own file an input has.
const OWN: &str = "o/r";

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn answers(inputs: &[Input]) -> Vec<Result<Value, String>> {
    let folder = tempfile::tempdir().unwrap();
    inputs
        .iter()
        .map(|input| answer(input, folder.path()))
        .collect()
}

fn answer(input: &Input, folder: &Path) -> Result<Value, String> {
    if !input.plugins.is_empty() {
        return match PluginConfiguration::parse_file("plugins.yaml", &input.plugins) {
            Ok(_) => Ok(json!({})),
            Err(errors) => Err(errors.to_string()),
        };
    }
    let config = load(input, folder)?;
    let mut jobs = Jobs::default();
    if !input.in_repo.is_empty() {
        let files = [(".prow.yaml".to_owned(), input.in_repo.clone())];
        let own = inrepo::parse_in_repo_files(&files, OWN, &config)
            .map_err(|errors| errors.to_string())?;
        own.presubmits
            .iter()
            .for_each(|job| jobs.presubmit(&config, OWN, job));
        own.postsubmits
            .iter()
            .for_each(|job| jobs.postsubmit(&config, OWN, job));
        return Ok(jobs.0.into());
    }
    for (repo, list) in &config.jobs.presubmits {
        list.iter()
            .for_each(|job| jobs.presubmit(&config, repo, job));
    }
    for (repo, list) in &config.jobs.postsubmits {
        list.iter()
            .for_each(|job| jobs.postsubmit(&config, repo, job));
    }
    config
        .jobs
        .periodics
        .iter()
        .for_each(|job| jobs.periodic(&config, job));
    Ok(jobs.0.into())
}

fn load(input: &Input, folder: &Path) -> Result<std::sync::Arc<Config>, String> {
    let config = folder.join("config.yaml");
    fs::write(&config, &input.config).unwrap();
    let mut arguments = vec!["x".into(), "--config-path".into(), config.into_os_string()];
    if !input.jobs.is_empty() {
        let jobs = folder.join("jobs.yaml");
        fs::write(&jobs, &input.jobs).unwrap();
        arguments.extend(["--job-config-path".into(), jobs.into_os_string()]);
    }
    let arguments = Arguments::parse_from(arguments);
    Config::load_files(&arguments.config).map_err(|errors| errors.to_string())
}

/// Jobs by kind, repository and name.
#[derive(Default)]
struct Jobs(Map<String, Value>);

impl Jobs {
    fn add(&mut self, mut key: String, form: Value) {
        while self.0.contains_key(&key) {
            key.push('\'');
        }
        self.0.insert(key, form);
    }

    fn presubmit(&mut self, config: &Config, repo: &str, job: &Presubmit) {
        let spec = presubmit_spec(job, refs(repo, &job.brancher, vec![pull()]));
        let mut form = form(config, spec, &with_guid(presubmit_labels(job)), &job.base);
        form["runs"] = runs(|base, changes| job.should_run(base, changes, false, false));
        form["matches"] = bits([
            job.trigger_matches("/test all"),
            job.trigger_matches("/test j"),
            job.trigger_matches(&job.rerun_command),
            job.needs_explicit_trigger(),
            job.context_required(),
        ]);
        self.add(format!("presubmit {repo} {}", job.base.name), form);
    }

    fn postsubmit(&mut self, config: &Config, repo: &str, job: &Postsubmit) {
        let spec = postsubmit_spec(job, refs(repo, &job.brancher, Vec::new()));
        let mut form = form(config, spec, &with_guid(postsubmit_labels(job)), &job.base);
        form["runs"] = runs(|base, changes| job.should_run(base, changes));
        self.add(format!("postsubmit {repo} {}", job.base.name), form);
    }

    fn periodic(&mut self, config: &Config, job: &Periodic) {
        let mut form = form(config, periodic_spec(job), &periodic_labels(job), &job.base);
        let text = |it: Option<common::duration::GoDuration>| {
            it.map_or_else(|| "0s".to_owned(), |it| it.to_string())
        };
        let (interval, minimum) = (text(job.interval), text(job.minimum_interval));
        form["schedule"] = format!("{}|{interval}|{minimum}", job.cron).into();
        self.add(format!("periodic {}", job.base.name), form);
    }
}

fn bits(all: impl IntoIterator<Item = bool>) -> Value {
    let bits = all.into_iter().map(|yes| if yes { '1' } else { '0' });
    bits.collect::<String>().into()
}

/// On which branches and changes a job runs.
fn runs(should_run: impl Fn(&str, &ChangedFiles<'_>) -> bool) -> Value {
    let changes: [&[&str]; 4] = [&["a.go"], &["docs/x.md"], &["docs/x.md", "a.go"], &[]];
    let changes = changes.map(|files| files.iter().map(|&it| it.to_owned()).collect::<Vec<_>>());
    let mut all = Vec::new();
    for base in ["main", "release-1", "dev"] {
        all.extend(
            changes
                .iter()
                .map(|files| should_run(base, &ChangedFiles::new(files))),
        );
    }
    bits(all)
}

fn refs(org_repo: &str, brancher: &Brancher, pulls: Vec<Pull>) -> Refs {
    let (org, repo) = org_repo.rsplit_once('/').unwrap_or((org_repo, ""));
    let branch = brancher.branches.first();
    Refs {
        org: org.into(),
        repo: repo.into(),
        base_ref: branch.map_or("main", |branch| branch.as_str()).into(),
        base_sha: "b".repeat(40),
        pulls,
        ..Refs::default()
    }
}

fn pull() -> Pull {
    Pull {
        number: 7,
        author: "author".into(),
        sha: "a".repeat(40),
        title: "Title <&>".into(),
        head_ref: "topic".into(),
        ..Pull::default()
    }
}

fn with_guid(mut labels: StringMap) -> StringMap {
    labels.insert(EVENT_GUID.into(), "guid".into());
    labels
}

fn form(config: &Config, spec: ProwJobSpec, labels: &StringMap, base: &JobBase) -> Value {
    let job = new_prowjob(
        NAME.into(),
        &config.prow.prowjob_namespace,
        spec,
        labels,
        &base.annotations,
        ProwJobState::Triggered,
        Timestamp::from_second(START).unwrap(),
    );
    let mut form = json!({ "prowjob": job });
    if job.spec.pod_spec.is_some() {
        let target = PodTarget {
            namespace: &config.prow.pod_namespace,
            version: "version",
        };
        form["pod"] = build_pod(&job, BUILD_ID, &target).unwrap_or_else(|_| "error".into());
    }
    form
}
