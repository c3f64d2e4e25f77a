//! `ProwJob` and pod of every job of a real configuration, compared with upstream's.
//!
//! `plank/tests/corpus/NAME.sha256` has a line for each job: its key, a tab, and the SHA-256 of the
//! normal form of what upstream's own packages make of it. Run with
//!
//! ```text
//! PROW_CORPUS=../shared/data/prow-config/kubernetes cargo test --workspace --locked --test corpus
//! ```
//!
//! `PROW_CORPUS_TABLE` names another table. `PROW_CORPUS_DUMP` names a file with upstream's normal
//! forms themselves, a line for each job: then a difference is shown with its position.

#[path = "corpus/normal.rs"]
mod normal;
#[path = "corpus/quantity.rs"]
mod quantity;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use clap::Parser as _;
use common::{
    config::{
        Brancher, Config, ConfigOptions, JobBase, JobConfig, periodic_labels, periodic_spec,
        postsubmit_labels, postsubmit_spec, presubmit_labels, presubmit_spec,
    },
    prowjob::{
        ProwJob, ProwJobSpec, ProwJobState, Pull, Refs, StringMap, labels::EVENT_GUID, new_prowjob,
    },
};
use jiff::Timestamp;
use plank::decorate::{PodTarget, build_pod};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const NAME: &str = "00000000-0000-4000-8000-000000000000";
const BUILD_ID: &str = "1700000000000000000";
/// 2020-01-01T00:00:00Z.
const START: i64 = 1_577_836_800;
/// How many differing jobs are shown.
const SHOWN: usize = 20;

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    config: ConfigOptions,
}

#[test]
fn every_job_becomes_what_upstream_makes_of_it() {
    let corpus = PathBuf::from(env::var_os("PROW_CORPUS").expect(
        "set PROW_CORPUS to a folder with config.yaml and jobs, such as \
         ../shared/data/prow-config/kubernetes",
    ));
    let corpus = from_workspace(&corpus);
    let ours = normal_forms(&load(&corpus));
    let table = read_table(&corpus);
    let theirs: BTreeMap<&str, &str> = pairs(&table).collect();
    let dump = env::var_os("PROW_CORPUS_DUMP").map(|path| read(Path::new(&path)));
    let forms: BTreeMap<&str, &str> = dump.iter().flat_map(|text| pairs(text)).collect();

    let mut differences = Vec::new();
    for (key, form) in &ours {
        match theirs.get(key.as_str()) {
            None => differences.push(format!("{key}: upstream has no such job")),
            Some(hash) if *hash == sha256(form) => {}
            Some(_) => differences.push(match forms.get(key.as_str()) {
                None => format!("{key}: differs (PROW_CORPUS_DUMP tells where)"),
                Some(other) => format!("{key}: {}", normal::first_difference(form, other)),
            }),
        }
    }
    for key in theirs.keys().filter(|key| !ours.contains_key(**key)) {
        differences.push(format!("{key}: is missing here"));
    }
    assert!(
        differences.is_empty(),
        "{} of {} jobs differ from upstream:\n{}",
        differences.len(),
        theirs.len(),
        differences[..differences.len().min(SHOWN)].join("\n"),
    );
    assert!(!ours.is_empty(), "the configuration has no jobs");
}

/// Tests run in their crate's folder, but paths are relative to the workspace.
fn from_workspace(path: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn load(corpus: &Path) -> std::sync::Arc<Config> {
    let file = |name: &str| corpus.join(name).into_os_string();
    let arguments = Arguments::parse_from([
        "corpus".into(),
        "--config-path".into(),
        file("config.yaml"),
        "--job-config-path".into(),
        file("jobs"),
    ]);
    Config::load_files(&arguments.config).unwrap_or_else(|errors| panic!("{errors}"))
}

fn read_table(corpus: &Path) -> String {
    if let Some(path) = env::var_os("PROW_CORPUS_TABLE") {
        return read(Path::new(&path));
    }
    let name = corpus.file_name().expect("PROW_CORPUS ends in a name");
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    read(&tables.join(name).with_extension("sha256"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pairs(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table
        .lines()
        .map(|line| line.split_once('\t').expect("a key, a tab and a value"))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Normal forms by key.
fn normal_forms(config: &Config) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |key: String, spec, labels, base: &JobBase| {
        let form = normal_form(config, spec, &labels, &base.annotations);
        let other = all.insert(key.clone(), form);
        assert!(other.is_none(), "two jobs are {key}");
    };
    let JobConfig {
        presubmits,
        postsubmits,
        periodics,
        ..
    } = &config.jobs;
    for (repo, job) in each(presubmits) {
        let key = key("presubmit", repo, &job.base.name, &job.brancher);
        let spec = presubmit_spec(job, refs(repo, &job.brancher, vec![pull()]));
        add(key, spec, with_guid(presubmit_labels(job)), &job.base);
    }
    for (repo, job) in each(postsubmits) {
        let key = key("postsubmit", repo, &job.base.name, &job.brancher);
        let spec = postsubmit_spec(job, refs(repo, &job.brancher, Vec::new()));
        add(key, spec, with_guid(postsubmit_labels(job)), &job.base);
    }
    for job in periodics {
        let key = key("periodic", "-", &job.base.name, &Brancher::default());
        add(key, periodic_spec(job), periodic_labels(job), &job.base);
    }
    all
}

fn each<T>(jobs: &BTreeMap<String, Vec<T>>) -> impl Iterator<Item = (&str, &T)> {
    jobs.iter()
        .flat_map(|(repo, jobs)| jobs.iter().map(|job| (repo.as_str(), job)))
}

fn key(kind: &str, repo: &str, name: &str, brancher: &Brancher) -> String {
    let (only, but) = (
        sources(&brancher.branches),
        sources(&brancher.skip_branches),
    );
    format!("{kind} {repo} {name} [{only}] -[{but}]")
}

fn sources(patterns: &[common::config::GoRegexp]) -> String {
    let sources: Vec<_> = patterns.iter().map(|pattern| pattern.as_str()).collect();
    sources.join(",")
}

fn refs(org_repo: &str, brancher: &Brancher, pulls: Vec<Pull>) -> Refs {
    let (org, repo) = org_repo.rsplit_once('/').unwrap_or((org_repo, ""));
    Refs {
        org: org.into(),
        repo: repo.into(),
        base_ref: brancher
            .branches
            .first()
            .map_or("main", |branch| branch.as_str())
            .into(),
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

fn normal_form(
    config: &Config,
    spec: ProwJobSpec,
    labels: &StringMap,
    annotations: &StringMap,
) -> String {
    let now = Timestamp::from_second(START).expect("a time in range");
    let namespace = &config.prow.prowjob_namespace;
    let job = new_prowjob(
        NAME.into(),
        namespace,
        spec,
        labels,
        annotations,
        ProwJobState::Triggered,
        now,
    );
    let mut form = json!({ "prowjob": job });
    if job.spec.pod_spec.is_some() {
        form["pod"] = pod_of(config, &job);
    }
    normal::write(form)
}

fn pod_of(config: &Config, job: &ProwJob) -> Value {
    let target = PodTarget {
        namespace: &config.prow.pod_namespace,
        version: "version",
    };
    build_pod(job, BUILD_ID, &target).unwrap_or_else(|error| panic!("{}: {error}", job.spec.job))
}
