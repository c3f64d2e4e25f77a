use std::{fs, io::Write as _};

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

fn load_dir(dir: &TempDir) -> Result<Arc<Config>, String> {
    let options = Options {
        config_path: dir.path().join("config.yaml"),
        job_config_path: Some(dir.path().join("jobs")),
        ..Options::default()
    };
    let prefix = format!("{}/", dir.path().display());
    Config::load(&options).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

fn load_texts(config: &str, jobs: &str) -> Result<Arc<Config>, String> {
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

#[test]
fn every_broken_section_has_a_message_with_its_place() {
    for (from, to, message) in [
        (
            "tide: {sync_period: 1m}",
            "scheduler: {enabled: true}",
            "config.yaml:3:13: scheduler.enabled: choosing clusters by a scheduler is not supported yet",
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
fn what_there_is_not_says_so() {
    let refused = Config::load(&Options {
        moonraker_address: Some("http://moonraker".into()),
        ..Options::default()
    });
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no moonraker here")
    );
}
