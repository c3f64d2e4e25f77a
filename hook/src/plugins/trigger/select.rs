//! Which of a repository's presubmits an event starts.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{Changes, Presubmit},
    github::{Status, StatusState},
};

/// How a job came to be considered; the first that applies decides.
#[derive(Clone, Debug)]
pub enum Filter {
    /// The job's own trigger is in this text.
    Command(String),
    /// The job of this context.
    Context(String),
    /// What failed, and what should have run by itself and never did.
    Retest(Contexts),
    /// As [`Filter::Retest`], without optional jobs.
    RetestRequired(Contexts),
    /// Required jobs that nothing but a comment starts.
    ManualRequired,
    /// What starts by itself.
    Auto,
}

/// Contexts that have a status; whether it is a failure.
pub type Contexts = Arc<BTreeMap<String, bool>>;

/// The contexts of a commit.
pub(crate) fn contexts(statuses: &[Status]) -> Contexts {
    let failed =
        |status: &Status| matches!(status.state, StatusState::Failure | StatusState::Error);
    Arc::new(
        statuses
            .iter()
            .map(|status| (status.context.clone(), failed(status)))
            .collect(),
    )
}

/// How a job that a filter lets through is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Treatment {
    /// Changed files do not matter.
    forced: bool,
    /// What to do where nothing else speaks.
    default: bool,
}

impl Filter {
    /// `None` when the filter says nothing about the job.
    fn treatment(&self, job: &Presubmit) -> Option<Treatment> {
        let retest = |contexts: &Contexts| {
            let failed = contexts.get(&job.context).copied();
            let never_ran = failed.is_none() && !job.needs_explicit_trigger();
            (failed == Some(true) || never_ran).then_some(Treatment {
                forced: false,
                default: failed == Some(true),
            })
        };
        match self {
            Self::Command(text) => job.trigger_matches(text).then_some(Treatment {
                forced: true,
                default: true,
            }),
            Self::Context(context) => (job.context == *context).then_some(Treatment {
                forced: true,
                default: true,
            }),
            Self::Retest(contexts) => retest(contexts),
            Self::RetestRequired(contexts) if !job.optional => retest(contexts),
            Self::RetestRequired(_) => None,
            Self::ManualRequired => {
                (!job.optional && job.needs_explicit_trigger()).then_some(Treatment {
                    forced: true,
                    default: false,
                })
            }
            Self::Auto => (!job.needs_explicit_trigger()).then_some(Treatment {
                forced: false,
                default: false,
            }),
        }
    }
}

/// The jobs that `filters` start on `base_ref`. `changed_files` is asked only where it matters.
pub fn select<'a, E>(
    jobs: &[Arc<Presubmit>],
    filters: &[Filter],
    base_ref: &str,
    changed_files: impl Fn() -> Result<&'a [String], E>,
) -> Result<Vec<Arc<Presubmit>>, E> {
    let mut selected = Vec::new();
    let mut changes = None;
    let none = Changes::default();
    for job in jobs {
        let Some(Treatment { forced, default }) =
            filters.iter().find_map(|filter| filter.treatment(job))
        else {
            continue;
        };
        let changes = match changes {
            _ if !job.needs_changes(base_ref, forced) => &none,
            Some(ref known) => known,
            None => changes.insert(Changes::new(changed_files()?)),
        };
        if job.should_run(base_ref, changes, forced, default) {
            selected.push(Arc::clone(job));
        }
    }
    Ok(selected)
}
