//! Jobs that would be mistaken for each other: two of one name, or two that write one status
//! context, on a branch that both run on.

use std::{collections::HashMap, sync::Arc};

use crate::config::{Brancher, JobBase, Path, Periodic, Postsubmit, Presubmit, findings::Findings};

struct Entry<'a> {
    base: &'a JobBase,
    context: &'a str,
    brancher: &'a Brancher,
}

/// The presubmits of one repository.
pub(in crate::config) fn presubmits(jobs: &[Arc<Presubmit>], findings: &mut Findings) {
    let entries = jobs.iter().map(|job| Entry {
        base: &job.base,
        context: &job.context,
        brancher: &job.brancher,
    });
    check(&entries.collect::<Vec<_>>(), findings);
}

/// The postsubmits of one repository.
pub(in crate::config) fn postsubmits(jobs: &[Arc<Postsubmit>], findings: &mut Findings) {
    let entries = jobs.iter().map(|job| Entry {
        base: &job.base,
        context: &job.context,
        brancher: &job.brancher,
    });
    check(&entries.collect::<Vec<_>>(), findings);
}

/// Periodics belong to no repository: each name is there once.
pub(in crate::config) fn periodics(jobs: &[Arc<Periodic>], findings: &mut Findings) {
    let mut seen: HashMap<&str, &JobBase> = HashMap::new();
    for job in jobs {
        let base = &job.base;
        if let Some(first) = seen.insert(&base.name, base) {
            findings.job(
                "duplicate-job",
                &base.origin,
                "name",
                format!(
                    "the periodic {:?} is there twice, the first time as {}",
                    base.name,
                    shown(first)
                ),
            );
        }
    }
}

/// Where a job is written.
fn shown(job: &JobBase) -> String {
    format!("{} in {}", Path::Below(&job.origin.path), job.origin.file)
}

fn check(jobs: &[Entry<'_>], findings: &mut Findings) {
    let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut contexts: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, job) in jobs.iter().enumerate() {
        let same_name = names.entry(&job.base.name).or_default();
        if let Some(first) = clash(jobs, same_name, job) {
            findings.job(
                "duplicate-job",
                &job.base.origin,
                "name",
                format!(
                    "two jobs named {:?} run on one branch, the other is {}",
                    job.base.name,
                    shown(first.base)
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
        if let Some(first) = clash(jobs, &others, job) {
            findings.job(
                "duplicate-context",
                &job.base.origin,
                "context",
                format!(
                    "the jobs {:?} and {:?} write one status context {:?} on one branch, the \
                     other is {}",
                    job.base.name,
                    first.base.name,
                    job.context,
                    shown(first.base)
                ),
            );
        }
        same_context.push(index);
    }
}

fn clash<'a, 'b>(
    jobs: &'b [Entry<'a>],
    candidates: &[usize],
    job: &Entry<'_>,
) -> Option<&'b Entry<'a>> {
    candidates
        .iter()
        .map(|index| &jobs[*index])
        .find(|other| other.brancher.intersects(job.brancher))
}
