//! Selecting the jobs that a pull request with many changed files starts in a large repository.

use std::{convert::Infallible, time::Instant};

use anyhow::ensure;
use common::config::Config;
use hook::{PresubmitFilter, filter_presubmits};

use crate::{corpus, figure::Figure};

const REPOSITORY: &str = "kubernetes/kubernetes";
const FILES: usize = 300;
const RUNS: usize = 51;

/// Folders where files change in such a repository.
const FOLDERS: [&str; 10] = [
    "pkg/kubelet/cm",
    "pkg/scheduler/framework/plugins",
    "staging/src/k8s.io/apiserver/pkg/endpoints",
    "staging/src/k8s.io/api/core/v1",
    "test/e2e/network",
    "test/e2e_node",
    "cmd/kubeadm/app/phases",
    "cluster/gce/gci",
    "vendor/k8s.io/utils",
    "docs",
];

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let config = Config::load_files(&corpus::options(&corpus::folder()?))?;
    let jobs = config.presubmits_for(REPOSITORY);
    ensure!(!jobs.is_empty(), "{REPOSITORY} has no presubmits");
    let files: Vec<String> = (0..FILES)
        .map(|number| {
            let folder = FOLDERS[number % FOLDERS.len()];
            format!("{folder}/part_{number}/file_{number}.go")
        })
        .collect();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let chosen = filter_presubmits(jobs, &[PresubmitFilter::Auto], "master", || {
            Ok::<_, Infallible>(files.as_slice())
        })?;
        times.push(begin.elapsed());
        ensure!(!chosen.is_empty(), "no job was chosen");
    }
    let name = "choose/jobs for 300 changed files";
    Ok(vec![Figure::time(name, times, Some(5.0))])
}
