//! What a push starts: postsubmits. Whoever may push is trusted.

use std::sync::Arc;

use common::config::{Changes, Postsubmit};

use super::{
    decision::{Decision, Effect},
    facts::{Facts, Need, Scene},
    runs,
};
use crate::event::PushEvent;

pub(crate) fn decide(push: &PushEvent, scene: Scene<'_>, facts: &Facts) -> Result<Decision, Need> {
    if push.deleted || push.after.bytes().all(|b| b == b'0') {
        return Ok(Decision::nothing("the ref was deleted"));
    }
    let Some(branch) = ["refs/heads/", "refs/tags/"]
        .iter()
        .find_map(|prefix| push.git_ref.strip_prefix(prefix))
    else {
        return Ok(Decision::nothing(format!(
            "{} is neither a branch nor a tag",
            push.git_ref
        )));
    };
    let mut decision = Decision::default();
    let files = changed_files(push);
    let changes = Changes::new(&files);
    for job in &postsubmits(&mut decision, push, scene, facts)? {
        if job.should_run(branch, &changes) {
            decision.because(format!("{} runs", job.base.name));
            let run = runs::postsubmit(job, push, branch, scene);
            decision.push(Effect::Run(Box::new(run)));
        }
    }
    if decision.effects.is_empty() {
        decision.because("no postsubmit runs on this push");
    }
    Ok(decision)
}

/// The central postsubmits and the repository's own as of the pushed commit.
fn postsubmits(
    decision: &mut Decision,
    push: &PushEvent,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Vec<Arc<Postsubmit>>, Need> {
    let mut jobs = scene.config.postsubmits_for(&scene.org_repo()).to_vec();
    if scene.in_repo_enabled() {
        match facts.own_at(push.commit_sha())? {
            Ok(own) => jobs.extend(own.postsubmits.iter().cloned()),
            Err(problem) => {
                decision.because(format!("the repository's own jobs are not used: {problem}"))
            }
        }
    }
    Ok(jobs)
}

/// As the payload lists them. A new branch lists none, so that nothing that depends on changed
/// files runs.
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
