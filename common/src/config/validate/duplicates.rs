//! Jobs that would be mistaken for each other: two with the same name, or two with the same status
//! context, on a branch that both run on.

use std::{collections::HashMap, sync::Arc};

use crate::config::{
    Brancher, ConfigPath, JobBase, Periodic, Postsubmit, Presubmit, diagnostics::Diagnostics,
};

struct DuplicateCandidate<'a> {
    base: &'a JobBase,
    context: &'a str,
    brancher: &'a Brancher,
}

/// Checks the presubmits of one repository.
pub(in crate::config) fn validate_unique_presubmits(
    jobs: &[Arc<Presubmit>],
    findings: &mut Diagnostics,
) {
    let entries = jobs.iter().map(|job| DuplicateCandidate {
        base: &job.base,
        context: &job.context,
        brancher: &job.brancher,
    });
    validate_unique_jobs(&entries.collect::<Vec<_>>(), findings);
}

/// Checks the postsubmits of one repository.
pub(in crate::config) fn validate_unique_postsubmits(
    jobs: &[Arc<Postsubmit>],
    findings: &mut Diagnostics,
) {
    let entries = jobs.iter().map(|job| DuplicateCandidate {
        base: &job.base,
        context: &job.context,
        brancher: &job.brancher,
    });
    validate_unique_jobs(&entries.collect::<Vec<_>>(), findings);
}

/// Checks all periodics: they belong to no repository, so each name may occur once.
pub(in crate::config) fn validate_unique_periodics(
    jobs: &[Arc<Periodic>],
    findings: &mut Diagnostics,
) {
    let mut seen: HashMap<&str, &JobBase> = HashMap::new();
    for job in jobs {
        let base = &job.base;
        if let Some(first) = seen.insert(&base.name, base) {
            findings.add_job_diagnostic(
                "duplicate-job",
                &base.origin,
                "name",
                format!(
                    "the periodic {:?} is there twice, the first time as {}",
                    base.name,
                    describe_origin(first)
                ),
            );
        }
    }
}

/// Where a job is defined.
fn describe_origin(job: &JobBase) -> String {
    format!(
        "{} in {}",
        ConfigPath::Below(&job.origin.path),
        job.origin.file
    )
}

fn validate_unique_jobs(jobs: &[DuplicateCandidate<'_>], findings: &mut Diagnostics) {
    let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut contexts: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, job) in jobs.iter().enumerate() {
        let same_name = names.entry(&job.base.name).or_default();
        if let Some(first) = find_overlapping_job(jobs, same_name, job) {
            findings.add_job_diagnostic(
                "duplicate-job",
                &job.base.origin,
                "name",
                format!(
                    "two jobs named {:?} run on one branch, the other is {}",
                    job.base.name,
                    describe_origin(first.base)
                ),
            );
        }
        same_name.push(index);
        let same_context = contexts.entry(job.context).or_default();
        let others: Vec<usize> = same_context
            .iter()
            .copied()
            .filter(|other| jobs[*other].base.name != job.base.name)
            .collect();
        if let Some(first) = find_overlapping_job(jobs, &others, job) {
            findings.add_job_diagnostic(
                "duplicate-context",
                &job.base.origin,
                "context",
                format!(
                    "the jobs {:?} and {:?} write one status context {:?} on one branch, the \
                     other is {}",
                    job.base.name,
                    first.base.name,
                    job.context,
                    describe_origin(first.base)
                ),
            );
        }
        same_context.push(index);
    }
}

fn find_overlapping_job<'a, 'b>(
    jobs: &'b [DuplicateCandidate<'a>],
    candidates: &[usize],
    job: &DuplicateCandidate<'_>,
) -> Option<&'b DuplicateCandidate<'a>> {
    candidates
        .iter()
        .map(|index| &jobs[*index])
        .find(|other| other.brancher.intersects(job.brancher))
}
