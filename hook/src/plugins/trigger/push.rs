//! Decides what a push starts: postsubmits. Whoever may push is trusted.

use std::sync::Arc;

use common::config::{ChangedFiles, Postsubmit};

use super::{
    decision::{TriggerDecision, TriggerEffect},
    lookups::{MissingLookup, TriggerContext, TriggerLookups},
    new_prowjobs,
};
use crate::event::PushEvent;

pub(crate) fn decide_push(
    push: &PushEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    if push.deleted || push.after.bytes().all(|b| b == b'0') {
        return Ok(TriggerDecision::without_effects("the ref was deleted"));
    }
    let Some(branch) = ["refs/heads/", "refs/tags/"]
        .iter()
        .find_map(|prefix| push.git_ref.strip_prefix(prefix))
    else {
        return Ok(TriggerDecision::without_effects(format!(
            "{} is neither a branch nor a tag",
            push.git_ref
        )));
    };
    let mut decision = TriggerDecision::default();
    let files = changed_files(push);
    let changes = ChangedFiles::new(&files);
    for job in &candidate_postsubmits(&mut decision, push, scene, facts)? {
        if job.should_run(branch, &changes) {
            decision.add_reason(format!("{} runs", job.base.name));
            let run = new_prowjobs::new_postsubmit(job, push, branch, scene);
            decision.push_effect(TriggerEffect::Run(Box::new(run)));
        }
    }
    if decision.effects.is_empty() {
        decision.add_reason("no postsubmit runs on this push");
    }
    Ok(decision)
}

/// The central postsubmits and the repository's own as of the pushed commit.
fn candidate_postsubmits(
    decision: &mut TriggerDecision,
    push: &PushEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<Vec<Arc<Postsubmit>>, MissingLookup> {
    let mut jobs = scene.config.postsubmits_for(&scene.org_repo()).to_vec();
    if scene.in_repo_enabled() {
        match facts.in_repo_at(push.commit_sha())? {
            Ok(own) => jobs.extend(own.postsubmits.iter().cloned()),
            Err(problem) => {
                decision.add_reason(format!("the repository's own jobs are not used: {problem}"))
            }
        }
    }
    Ok(jobs)
}

/// The changed files that the payload lists. For a new branch it lists none, so that no job runs
/// that depends on changed files.
fn changed_files(push: &PushEvent) -> Vec<String> {
    let mut files: Vec<String> = push
        .commits
        .iter()
        .flat_map(|commit| [&commit.added, &commit.removed, &commit.modified])
        .flatten()
        .cloned()
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}
