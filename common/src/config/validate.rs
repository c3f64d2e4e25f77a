//! Prow's rules for jobs. Each broken rule is one finding with a message of its own.

mod base;
mod decoration;
mod duplicates;
mod kinds;
mod names;
mod pod;
mod sections;

use super::{JobConfig, ProwConfig, findings::Findings};

pub(super) use base::check as base;
pub(super) use duplicates::{periodics as duplicate_periodics, postsubmits, presubmits};
pub(super) use kinds::{periodic, postsubmit, presubmit};
pub(super) use sections::check as sections;

/// Every rule over all jobs of an installation.
pub(super) fn jobs(jobs: &JobConfig, prow: &ProwConfig, findings: &mut Findings) {
    for list in jobs.presubmits.values() {
        for job in list {
            presubmit(job, prow, findings);
        }
        presubmits(list, findings);
    }
    for list in jobs.postsubmits.values() {
        for job in list {
            postsubmit(job, prow, findings);
        }
        postsubmits(list, findings);
    }
    for job in &jobs.periodics {
        periodic(job, prow, findings);
    }
    duplicate_periodics(&jobs.periodics, findings);
}
