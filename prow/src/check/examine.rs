//! Reads all files that are named, goes on after errors where it can, and collects the findings.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem, thread,
};

use anyhow::Context as _;
use common::{
    config::{
        self, Config, ConfigPath, Diagnostic, checkconfig::CheckconfigInput,
        plugins::PluginConfiguration,
    },
    service,
};

use super::{
    checkout, clusters, github_warnings, hierarchy,
    options::CheckOptions,
    report::{CheckReport, ConfigCounts},
};
use crate::program;

/// `None` when there is nothing to read. What is wrong in a file is in the report; an error means
/// that a service had to be asked and did not answer.
pub(super) fn examine_config(
    options: &CheckOptions,
    enabled: &BTreeSet<&'static str>,
) -> anyhow::Result<Option<CheckReport>> {
    match options.files.config_options() {
        Some(paths) => examine_installation(options, &paths, enabled).map(Some),
        None => Ok(examine_checkout(options)),
    }
}

fn examine_checkout(options: &CheckOptions) -> Option<CheckReport> {
    let files = &options.files;
    let name = files.prow_yaml_repo_name.as_deref();
    let found = checkout::check_without_config(files.prow_yaml_path.as_deref(), name)?;
    let mut report = CheckReport::default();
    report.notes.push(
        "checked without an installation: its presets, clusters and central jobs are not known \
         (--config-path)"
            .into(),
    );
    match found {
        Ok(own) => {
            report.counts = own.counts;
            report.warnings = own.warnings;
        }
        Err(errors) => report.errors = errors.0,
    }
    Some(report)
}

fn examine_installation(
    options: &CheckOptions,
    paths: &config::ConfigOptions,
    enabled: &BTreeSet<&'static str>,
) -> anyhow::Result<CheckReport> {
    let mut report = CheckReport::default();
    if enabled.contains(hierarchy::RULE) {
        report.warnings.extend(hierarchy::check_config_parts(paths));
    }
    let (plugins, config) = thread::scope(|scope| {
        let plugins = options.files.plugin_options().map(|paths| {
            if enabled.contains(hierarchy::RULE) {
                report
                    .warnings
                    .extend(hierarchy::check_plugin_parts(&paths));
            }
            scope.spawn(move || PluginConfiguration::load_files(&paths))
        });
        let config = Config::load_files(paths);
        let plugins = plugins.map(|reading| reading.join().expect("reading does not panic"));
        (plugins, config)
    });
    let plugins =
        plugins.and_then(|plugins| plugins.map_err(|wrong| report.errors.extend(wrong.0)).ok());
    if let Some(plugins) = &plugins {
        report.counts.files += 1;
        report.errors.extend_from_slice(plugins.unknown_plugins());
        report
            .notes
            .extend(plugins.config_warnings().iter().map(Diagnostic::to_string));
        let (main, _) = plugins.locate_path(&ConfigPath::Root);
        unknown_fields(enabled, plugins.unknown_fields(), &main, &mut report);
    }
    match config {
        Ok(config) => {
            let plugins = plugins.as_ref();
            examine_loaded(options, paths, enabled, &config, plugins, &mut report)?;
            // The program ends soon, and freeing thousands of jobs would delay it.
            mem::forget(config);
        }
        Err(wrong) => report.errors.extend(wrong.0),
    }
    Ok(report)
}

/// The checks of a configuration that loads.
fn examine_loaded(
    options: &CheckOptions,
    paths: &config::ConfigOptions,
    enabled: &BTreeSet<&'static str>,
    config: &Config,
    plugins: Option<&PluginConfiguration>,
    report: &mut CheckReport,
) -> anyhow::Result<()> {
    let files = report.counts.files;
    report.counts = count_jobs(config);
    report.counts.files += files;
    report
        .notes
        .extend(unused_sections_note(config.unused_sections()));
    if let Some(name) = &options.files.prow_yaml_repo_name {
        match checkout::check_checkout(options.files.prow_yaml_path.as_deref(), name, config) {
            Ok(own) => {
                report.counts.files += own.counts.files;
                report.counts.presubmits += own.counts.presubmits;
                report.counts.postsubmits += own.counts.postsubmits;
                report.warnings.extend(own.warnings);
            }
            Err(errors) => report.errors.extend(errors.0),
        }
    }
    let main = paths.config_path.display().to_string();
    unknown_fields(enabled, &config.unknown_fields, &main, report);
    let clusters = known_clusters(options, enabled, config).unwrap_or_else(|error| {
        // As in Prow: the other checks do not depend on it.
        let warning = Diagnostic::in_file(clusters::RULE, main.as_str(), format!("{error:#}"));
        report.warnings.push(warning);
        None
    });
    let subject = CheckconfigInput {
        config,
        plugins,
        required_annotations: &options.warnings.required_job_annotations,
        clusters: clusters.as_ref(),
    };
    report.warnings.extend(subject.find_warnings(enabled));
    if github_warnings::RULES
        .iter()
        .any(|rule| enabled.contains(rule))
    {
        service::install_crypto();
        let asked = github_warnings::find_github_warnings(&options.github, enabled, &subject);
        report
            .warnings
            .extend(program::build_runtime().block_on(asked)?);
    }
    Ok(())
}

fn known_clusters(
    options: &CheckOptions,
    enabled: &BTreeSet<&'static str>,
    config: &Config,
) -> anyhow::Result<Option<BTreeMap<String, String>>> {
    let location = &config.prow.plank.build_cluster_status_file;
    if location.is_empty() || !enabled.contains(clusters::RULE) {
        return Ok(None);
    }
    service::install_crypto();
    let credentials = options.storage.storage_credentials();
    program::build_runtime()
        .block_on(clusters::read_cluster_states(location, &credentials))
        .with_context(|| format!("plank.build_cluster_status_file {location}"))
}

fn count_jobs(config: &Config) -> ConfigCounts {
    let jobs = &config.jobs;
    let before = jobs.presubmits.iter().filter(|(_, list)| !list.is_empty());
    let after = jobs.postsubmits.iter().filter(|(_, list)| !list.is_empty());
    let repositories: BTreeSet<&String> = before
        .map(|(repo, _)| repo)
        .chain(after.map(|(repo, _)| repo))
        .collect();
    ConfigCounts {
        files: config.files,
        presubmits: jobs.presubmits.values().map(Vec::len).sum(),
        postsubmits: jobs.postsubmits.values().map(Vec::len).sum(),
        periodics: jobs.periodics.len(),
        presets: jobs.presets.len(),
        repositories: repositories.len(),
    }
}

/// Warnings about fields that nothing reads: those of the main file, or all.
fn unknown_fields(
    enabled: &BTreeSet<&'static str>,
    fields: &[Diagnostic],
    main: &str,
    report: &mut CheckReport,
) {
    for field in fields {
        let wide = if enabled.contains("unknown-fields-all") {
            "unknown-fields-all"
        } else if enabled.contains("unknown-fields") && field.file == main {
            "unknown-fields"
        } else {
            continue;
        };
        // checkconfig does not report the first two.
        let rule = match field.rule {
            "duplicate-key" => "duplicate-keys",
            _ if field.path.starts_with("config_updater.maps.") => "unknown-map-fields",
            _ => wide,
        };
        if enabled.contains(rule) {
            report.warnings.push(Diagnostic {
                rule,
                ..field.clone()
            });
        }
    }
}

/// Sections that Prow knows and nothing here reads are no mistake: checkconfig does not report them
/// either.
fn unused_sections_note<'a>(sections: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = sections.collect();
    (!names.is_empty()).then(|| format!("known, not used here: config.yaml: {}", names.join(", ")))
}
