//! `prow check` as people, scripts and workflows call it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{reduced::assert_upstreams, support::PROW};

const CONFIG: &str = "\
gerrit: {ratelimit: 5}
plank:
  default_decoration_configs:
    '*':
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
presets:
- labels: {preset-a: 'true'}
";

const JOBS: &str = "\
presubmits:
  o/r:
  - name: unit
    decorate: true
    spec: {containers: [{image: a, args: [b]}]}
  - name: lint
    spec: {containers: [{image: a, args: [b]}]}
periodics:
- name: nightly
  interval: 24h
  decorate: true
  spec: {containers: [{image: a, args: [b]}]}
";

/// A folder with an installation's files.
fn installation(jobs: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = "plugins: {o: {plugins: [trigger]}}\n";
    fs::create_dir(folder.path().join("jobs")).unwrap();
    for (name, text) in [
        ("config.yaml", CONFIG),
        ("plugins.yaml", plugins),
        ("jobs/o.yaml", jobs),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const FILES: [&str; 6] = [
    "--config-path",
    "config.yaml",
    "-job-config-path",
    "jobs",
    "--plugin-config",
    "plugins.yaml",
];

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// `prow check` on the installation in `folder`.
fn check(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["check"][..], &FILES[..], more].concat();
    let output = run(Path::new(PROW), folder, &arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn warnings_are_told_and_fail_only_when_strict() {
    let folder = installation(JOBS);
    let (code, text) = check(folder.path(), &[]);
    assert_eq!(
        text,
        "\
non-decorated-jobs: 1 warning
jobs/o.yaml:6:5: presubmits.\"o/r\"[1].decorate: \"lint\" runs without the pod utilities

known, not used here: config.yaml: gerrit

0 errors, 1 warning in 3 files: 2 presubmits, 0 postsubmits, 1 periodic, 1 preset for 1 repository
"
    );
    assert_eq!(code, Some(0));
    assert_eq!(check(folder.path(), &["--strict"]).0, Some(1));
    let none = ["--strict", "--exclude-warning=non-decorated-jobs"];
    assert_eq!(check(folder.path(), &none).0, Some(0));
    let other = ["-strict", "-warnings", "long-job-names"];
    assert_eq!(check(folder.path(), &other).0, Some(0));
}

#[test]
fn json_is_one_object_even_when_nothing_loads() {
    let folder = installation(JOBS);
    let object = |folder: &Path| {
        let (code, text) = check(folder, &["--output", "json"]);
        let object: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        (code, object)
    };
    let (code, good) = object(folder.path());
    assert_eq!(code, Some(0));
    assert_eq!(
        good,
        json!({
            "files": 3, "presubmits": 2, "postsubmits": 0, "periodics": 1, "presets": 1,
            "repositories": 1,
            "findings": [{
                "severity": "warning", "rule": "non-decorated-jobs", "file": "jobs/o.yaml",
                "line": 6, "column": 5, "path": "presubmits.\"o/r\"[1].decorate",
                "message": "\"lint\" runs without the pod utilities",
            }],
        })
    );
    let folder = installation(&JOBS.replace("name: lint", "name: un it"));
    let (code, bad) = object(folder.path());
    assert_eq!(code, Some(1));
    assert_eq!(bad["presubmits"], 0);
    let finding = &bad["findings"][0];
    assert_eq!(
        (&finding["severity"], &finding["rule"], &finding["line"]),
        (&json!("error"), &json!("job-name"), &json!(6))
    );
}

#[test]
fn a_workflow_gets_annotations() {
    let folder = installation(JOBS);
    let (_, text) = check(folder.path(), &["--output=github"]);
    assert!(
        text.starts_with(
            "::warning file=jobs/o.yaml,line=6,col=5,title=non-decorated-jobs::presubmits.\"o/r\"[1]"
        ),
        "{text}"
    );
}

#[test]
fn prows_name_and_flags_work() {
    let folder = installation(JOBS);
    let link = folder.path().join("checkconfig");
    symlink(PROW, &link).unwrap();
    let output = run(&link, folder.path(), &FILES);
    assert_eq!(output.status.code(), Some(0));
    let ignored = ["--in-repo-config-cache-size=1", "--gcs-credentials-file=x"];
    assert_eq!(check(folder.path(), &ignored).0, Some(0));
    for wrong in [
        &["--nope"][..],
        &["--warnings", "nope"],
        &["--output", "xml"],
        &["--prow-yaml-path", "."],
    ] {
        assert_eq!(check(folder.path(), wrong).0, Some(2), "{wrong:?}");
    }
    let nothing = run(Path::new(PROW), folder.path(), &["check"]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_repositorys_own_jobs_are_checked_with_and_without_an_installation() {
    let folder = installation(JOBS);
    let own = folder.path().join("prow-jobs.yaml");
    fs::write(&own, JOBS.replace("unit", "own").replace("lint", "other")).unwrap();
    // Periodics belong in the central configuration.
    let arguments = ["--prow-yaml-repo-name", "o/r", "--strict"];
    for (arguments, expected) in [(&arguments[..2], 0), (&arguments, 1)] {
        let (code, text) = check(folder.path(), arguments);
        assert_eq!(code, Some(expected), "{text}");
        let warning = "prow-jobs.yaml:8:1: periodics: periodics of a repository do not run";
        assert!(text.contains(warning), "{text}");
        assert!(text.contains("4 presubmits"), "{text}");
    }

    let (jobs, _) = JOBS.split_once("periodics").unwrap();
    fs::write(&own, jobs).unwrap();
    let alone = run(Path::new(PROW), folder.path(), &["check"]);
    let text = String::from_utf8(alone.stdout).unwrap();
    assert_eq!(alone.status.code(), Some(0), "{text}");
    assert!(text.contains("1 file: 2 presubmits"), "{text}");
    // The central jobs have the same names.
    let (code, text) = check(folder.path(), &["--prow-yaml-repo-name=o/r"]);
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn help_lists_every_warning() {
    let (code, text) = check(Path::new("/"), &["--help"]);
    assert_eq!(code, Some(0));
    for warning in &common::config::checkconfig::WARNINGS {
        assert!(text.contains(warning.name), "{}", warning.name);
    }
}

/// `tests/doubtful` raises each of the default warnings; `upstream.tsv` has what checkconfig says
/// about it.
#[test]
fn warns_where_upstream_warns() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doubtful");
    let parts = [
        "--supplemental-prow-config-dir=parts",
        "--supplemental-plugin-config-dir=parts",
        "--required-job-annotations=owner",
        "--output=json",
    ];
    let (code, text) = check(&folder, &parts);
    assert_eq!(code, Some(0), "{text}");
    let object = serde_json::from_str(&text).unwrap();
    assert_upstreams(&object, include_str!("../doubtful/upstream.tsv"));
}
