//! Selects which of a repository's presubmits an event starts.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{ChangedFiles, Presubmit},
    github::{CommitStatus, StatusState},
};

/// Why a job is considered. The first filter that matches a job decides.
#[derive(Clone, Debug)]
pub enum PresubmitFilter {
    /// The job's own trigger matches this text.
    Command(String),
    /// The job of this context.
    Context(String),
    /// Jobs that failed, and jobs that should have started by themselves and never ran.
    Retest(StatusContexts),
    /// Like [`PresubmitFilter::Retest`], without optional jobs.
    RetestRequired(StatusContexts),
    /// Required jobs that only a comment starts.
    ManualRequired,
    /// Jobs that start by themselves.
    Auto,
}

/// The contexts that have a status, and whether it is a failure.
pub type StatusContexts = Arc<BTreeMap<String, bool>>;

/// The status contexts of a commit.
pub(crate) fn status_contexts(statuses: &[CommitStatus]) -> StatusContexts {
    let failed =
        |status: &CommitStatus| matches!(status.state, StatusState::Failure | StatusState::Error);
    Arc::new(
        statuses
            .iter()
            .map(|status| (status.context.clone(), failed(status)))
            .collect(),
    )
}

/// How a job that a filter matches is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FilterResult {
    /// The job runs whatever files changed.
    forced: bool,
    /// Whether the job runs when nothing else decides.
    default: bool,
}

impl PresubmitFilter {
    /// `None` when the filter does not match the job.
    fn evaluate_job(&self, job: &Presubmit) -> Option<FilterResult> {
        let retest = |contexts: &StatusContexts| {
            let failed = contexts.get(&job.context).copied();
            let never_ran = failed.is_none() && !job.needs_explicit_trigger();
            (failed == Some(true) || never_ran).then_some(FilterResult {
                forced: false,
                default: failed == Some(true),
            })
        };
        match self {
            Self::Command(text) => job.trigger_matches(text).then_some(FilterResult {
                forced: true,
                default: true,
            }),
            Self::Context(context) => (job.context == *context).then_some(FilterResult {
                forced: true,
                default: true,
            }),
            Self::Retest(contexts) => retest(contexts),
            Self::RetestRequired(contexts) if !job.optional => retest(contexts),
            Self::RetestRequired(_) => None,
            Self::ManualRequired => {
                (!job.optional && job.needs_explicit_trigger()).then_some(FilterResult {
                    forced: true,
                    default: false,
                })
            }
            Self::Auto => (!job.needs_explicit_trigger()).then_some(FilterResult {
                forced: false,
                default: false,
            }),
        }
    }
}

/// The jobs that `filters` start on `base_ref`. `changed_files` is called only when it matters.
pub fn filter_presubmits<'a, E>(
    jobs: &[Arc<Presubmit>],
    filters: &[PresubmitFilter],
    base_ref: &str,
    changed_files: impl Fn() -> Result<&'a [String], E>,
) -> Result<Vec<Arc<Presubmit>>, E> {
    let mut selected = Vec::new();
    let mut changes = None;
    let none = ChangedFiles::default();
    for job in jobs {
        let Some(FilterResult { forced, default }) =
            filters.iter().find_map(|filter| filter.evaluate_job(job))
        else {
            continue;
        };
        let changes = match changes {
            _ if !job.needs_changes(base_ref, forced) => &none,
            Some(ref known) => known,
            None => changes.insert(ChangedFiles::new(changed_files()?)),
        };
        if job.should_run(base_ref, changes, forced, default) {
            selected.push(Arc::clone(job));
        }
    }
    Ok(selected)
}
