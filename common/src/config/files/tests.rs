use std::io::Write as _;

use tempfile::TempDir;

use super::*;

const CONFIG: &str = "
pod_namespace: test-pods
tide: {sync_period: 1m}
plank:
  job_queue_capacities: {slow: 1}
  default_decoration_config_entries:
  - config:
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
";

const JOBS: &str = "
presets:
- labels: {preset-dind: 'true'}
  env: [{name: DOCKER, value: 1}]
presubmits:
  org/repo:
  - name: unit
    decorate: true
    labels: {preset-dind: 'true'}
    spec: {containers: [{image: golang, command: [make]}]}
postsubmits:
  org/repo:
  - name: publish
    branches: [main]
    spec: {containers: [{image: golang}]}
periodics:
- name: nightly
  interval: 24h
  extra_refs: [{org: org, repo: repo, base_ref: main}]
  spec: {containers: [{image: golang}]}
";

fn write(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn load_dir(dir: &TempDir) -> Result<Config, String> {
    let options = Options {
        config_path: dir.path().join("config.yaml"),
        job_config_path: Some(dir.path().join("jobs")),
        ..Options::default()
    };
    let prefix = format!("{}/", dir.path().display());
    Config::load(&options).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

fn load_texts(config: &str, jobs: &str) -> Result<Config, String> {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", config);
    write(&dir, "jobs/a.yaml", jobs);
    load_dir(&dir)
}

#[test]
fn reads_jobs_with_defaults_presets_and_decoration() {
    let config = load_texts(CONFIG, JOBS).unwrap();
    assert_eq!(config.unused_sections().collect::<Vec<_>>(), ["tide"]);
    let [unit] = config.presubmits_for("org/repo") else {
        panic!("{config:?}")
    };
    assert_eq!(unit.base.namespace, "test-pods");
    assert!(unit.base.utility.decoration_config.is_some());
    let spec = &unit.base.spec.as_ref().unwrap().0;
    let env = &spec["containers"][0]["env"][0];
    assert_eq!(env["value"], "1", "a number where Kubernetes wants a text");
    let [publish] = config.postsubmits_for("org/repo") else {
        panic!("{config:?}")
    };
    assert!(publish.base.utility.decoration_config.is_none());
    let tenant = config.jobs.periodics[0].base.prowjob_defaults.clone();
    assert_eq!(tenant.unwrap().tenant_id, "GlobalDefaultID");
    assert!(config.presubmits_for("other/repo").is_empty());
}

#[test]
fn a_folder_is_read_as_kubernetes_mounts_it() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    write(&dir, "jobs/..data/a.yaml", JOBS);
    write(&dir, "jobs/README.md", "not a job");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(JOBS.as_bytes()).unwrap();
    write(&dir, "jobs/deep/er/b.yml", packed.finish().unwrap());
    let config = load_dir(&dir).unwrap();
    assert_eq!(config.presubmits_for("org/repo").len(), 1);

    write(&dir, "jobs/b.yml", "");
    assert_eq!(
        load_dir(&dir).unwrap_err(),
        format!(
            "jobs/deep/er/b.yml: another job file has this name: {}",
            dir.path().join("jobs/b.yml").display()
        )
        .replace(&format!("{}/", dir.path().display()), "")
    );
}

/// What to replace in the job file by what, and the one message that is expected: its place, its
/// path below the job, its text.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const PRESUBMIT_RULES: &[Case] = &[
    (
        "- name: unit",
        "- name: ''",
        "7:5",
        ".name",
        "the job has no name",
    ),
    (
        "- name: unit",
        "- max_concurrency: -1\n    name: unit",
        "7:5",
        ".max_concurrency",
        "found -1, expected 0 (no limit) or more",
    ),
    (
        "decorate: true",
        "agent: jenkins",
        "10:5",
        ".spec",
        "a spec is for the agent kubernetes, not jenkins",
    ),
    (
        "decorate: true",
        "namespace: elsewhere",
        "8:5",
        ".namespace",
        r#"found "elsewhere", expected pod_namespace ("test-pods")"#,
    ),
    (
        "decorate: true",
        "job_queue_name: fast",
        "8:5",
        ".job_queue_name",
        r#"the queue "fast" is not in plank.job_queue_capacities"#,
    ),
    (
        "decorate: true",
        "rerun_auth_config: {allow_anyone: true, github_users: [a]}",
        "8:5",
        ".rerun_auth_config",
        "allow_anyone and lists of people exclude each other",
    ),
    (
        "decorate: true",
        "always_run: true\n    run_if_changed: x",
        "9:5",
        ".run_if_changed",
        "run_if_changed and always_run: true exclude each other",
    ),
    (
        "decorate: true",
        "skip_if_only_changed: y\n    run_if_changed: x",
        "8:5",
        ".skip_if_only_changed",
        "run_if_changed and skip_if_only_changed exclude each other",
    ),
    (
        "decorate: true",
        "trigger: '/go'",
        "8:5",
        ".trigger",
        "trigger and rerun_command are given together or not at all",
    ),
    (
        "decorate: true",
        "trigger: '/go'\n    rerun_command: /run",
        "9:5",
        ".rerun_command",
        r#""/run" does not match the job's trigger "/go""#,
    ),
    (
        "decorate: true",
        "branches: ['(']",
        "8:5",
        ".branches",
        r#""(" is no regular expression: unclosed group"#,
    ),
    (
        "command: [make]",
        "args: []",
        "10:25",
        ".spec.containers[0]",
        "a decorated container needs a command or args: decoration cannot know the image's own entry point",
    ),
    (
        "containers: [{image: golang, command: [make]}]",
        "containers: []",
        "10:12",
        ".spec.containers",
        "the pod needs a container",
    ),
    (
        "command: [make]",
        "command: [make], env: [{name: CI, value: x}]",
        "10:64",
        ".spec.containers[0].env[0]",
        "the variable CI is set by Prow for every presubmit",
    ),
    (
        "command: [make]",
        "command: [make], volumeMounts: [{name: v, mountPath: /v}]",
        "10:73",
        ".spec.containers[0].volumeMounts[0]",
        r#"no volume is named "v""#,
    ),
    (
        "command: [make]",
        "command: make",
        "10:41",
        ".spec.containers[0].command",
        r#"found "make", expected a list"#,
    ),
    (
        "labels: {preset-dind: 'true'}\n    spec",
        "labels: {prow.k8s.io/type: x}\n    spec",
        "9:14",
        r#".labels."prow.k8s.io/type""#,
        "the label prow.k8s.io/type is set by Prow",
    ),
    (
        "command: [make]",
        "command: [make], env: [{name: DOCKER}]",
        "10:5",
        ".spec",
        r#"the preset preset-dind: "true" brings env "DOCKER", which is there already"#,
    ),
];

const PERIODIC_RULES: &[Case] = &[
    (
        "interval: 24h",
        "interval: 24h\n  cron: '@daily'",
        "17:3",
        ".name",
        "a periodic has only one of cron, interval and minimum_interval",
    ),
    (
        "interval: 24h",
        "cron: often",
        "18:3",
        ".cron",
        r#"found "often", expected five or six fields, or a word like @daily or @every 1h"#,
    ),
    (
        "interval: 24h",
        "interval: often",
        "18:13",
        ".interval",
        r#""often" is not a duration: expected numbers with units, as in 300ms, 1h30m or 10s"#,
    ),
];

#[test]
fn every_broken_rule_has_a_message_with_its_place() {
    for (job, rules) in [
        (r#"presubmits."org/repo"[0]"#, PRESUBMIT_RULES),
        ("periodics[0]", PERIODIC_RULES),
    ] {
        for (from, to, place, path, text) in rules {
            assert!(JOBS.contains(from), "{from}");
            let error = load_texts(CONFIG, &JOBS.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error, format!("jobs/a.yaml:{place}: {job}{path}: {text}"));
        }
    }
}

#[test]
fn every_broken_section_has_a_message_with_its_place() {
    for (from, to, message) in [
        (
            "pod_namespace: test-pods",
            "log_level: loud",
            "config.yaml:2:1: log_level: found \"loud\", expected one of debug, info, warn, warning, error, fatal, panic",
        ),
        (
            "tide: {sync_period: 1m}",
            "scheduler: {enabled: true}",
            "config.yaml:3:13: scheduler.enabled: choosing clusters by a scheduler is not supported yet",
        ),
        (
            "tide: {sync_period: 1m}",
            "github_reporter: {job_types_to_report: [periodic]}",
            "config.yaml:3:19: github_reporter.job_types_to_report: a periodic has no commit to report on; expected presubmit or postsubmit",
        ),
        (
            "  job_queue",
            "  max_concurrency: -1\n  job_queue",
            "config.yaml:5:3: plank.max_concurrency: expected 0 (no limit) or more",
        ),
        (
            "tide: {sync_period: 1m}",
            "sinker: [1]",
            "config.yaml:3:9: sinker: found a list, expected a mapping",
        ),
    ] {
        let error = load_texts(&CONFIG.replacen(from, to, 1), "").unwrap_err();
        assert_eq!(error, message);
    }
}

#[test]
fn what_is_not_built_yet_says_so() {
    let refuse = |options: Options| Config::load(&options).unwrap_err().to_string();
    assert_eq!(
        refuse(Options {
            supplemental_prow_config_dir: vec!["more".into()],
            ..Options::default()
        }),
        "more: --supplemental-prow-config-dir is not supported yet"
    );
    assert!(
        refuse(Options {
            moonraker_address: Some("http://moonraker".into()),
            ..Options::default()
        })
        .contains("no moonraker here")
    );
}
