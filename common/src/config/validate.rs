//! Prow's rules for jobs. Each broken rule is one diagnostic with a rule name and a message.

mod agent;
mod base;
mod clone_uri;
mod decoration;
mod duplicates;
mod job_types;
mod names;
mod pod;
#[cfg(test)]
mod tests;

use super::{ConfigPath, JobBase, JobConfig, PathSegment, diagnostics::Diagnostics, nearest_name};

pub(super) use base::validate_job_base;
pub(super) use decoration::validate_decoration_config;
pub(super) use duplicates::{validate_unique_postsubmits, validate_unique_presubmits};
pub(super) use job_types::{validate_periodic, validate_postsubmit, validate_presubmit};
pub(super) use names::is_qualified_name;

/// Checks the rules between the jobs of an installation.
pub(super) fn validate_job_config(jobs: &JobConfig, findings: &mut Diagnostics) {
    for list in jobs.presubmits.values() {
        validate_unique_presubmits(list, findings);
    }
    for list in jobs.postsubmits.values() {
        validate_unique_postsubmits(list, findings);
    }
    duplicates::validate_unique_periodics(&jobs.periodics, findings);
}

/// Adds a diagnostic at the field of a job to which `keys` lead.
fn add_at_field(
    findings: &mut Diagnostics,
    rule: &'static str,
    job: &JobBase,
    keys: &[&str],
    message: impl Into<String>,
) {
    let mut path = job.origin.path.clone();
    path.extend(keys.iter().map(|key| PathSegment::Key((*key).to_owned())));
    findings.add_diagnostic(rule, &job.origin.file, &ConfigPath::Below(&path), message);
}

/// A hint for a misspelt name.
fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_name(name, known).map(|name| format!("did you mean {name:?}?"))
}
