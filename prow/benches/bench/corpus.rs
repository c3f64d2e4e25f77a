//! The configuration that is measured: the Kubernetes project's own, which is not part of the
//! repository.

use std::{env, path::PathBuf};

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use common::config::ConfigOptions;

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    config: ConfigOptions,
}

/// A folder with `config.yaml` and `jobs`: `PROW_CORPUS`, else the one next to the checkout.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = env::var_os("PROW_CORPUS").map_or_else(
        || workspace.join("../shared/data/prow-config/kubernetes"),
        |given| workspace.join(given),
    );
    ensure!(
        folder.join("config.yaml").is_file(),
        "{} holds no config.yaml: set PROW_CORPUS to a folder with config.yaml and jobs",
        folder.display()
    );
    folder.canonicalize().context("PROW_CORPUS")
}

/// The flags for the configuration in a folder.
pub(crate) fn options(folder: &std::path::Path) -> ConfigOptions {
    let file = |name: &str| folder.join(name).into_os_string();
    Arguments::parse_from([
        "bench".into(),
        "--config-path".into(),
        file("config.yaml"),
        "--job-config-path".into(),
        file("jobs"),
    ])
    .config
}
