//! One mistake per row: the rule, the job file, and the whole diagnostic.

use std::fs;

use tempfile::TempDir;

use crate::config::{Config, ConfigOptions};

mod agents;
mod base;
mod decorations;
mod pods;
mod triggers;

const CONFIG: &str = "
pod_namespace: test-pods
plank:
  job_queue_capacities: {slow: 1}
  default_decoration_config_entries:
  - config:
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
";

/// The rule, the job file and the expected diagnostic.
type Row = (&'static str, String, &'static str);

fn presubmit(fields: &str) -> String {
    let fields = fields.replace('\n', "\n    ");
    format!("presubmits:\n  org/repo:\n  - name: unit\n    {fields}\n")
}

fn postsubmit(fields: &str) -> String {
    presubmit(fields).replacen("presubmits", "postsubmits", 1)
}

fn periodic(fields: &str) -> String {
    let fields = fields.replace('\n', "\n  ");
    format!("periodics:\n- name: unit\n  {fields}\n")
}

/// The rules and the diagnostics of a job file.
fn told(jobs: &str) -> Vec<(&'static str, String)> {
    let dir = TempDir::new().expect("a temporary folder");
    let [config, file] = ["config.yaml", "jobs.yaml"].map(|name| dir.path().join(name));
    fs::write(&config, CONFIG).expect("the folder can be written");
    fs::write(&file, jobs).expect("the folder can be written");
    let options = ConfigOptions {
        config_path: config,
        job_config_path: Some(file),
        ..ConfigOptions::default()
    };
    let prefix = format!("{}/", dir.path().display());
    let problems = Config::load_files(&options).err().unwrap_or_default().0;
    let text = |problem: &crate::config::Diagnostic| problem.to_string().replace(&prefix, "");
    problems
        .iter()
        .map(|problem| (problem.rule, text(problem)))
        .collect()
}

fn check(rows: impl IntoIterator<Item = Row>) {
    for (rule, jobs, message) in rows {
        assert_eq!(told(&jobs), [(rule, message.to_owned())], "{jobs}");
    }
}
