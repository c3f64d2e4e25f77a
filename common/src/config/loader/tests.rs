use std::{fs, io::Write as _};

use tempfile::TempDir;

use super::*;
use crate::config::Periodic;

mod reload;

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
    let options = ConfigOptions {
        config_path: dir.path().join("config.yaml"),
        job_config_path: Some(dir.path().join("jobs")),
        ..ConfigOptions::default()
    };
    let prefix = format!("{}/", dir.path().display());
    Config::load_files(&options).map_err(|errors| errors.to_string().replace(&prefix, ""))
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
    let spec = unit.base.spec.as_ref().unwrap().to_pod_spec().0;
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
fn a_link_to_a_file_is_read_wherever_it_leads() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    write(&dir, "shared/a.yaml", JOBS);
    fs::create_dir(dir.path().join("jobs")).unwrap();
    let link = |name: &str, target: &str| {
        std::os::unix::fs::symlink(target, dir.path().join("jobs").join(name)).unwrap();
    };
    link("a.yaml", "../shared/a.yaml");
    link("folder.yaml", "../shared");
    let config = load_dir(&dir).unwrap();
    assert_eq!(config.presubmits_for("org/repo").len(), 1);
    link("none.yaml", "../none.yaml");
    let errors = load_dir(&dir).unwrap_err();
    assert!(errors.contains("jobs/none.yaml"), "{errors}");
}

#[test]
fn every_broken_section_has_a_message_with_its_place() {
    for (from, to, message) in [
        (
            "tide: {sync_period: 1m}",
            "scheduler: {external: {url: ':'}}",
            "config.yaml:3:24: scheduler.external.url: found \":\", expected a URL",
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
    let refused = Config::load_files(&ConfigOptions {
        moonraker_address: Some("http://moonraker".into()),
        ..ConfigOptions::default()
    });
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no moonraker here")
    );
}

fn with_parts(dir: &TempDir) -> ConfigLoader {
    ConfigLoader::new(ConfigOptions {
        config_path: dir.path().join("config.yaml"),
        job_config_path: Some(dir.path().join("jobs")),
        supplemental_prow_config_dir: vec![dir.path().join("parts")],
        supplemental_prow_configs_filename_suffix: "_prowconfig.yaml".into(),
        ..ConfigOptions::default()
    })
}

#[test]
fn a_changed_a_new_and_a_deleted_part_of_config_yaml_are_read_anew() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    write(&dir, "jobs/a.yaml", JOBS);
    let queries = |orgs: &[&str]| {
        let lines = orgs.iter().map(|org| format!("  - orgs: [{org}]\n"));
        format!("tide:\n  queries:\n{}", lines.collect::<String>())
    };
    write(&dir, "parts/a_prowconfig.yaml", queries(&["a"]));
    let mut loader = with_parts(&dir);
    let orgs = |config: &Config| -> Vec<String> {
        let queries = config.prow.tide.queries.iter();
        queries.flat_map(|query| query.orgs.clone()).collect()
    };
    assert_eq!(orgs(&loader.load_config().unwrap()), ["a"]);

    write(&dir, "parts/a_prowconfig.yaml", queries(&["a", "b"]));
    assert!(loader.is_stale());
    let config = loader.load_config().unwrap();
    assert_eq!(orgs(&config), ["a", "b"]);
    assert_eq!(config.presubmits_for("org/repo").len(), 1);

    write(&dir, "parts/deep/c_prowconfig.yaml", queries(&["c"]));
    assert_eq!(orgs(&loader.load_config().unwrap()), ["a", "b", "c"]);

    fs::remove_file(dir.path().join("parts/a_prowconfig.yaml")).unwrap();
    assert_eq!(orgs(&loader.load_config().unwrap()), ["c"]);

    write(
        &dir,
        "parts/deep/c_prowconfig.yaml",
        "plank: {max_goroutines: 3}\n",
    );
    assert!(
        loader
            .load_config()
            .unwrap_err()
            .to_string()
            .contains("only --config-path may say this")
    );
}

#[test]
fn a_version_beside_config_yaml_is_the_configurations() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    write(&dir, "jobs/a.yaml", JOBS);
    assert_eq!(load_dir(&dir).unwrap().prow.config_version_sha, "");
    write(&dir, "VERSION", "0123abc\n");
    assert_eq!(load_dir(&dir).unwrap().prow.config_version_sha, "0123abc");
}
