//! Prow's rules for jobs. Each broken rule is one finding with a name and a message of its own.

mod agent;
mod base;
mod clone_uri;
mod decoration;
mod duplicates;
mod kinds;
mod names;
mod pod;
#[cfg(test)]
mod tests;

use super::{JobBase, JobConfig, Path, Segment, findings::Findings, nearest};

pub(super) use base::check as base;
pub(super) use decoration::config as decoration_config;
pub(super) use duplicates::{postsubmits, presubmits};
pub(super) use kinds::{periodic, postsubmit, presubmit};
pub(super) use names::is_qualified_name;

/// The rules between the jobs of an installation.
pub(super) fn across(jobs: &JobConfig, findings: &mut Findings) {
    for list in jobs.presubmits.values() {
        presubmits(list, findings);
    }
    for list in jobs.postsubmits.values() {
        postsubmits(list, findings);
    }
    duplicates::periodics(&jobs.periodics, findings);
}

/// A mistake at a field of a job, named by the keys that lead to it.
fn at(
    findings: &mut Findings,
    rule: &'static str,
    job: &JobBase,
    keys: &[&str],
    message: impl Into<String>,
) {
    let mut path = job.origin.path.clone();
    path.extend(keys.iter().map(|key| Segment::Key((*key).to_owned())));
    findings.add(rule, &job.origin.file, &Path::Below(&path), message);
}

/// The way out when a name is misspelt.
fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|name| format!("did you mean {name:?}?"))
}
