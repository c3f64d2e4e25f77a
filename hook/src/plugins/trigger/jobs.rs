//! The presubmits of a pull request: the central ones, and the repository's own as far as their
//! author is trusted.

use std::sync::Arc;

use common::{
    config::Presubmit,
    github::{CommitStatus, GithubPullRequest, StatusState},
};

use super::{
    decision::{InRepoConfigReport, InRepoConfigStatus, TriggerDecision, TriggerEffect},
    lookups::{MissingLookup, TriggerContext, TriggerLookups},
    messages, new_prowjobs,
    select::{self, PresubmitFilter},
};
use crate::inrepo::InRepoConfigError;

/// The presubmits that an event may choose from.
#[derive(Debug, Default)]
pub(crate) struct CandidatePresubmits {
    pub(crate) jobs: Vec<Arc<Presubmit>>,
    /// When the pull request cannot be merged into its base: the files in conflict, as far as they
    /// are known.
    pub(crate) conflict: Option<Vec<String>>,
    /// Why the repository's own jobs are missing here.
    pub(crate) missing: Option<String>,
}

impl CandidatePresubmits {
    /// Whether there is nothing to choose from; if so, adds that as a reason. In a conflict this is
    /// false, since the repository's own jobs are unknown.
    pub(crate) fn are_none(&self, decision: &mut TriggerDecision) -> bool {
        let none = self.jobs.is_empty() && self.conflict.is_none();
        if none {
            decision.add_reason("the repository has no presubmits");
        }
        none
    }
}

/// The presubmits of a pull request. Nothing of an untrusted head is used: then the repository's
/// own jobs are those of the base commit.
pub(crate) fn candidate_presubmits(
    pull: &GithubPullRequest,
    trusted: bool,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<CandidatePresubmits, MissingLookup> {
    let mut candidates = CandidatePresubmits {
        jobs: scene.config.presubmits_for(&scene.org_repo()).to_vec(),
        // GitHub does not name the files.
        conflict: (pull.mergeable == Some(false)).then(Vec::new),
        missing: None,
    };
    if !scene.in_repo_enabled() {
        return Ok(candidates);
    }
    let own = if trusted {
        facts.in_repo_merged(pull, trusted)?
    } else {
        facts.in_repo_at(facts.base_sha(&pull.base.git_ref)?)?
    };
    match own {
        Ok(own) => candidates.jobs.extend(own.presubmits.iter().cloned()),
        Err(InRepoConfigError::Conflict(files)) => candidates.conflict = Some(files.clone()),
        Err(problem) => {
            candidates.missing = Some(format!("the repository's own jobs are not used: {problem}"));
        }
    }
    Ok(candidates)
}

/// The report on the repository's own configuration as the pull request would leave it, whoever its
/// author is. Reading it executes nothing.
pub(crate) fn in_repo_report(
    pull: &GithubPullRequest,
    trusted: bool,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<Option<TriggerEffect>, MissingLookup> {
    if !scene.in_repo_enabled() {
        return Ok(None);
    }
    let name = scene.org_repo();
    let (mistakes, state, description, is_due) = match facts.in_repo_merged(pull, trusted)? {
        Ok(own) => {
            let has_jobs = !own.presubmits.is_empty() || !own.postsubmits.is_empty();
            (
                None,
                StatusState::Success,
                messages::USABLE.to_owned(),
                has_jobs,
            )
        }
        Err(InRepoConfigError::Invalid(errors)) => (
            Some(messages::in_repo_errors(&name, errors)),
            StatusState::Failure,
            messages::first_mistake(errors),
            true,
        ),
        Err(InRepoConfigError::Unreadable(why)) => (
            Some(messages::in_repo_unreadable(&name, why)),
            StatusState::Error,
            messages::UNREADABLE.to_owned(),
            true,
        ),
        // GitHub shows a conflict itself, and a user who asks for a job gets an answer.
        Err(InRepoConfigError::Conflict(_)) => return Ok(None),
    };
    let verdict = scene.status_context.map(|context| InRepoConfigStatus {
        sha: pull.head.sha.clone(),
        status: CommitStatus {
            state,
            context: context.to_owned(),
            description,
            target_url: String::new(),
        },
        page: new_prowjobs::pull_link(pull, scene),
        is_due,
    });
    Ok(Some(TriggerEffect::Report(Box::new(InRepoConfigReport {
        mistakes,
        verdict,
    }))))
}

/// Starts the jobs that run by themselves, unless the pull request cannot be merged.
pub(crate) fn start_auto(
    decision: &mut TriggerDecision,
    candidates: &CandidatePresubmits,
    pull: &GithubPullRequest,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    if let Some(files) = &candidates.conflict {
        decision.add_reason(why_conflict(files, pull));
        return Ok(());
    }
    let selected = choose_presubmits(&candidates.jobs, &[PresubmitFilter::Auto], pull, facts)?;
    if selected.is_empty() {
        decision.add_reason("no job starts by itself on these changes");
    }
    start_presubmits(decision, &selected, false, pull, scene, facts)
}

/// Why nothing runs on a pull request that cannot be merged.
pub(crate) fn why_conflict(files: &[String], pull: &GithubPullRequest) -> String {
    let base = &pull.base.git_ref;
    let whereabouts = match files {
        [] => String::new(),
        files => format!(" in {}", files.join(", ")),
    };
    format!("the pull request conflicts with {base}{whereabouts}, so no job can run on it")
}

/// The jobs that `filters` choose for a pull request.
pub(crate) fn choose_presubmits(
    jobs: &[Arc<Presubmit>],
    filters: &[PresubmitFilter],
    pull: &GithubPullRequest,
    facts: &TriggerLookups,
) -> Result<Vec<Arc<Presubmit>>, MissingLookup> {
    select::filter_presubmits(jobs, filters, &pull.base.git_ref, || {
        facts.changed_files(pull.number)
    })
}

/// Starts jobs on a pull request that can be merged.
pub(crate) fn start_presubmits(
    decision: &mut TriggerDecision,
    jobs: &[Arc<Presubmit>],
    retest: bool,
    pull: &GithubPullRequest,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    if jobs.is_empty() {
        return Ok(());
    }
    let base_sha = facts.base_sha(&pull.base.git_ref)?;
    for job in jobs {
        decision.add_reason(format!("{} runs", job.base.name));
        let run = new_prowjobs::new_presubmit(job, pull, base_sha, retest, scene);
        decision.push_effect(TriggerEffect::Run(Box::new(run)));
    }
    Ok(())
}
