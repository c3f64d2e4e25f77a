//! Which presubmits count for a pull request: the central ones, and the repository's own as far
//! as their author is trusted.

use std::sync::Arc;

use common::{
    config::Presubmit,
    github::{PullRequest, Status, StatusState},
};

use super::{
    decision::{Decision, Effect, Report, Verdict},
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
    /// The pull request cannot be merged into its base: the files in conflict, as far as they
    /// are known.
    pub(crate) conflict: Option<Vec<String>>,
    /// Why the repository's own jobs are not among them.
    pub(crate) missing: Option<String>,
}

impl Candidates {
    /// Whether there is nothing to choose from, which is a reason to do nothing. Of a pull
    /// request in conflict nobody knows what its own jobs are.
    pub(crate) fn are_none(&self, decision: &mut Decision) -> bool {
        let none = self.jobs.is_empty() && self.conflict.is_none();
        if none {
            decision.because("the repository has no presubmits");
        }
        none
    }
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
        // GitHub says no more than that.
        conflict: (pull.mergeable == Some(false)).then(Vec::new),
        missing: None,
    };
    if !scene.in_repo_enabled() {
        return Ok(candidates);
    }
    let own = if trusted {
        facts.own_merged(pull, trusted)?
    } else {
        facts.own_at(facts.base_sha(&pull.base.git_ref)?)?
    };
    match own {
        Ok(own) => candidates.jobs.extend(own.presubmits.iter().cloned()),
        Err(Problem::Conflict(files)) => candidates.conflict = Some(files.clone()),
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
    trusted: bool,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Option<Effect>, Need> {
    if !scene.in_repo_enabled() {
        return Ok(None);
    }
    let name = scene.org_repo();
    let (mistakes, state, description, is_due) = match facts.own_merged(pull, trusted)? {
        Ok(own) => {
            let has_jobs = !own.presubmits.is_empty() || !own.postsubmits.is_empty();
            (
                None,
                StatusState::Success,
                texts::USABLE.to_owned(),
                has_jobs,
            )
        }
        Err(Problem::Invalid(errors)) => (
            Some(texts::in_repo_errors(&name, errors)),
            StatusState::Failure,
            texts::first_mistake(errors),
            true,
        ),
        Err(Problem::Unreadable(why)) => (
            Some(texts::in_repo_unreadable(&name, why)),
            StatusState::Error,
            texts::UNREADABLE.to_owned(),
            true,
        ),
        // GitHub tells of a conflict itself, and whoever asks for a job is answered.
        Err(Problem::Conflict(_)) => return Ok(None),
    };
    let verdict = scene.status_context.map(|context| Verdict {
        sha: pull.head.sha.clone(),
        status: Status {
            state,
            context: context.to_owned(),
            description,
            target_url: String::new(),
        },
        page: runs::pull_link(pull, scene),
        is_due,
    });
    Ok(Some(Effect::Report(Box::new(Report { mistakes, verdict }))))
}

/// Starts what starts by itself, unless the pull request cannot be merged.
pub(crate) fn start_auto(
    decision: &mut Decision,
    candidates: &Candidates,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    if let Some(files) = &candidates.conflict {
        decision.because(why_conflict(files, pull));
        return Ok(());
    }
    let selected = choose(&candidates.jobs, &[Filter::Auto], pull, facts)?;
    if selected.is_empty() {
        decision.because("no job starts by itself on these changes");
    }
    start(decision, &selected, false, pull, scene, facts)
}

/// Why nothing runs on a pull request that cannot be merged.
pub(crate) fn why_conflict(files: &[String], pull: &PullRequest) -> String {
    let base = &pull.base.git_ref;
    let whereabouts = match files {
        [] => String::new(),
        files => format!(" in {}", files.join(", ")),
    };
    format!("the pull request conflicts with {base}{whereabouts}, so no job can run on it")
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

/// Starts jobs on a pull request that can be merged.
pub(crate) fn start(
    decision: &mut Decision,
    jobs: &[Arc<Presubmit>],
    retest: bool,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    if jobs.is_empty() {
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
