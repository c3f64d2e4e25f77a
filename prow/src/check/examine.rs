//! Reads everything that was named, goes on where it can, and collects what is found.

use std::collections::BTreeSet;

use common::config::{self, Config, check::Subject, plugins::Plugins};

use super::{
    checkout,
    options::Options,
    report::{Counts, Report},
};

/// Asked of GitHub, and not built yet.
const NEED_GITHUB: [&str; 2] = ["verify-owners-presence", "validate-github-app-installation"];

/// What is wrong in a file is in the report; an error is a mistake of the command line.
pub(super) fn examine(
    options: &Options,
    enabled: &BTreeSet<&'static str>,
) -> Result<Report, &'static str> {
    match options.files.config() {
        Some(paths) => Ok(installation(options, &paths, enabled)),
        None => alone(options),
    }
}

fn alone(options: &Options) -> Result<Report, &'static str> {
    let files = &options.files;
    let name = files.prow_yaml_repo_name.as_deref();
    let Some(found) = checkout::alone(files.prow_yaml_path.as_deref(), name) else {
        return Err(
            "--config-path is needed: there is no .prow/, .prow.yaml or prow-jobs.yaml in this folder",
        );
    };
    let mut report = Report::default();
    report.notes.push(
        "checked without an installation: its presets, clusters and central jobs are not known \
         (--config-path)"
            .into(),
    );
    match found {
        Ok(counts) => report.counts = counts,
        Err(errors) => report.errors = errors.0,
    }
    Ok(report)
}

fn installation(
    options: &Options,
    paths: &config::Options,
    enabled: &BTreeSet<&'static str>,
) -> Report {
    let mut report = Report::default();
    let plugin_paths = options.files.plugins();
    let plugins = plugin_paths.as_ref().and_then(|paths| {
        Plugins::load(paths)
            .map_err(|wrong| report.errors.extend(wrong.0))
            .ok()
    });
    let config = Config::load(paths)
        .map_err(|wrong| report.errors.extend(wrong.0))
        .ok();
    if let Some(config) = &config {
        report.counts = counts(config);
        report
            .notes
            .extend(unused("config.yaml", config.unused_sections()));
        in_repo(options, config, &mut report);
        let file = |path: &std::path::Path| path.display().to_string().into();
        let subject = Subject {
            config,
            config_file: file(&paths.config_path),
            plugins: plugins.as_ref(),
            plugins_file: plugin_paths.map_or("".into(), |paths| file(&paths.plugin_config)),
            required_annotations: &options.warnings.required_job_annotations,
            clusters: None,
        };
        report.warnings = subject.warnings(enabled);
    }
    if let Some(plugins) = &plugins {
        report.counts.files += 1;
        report
            .notes
            .extend(unused("plugins.yaml", plugins.unused_sections()));
    }
    let unasked = NEED_GITHUB.iter().filter(|name| enabled.contains(*name));
    report
        .notes
        .extend(unasked.map(|name| {
            format!("{name} would ask GitHub, which is not built yet: not looked for")
        }));
    report
}

fn in_repo(options: &Options, config: &Config, report: &mut Report) {
    let files = &options.files;
    let Some(name) = &files.prow_yaml_repo_name else {
        return;
    };
    match checkout::check(files.prow_yaml_path.as_deref(), name, config) {
        Ok(counts) => report.counts.files += counts.files,
        Err(errors) => report.errors.extend(errors.0),
    }
}

fn counts(config: &Config) -> Counts {
    let jobs = &config.jobs;
    let repositories: BTreeSet<&String> = jobs
        .presubmits
        .keys()
        .chain(jobs.postsubmits.keys())
        .collect();
    Counts {
        files: files(config),
        presubmits: jobs.presubmits.values().map(Vec::len).sum(),
        postsubmits: jobs.postsubmits.values().map(Vec::len).sum(),
        periodics: jobs.periodics.len(),
        presets: jobs.presets.len(),
        repositories: repositories.len(),
    }
}

/// Sections that Prow knows and nothing here reads are no mistake: checkconfig says nothing of
/// them either.
fn unused<'a>(file: &str, sections: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = sections.collect();
    (!names.is_empty()).then(|| format!("known, not used here: {file}: {}", names.join(", ")))
}

fn files(config: &Config) -> usize {
    let jobs = &config.jobs;
    let presubmits = jobs
        .presubmits
        .values()
        .flatten()
        .map(|job| &job.base.origin.file);
    let postsubmits = jobs
        .postsubmits
        .values()
        .flatten()
        .map(|job| &job.base.origin.file);
    let periodics = jobs.periodics.iter().map(|job| &job.base.origin.file);
    let all: BTreeSet<_> = presubmits.chain(postsubmits).chain(periodics).collect();
    all.len() + 1
}
