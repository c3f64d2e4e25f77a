//! Which presubmits count for a pull request: the central ones, and the repository's own as far
//! as their author is trusted.

use std::sync::Arc;

use common::{config::Presubmit, github::PullRequest};

use super::{
    decision::{Decision, Effect},
    facts::{Facts, Need, Scene},
    runs,
    select::{self, Filter},
    texts,
};
use crate::inrepo::Problem;

/// The presubmits that an event may choose from.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) jobs: Vec<Arc<Presubmit>>,
    /// Git cannot merge the pull request.
    pub(crate) conflict: bool,
    /// Why the repository's own jobs are not among them.
    pub(crate) missing: Option<String>,
}

/// The presubmits of a pull request. Of an untrusted one's head nothing is used: its
/// repository's own jobs are those of the base commit.
pub(crate) fn candidates(
    pull: &PullRequest,
    trusted: bool,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Candidates, Need> {
    let mut candidates = Candidates {
        jobs: scene.config.presubmits_for(&scene.org_repo()).to_vec(),
        ..Candidates::default()
    };
    if !scene.in_repo_enabled() {
        return Ok(candidates);
    }
    let own = if trusted {
        facts.own_merged(pull)?
    } else {
        facts.own_at(facts.base_sha(&pull.base.git_ref)?)?
    };
    match own {
        Ok(own) => candidates.jobs.extend(own.presubmits.iter().cloned()),
        Err(Problem::Conflict) => candidates.conflict = true,
        Err(problem) => {
            candidates.missing = Some(format!("the repository's own jobs are not used: {problem}"));
        }
    }
    Ok(candidates)
}

/// What is to be told about the repository's own configuration as the pull request would leave
/// it, whoever its author is. Reading it runs nothing of it.
pub(crate) fn report(
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Option<Effect>, Need> {
    if !scene.in_repo_enabled() {
        return Ok(None);
    }
    Ok(match facts.own_merged(pull)? {
        Ok(_) => Some(Effect::Report(None)),
        Err(Problem::Invalid(errors)) => Some(Effect::Report(Some(texts::in_repo_errors(
            &scene.org_repo(),
            errors,
        )))),
        Err(Problem::Unreadable) => Some(Effect::Report(Some(texts::in_repo_unreadable(
            &scene.org_repo(),
        )))),
        // GitHub tells of a conflict itself.
        Err(Problem::Conflict) => None,
    })
}

/// Starts what starts by itself.
pub(crate) fn start_auto(
    decision: &mut Decision,
    candidates: &Candidates,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let selected = choose(&candidates.jobs, &[Filter::Auto], pull, facts)?;
    if selected.is_empty() {
        decision.because("no job starts by itself on these changes");
    }
    start(
        decision,
        &selected,
        candidates.conflict,
        false,
        pull,
        scene,
        facts,
    )
}

/// The jobs that `filters` choose for a pull request.
pub(crate) fn choose(
    jobs: &[Arc<Presubmit>],
    filters: &[Filter],
    pull: &PullRequest,
    facts: &Facts,
) -> Result<Vec<Arc<Presubmit>>, Need> {
    select::select(jobs, filters, &pull.base.git_ref, || {
        facts.changed_files(pull.number)
    })
}

/// Starts jobs, unless the pull request cannot be merged.
pub(crate) fn start(
    decision: &mut Decision,
    jobs: &[Arc<Presubmit>],
    conflict: bool,
    retest: bool,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    if jobs.is_empty() {
        return Ok(());
    }
    if conflict || pull.mergeable == Some(false) {
        decision.because("the pull request conflicts with its base, so no job can run on it");
        return Ok(());
    }
    let base_sha = facts.base_sha(&pull.base.git_ref)?;
    for job in jobs {
        decision.because(format!("{} runs", job.base.name));
        let run = runs::presubmit(job, pull, base_sha, retest, scene);
        decision.push(Effect::Run(Box::new(run)));
    }
    Ok(())
}
