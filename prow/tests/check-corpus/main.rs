//! `prow check` on a whole installation's configuration, the one in the folder `PROW_CORPUS`: its
//! findings are compared with those of upstream's checkconfig on the same files, and every job file
//! is validated against the published JSON Schema. Run by `.ci/check`.
//!
//! `upstream.tsv` is upstream's log reduced to rule, repository and job.

#[path = "../support/reduced.rs"]
mod reduced;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use reduced::assert_upstreams;
use serde_json::Value;

/// The folder `kubernetes` with `config.yaml`, `plugins.yaml` and `jobs`.
fn corpus() -> PathBuf {
    let folder = env::var_os("PROW_CORPUS").expect("PROW_CORPUS names the configuration's folder");
    PathBuf::from(folder)
}

fn check(more: &[&str]) -> Value {
    let folder = corpus();
    let output = Command::new(env!("CARGO_BIN_EXE_prow"))
        .args(["check", "--output=json"])
        .arg("--config-path")
        .arg(folder.join("config.yaml"))
        .arg("--job-config-path")
        .arg(folder.join("jobs"))
        .arg("--plugin-config")
        .arg(folder.join("plugins.yaml"))
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn warns_only_where_upstream_warns() {
    let object = check(&[]);
    for (kind, number) in [
        ("presubmits", 2261),
        ("postsubmits", 253),
        ("periodics", 1334),
        ("presets", 70),
    ] {
        assert_eq!(object[kind], number, "{kind}");
    }
    assert_upstreams(&object, include_str!("upstream.tsv"));
}

fn job_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            job_files(&path, files);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            files.push(path);
        }
    }
}

/// Job files that Prow reads all the same, and that an editor should mark.
const MISFITS: [(&str, &str); 2] = [
    // Keys in capitals.
    ("sig-storage-local-static-provisioner.yaml", "\"NAME\""),
    // Settings of another program among the job files.
    ("default.yaml", "'buildImageRegistry'"),
];

#[test]
fn every_job_file_fits_the_schema() {
    let schema = common::config::job_file_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut files = Vec::new();
    job_files(&corpus().join("jobs"), &mut files);
    assert!(files.len() > 500, "{} job files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let file: Value = common::config::yaml::parse_yaml(&name, &text).unwrap();
        let errors = validator.iter_errors(&file);
        wrong.extend(errors.map(|error| format!("{name}: {}: {error}", error.instance_path())));
    }
    let (misfits, wrong): (Vec<_>, Vec<_>) = wrong.into_iter().partition(|error| {
        let known = |(file, text): &(&str, &str)| error.contains(file) && error.contains(text);
        MISFITS.iter().any(known)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(misfits.len(), MISFITS.len(), "{misfits:#?}");
}
