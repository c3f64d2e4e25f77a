//! Any text as a repository's `prow-jobs.yaml` gives only jobs of that repository, or errors.

#![no_main]

use std::sync::LazyLock;

use common::config::{Config, inrepo};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

fuzz_target!(|text: String| {
    let files = [("prow-jobs.yaml".to_owned(), text)];
    match inrepo::parse_in_repo_files(&files, "org/repo", &CONFIG) {
        Ok(own) => {
            for job in &own.presubmits {
                assert!(!job.base.name.is_empty());
            }
        }
        Err(errors) => assert!(!errors.0.is_empty()),
    }
});
