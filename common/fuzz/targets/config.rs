//! Any bytes as `config.yaml` and as a job file give a configuration or errors, never a panic.

#![no_main]

use std::{fs, sync::LazyLock};

use common::config::{Config, ConfigOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("empty.yaml"), "{}").expect("a file");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let path = |name| FOLDER.path().join(name);
    fs::write(path("any.yaml"), bytes).expect("a file");
    for (config, jobs) in [("any.yaml", None), ("empty.yaml", Some("any.yaml"))] {
        let loaded = Config::load_files(&ConfigOptions {
            config_path: path(config),
            job_config_path: jobs.map(path),
            ..ConfigOptions::default()
        });
        if let Err(errors) = loaded {
            assert!(!errors.0.is_empty() && errors.0.len() <= 200);
        }
    }
});
