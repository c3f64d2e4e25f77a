//! What a change of a pull request starts and ends.

use common::github::PullRequest;

use super::{
    decision::{Decision, Effect},
    facts::{Facts, Need, Scene},
    jobs::{self, Candidates},
    texts,
    trust::{self, NEEDS_OK_TO_TEST, OK_TO_TEST},
};
use crate::event::PullRequestEvent;

pub(crate) fn decide(
    event: &PullRequestEvent,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Decision, Need> {
    let pull = &event.pull_request;
    let mut decision = Decision::default();
    match event.action.as_str() {
        "opened" => {
            opened(&mut decision, pull, scene, facts)?;
            // Nothing was told yet that could be mended.
            let report = jobs::report(pull, scene, facts)?;
            let mistakes = report.filter(|report| *report != Effect::Report(None));
            decision.effects.extend(mistakes);
        }
        "reopened" | "ready_for_review" => restarted(&mut decision, pull, scene, facts)?,
        "edited" if event.base_changed() => restarted(&mut decision, pull, scene, facts)?,
        "synchronize" => {
            abort(&mut decision, "the pull request has new commits");
            restarted(&mut decision, pull, scene, facts)?;
        }
        "labeled" => labelled(&mut decision, event, scene, facts)?,
        "closed" => abort(&mut decision, "the pull request is closed"),
        "converted_to_draft" => abort(&mut decision, "the pull request is a draft now"),
        action => decision.because(format!("{action} changes nothing for jobs")),
    }
    Ok(decision)
}

fn abort(decision: &mut Decision, why: &str) {
    decision.because(format!("unfinished jobs are aborted: {why}"));
    decision.push(Effect::Abort);
}

fn opened(
    decision: &mut Decision,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let author = trust::of_user(&pull.user.login, scene, facts)?;
    decision.because(author.why.as_str());
    let candidates = candidates(decision, pull, author.granted, scene, facts)?;
    if candidates.jobs.is_empty() {
        decision.because("the repository has no presubmits");
        return Ok(());
    }
    if author.granted && pull.draft {
        decision.because("drafts run nothing by themselves");
        decision.push(Effect::Comment(texts::draft(pull)));
    } else if author.granted {
        jobs::start_auto(decision, &candidates, pull, scene, facts)?;
    } else {
        let waits = !trust::has_label(pull, OK_TO_TEST) && !scene.trigger.ignore_ok_to_test;
        if waits {
            decision.push(Effect::AddLabel(NEEDS_OK_TO_TEST));
        }
        decision.push(Effect::Comment(texts::welcome(pull, scene)));
    }
    Ok(())
}

/// The code, its base or its state changed: what runs by itself runs again.
fn restarted(
    decision: &mut Decision,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    run_again(decision, pull, scene, facts)?;
    decision.effects.extend(jobs::report(pull, scene, facts)?);
    Ok(())
}

fn run_again(
    decision: &mut Decision,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let trusted = trust::of_pull(pull, scene, facts)?;
    decision.because(trusted.why.as_str());
    let candidates = candidates(decision, pull, trusted.granted, scene, facts)?;
    if candidates.jobs.is_empty() {
        decision.because("the repository has no presubmits");
        return Ok(());
    }
    if !trusted.granted {
        decision.because("the pull request waits for /ok-to-test");
        return Ok(());
    }
    if trust::has_label(pull, NEEDS_OK_TO_TEST) {
        decision.push(Effect::RemoveLabel(NEEDS_OK_TO_TEST));
    }
    unless_draft(decision, &candidates, pull, scene, facts)
}

fn labelled(
    decision: &mut Decision,
    event: &PullRequestEvent,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let pull = &event.pull_request;
    let label = event.label.as_ref().map_or("", |label| label.name.as_str());
    let sender = event
        .sender
        .as_ref()
        .map_or("", |sender| sender.login.as_str());
    let trusted = if label.eq_ignore_ascii_case("lgtm") {
        let trusted = trust::of_pull(pull, scene, facts)?;
        decision.because(trusted.why.as_str());
        if trusted.granted {
            decision.because("a trusted pull request runs without lgtm");
            return Ok(());
        }
        false
    } else if label.eq_ignore_ascii_case(OK_TO_TEST) {
        if trust::is_bot(sender, facts)? {
            decision.because("the comment that led to the label has started the jobs");
            return Ok(());
        }
        true
    } else {
        decision.because(format!("the label {label} starts nothing"));
        return Ok(());
    };
    // Who may label may be no more than a triager, or somebody else's workflow.
    let labeller = trust::of_user(sender, scene, facts)?;
    decision.because(labeller.why);
    if !labeller.granted {
        decision.because(format!("the label {label} starts nothing by their hand"));
        return Ok(());
    }
    let candidates = candidates(decision, pull, trusted, scene, facts)?;
    unless_draft(decision, &candidates, pull, scene, facts)
}

/// The jobs that count, with the reason when the repository's own are missing.
fn candidates(
    decision: &mut Decision,
    pull: &PullRequest,
    trusted: bool,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Candidates, Need> {
    let candidates = jobs::candidates(pull, trusted, scene, facts)?;
    decision.reasons.extend(candidates.missing.clone());
    Ok(candidates)
}

fn unless_draft(
    decision: &mut Decision,
    candidates: &Candidates,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    if pull.draft {
        decision.because("drafts run nothing by themselves");
        return Ok(());
    }
    jobs::start_auto(decision, candidates, pull, scene, facts)
}
