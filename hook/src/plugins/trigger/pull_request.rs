//! What a change of a pull request starts and ends.

use common::github::PullRequest;

use super::{
    decision::{Decision, Effect},
    facts::{Facts, Need, Scene},
    jobs::{self, Candidates},
    now::Now,
    texts,
    trust::{self, NEEDS_OK_TO_TEST, OK_TO_TEST},
};
use crate::event::PullRequestEvent;

/// Whether an event of this kind may start jobs, so that trust is asked for.
pub(super) fn may_start(event: &PullRequestEvent) -> bool {
    match event.action.as_str() {
        "opened" | "reopened" | "ready_for_review" | "synchronize" => true,
        "edited" => event.base_changed(),
        _ => false,
    }
}

pub(crate) fn decide(
    event: &PullRequestEvent,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Decision, Need> {
    if event.pull_request.number == 0 {
        return Ok(Decision::nothing("the payload names no pull request"));
    }
    let now = || Now::of(&event.pull_request, facts);
    let mut decision = Decision::default();
    match event.action.as_str() {
        "opened" => opened(&mut decision, &now()?, scene, facts)?,
        "synchronize" => {
            let now = now()?;
            // What runs on the newest commit was not started by an earlier one.
            if !now.moved_on {
                abort(&mut decision, "the pull request has new commits");
            }
            restarted(&mut decision, &now, scene, facts)?;
        }
        _ if may_start(event) => restarted(&mut decision, &now()?, scene, facts)?,
        "labeled" => labelled(&mut decision, event, scene, facts)?,
        "closed" => {
            let now = now()?;
            if now.is_later && now.pull.state == "open" {
                decision.because("the pull request was reopened since");
            } else {
                abort(&mut decision, "the pull request is closed");
            }
        }
        "converted_to_draft" => {
            let now = now()?;
            if now.is_later && !now.pull.draft {
                decision.because("the pull request is no draft any more");
            } else {
                abort(&mut decision, "the pull request is a draft now");
            }
        }
        action => decision.because(format!("{action} changes nothing for jobs")),
    }
    Ok(decision)
}

fn abort(decision: &mut Decision, why: &str) {
    decision.because(format!("unfinished jobs are aborted: {why}"));
    decision.push(Effect::Abort);
}

fn opened(decision: &mut Decision, now: &Now, scene: Scene<'_>, facts: &Facts) -> Result<(), Need> {
    // Later commits have events of their own, but only this one greets a stranger.
    let over = now.is_over().filter(|_| !now.moved_on);
    if let Some(over) = over {
        decision.because(over);
        return Ok(());
    }
    let pull = &now.pull;
    let author = trust::of_user(&pull.user.login, scene, facts)?;
    decision.because(author.why.as_str());
    greet_or_start(decision, now, author.granted, scene, facts)?;
    if !now.moved_on {
        // Nothing was told yet that could be mended.
        let report = jobs::report(pull, author.granted, scene, facts)?;
        let news = report.filter(|report| matches!(report, Effect::Report(it) if it.is_news()));
        decision.effects.extend(news);
    }
    Ok(())
}

fn greet_or_start(
    decision: &mut Decision,
    now: &Now,
    trusted: bool,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let pull = &now.pull;
    let candidates = candidates(decision, pull, trusted, scene, facts)?;
    if candidates.are_none(decision) {
        return Ok(());
    }
    if !trusted {
        let waits = !trust::has_label(pull, OK_TO_TEST) && !scene.trigger.ignore_ok_to_test;
        if waits {
            decision.push(Effect::AddLabel(NEEDS_OK_TO_TEST));
        }
        decision.push(Effect::Comment(texts::welcome(pull, scene)));
    } else if pull.draft {
        decision.because("drafts run nothing by themselves");
        decision.push(Effect::Comment(texts::draft(pull)));
    } else if let Some(over) = now.is_over() {
        decision.because(over);
    } else {
        jobs::start_auto(decision, &candidates, pull, scene, facts)?;
    }
    Ok(())
}

/// The code, its base or its state changed: what runs by itself runs again.
fn restarted(
    decision: &mut Decision,
    now: &Now,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    if let Some(over) = now.is_over() {
        decision.because(over);
        return Ok(());
    }
    let pull = &now.pull;
    let trusted = trust::of_pull(pull, scene, facts)?;
    decision.because(trusted.why.as_str());
    run_again(decision, pull, trusted.granted, scene, facts)?;
    let report = jobs::report(pull, trusted.granted, scene, facts)?;
    decision.effects.extend(report);
    Ok(())
}

fn run_again(
    decision: &mut Decision,
    pull: &PullRequest,
    trusted: bool,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<(), Need> {
    let candidates = candidates(decision, pull, trusted, scene, facts)?;
    if candidates.are_none(decision) {
        return Ok(());
    }
    if !trusted {
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
    let label = event.label.as_ref().map_or("", |label| label.name.as_str());
    let is_lgtm = label.eq_ignore_ascii_case("lgtm");
    if !is_lgtm && !label.eq_ignore_ascii_case(OK_TO_TEST) {
        decision.because(format!("the label {label} starts nothing"));
        return Ok(());
    }
    let now = Now::of(&event.pull_request, facts)?;
    if let Some(over) = now.is_over() {
        decision.because(over);
        return Ok(());
    }
    let pull = &now.pull;
    if now.is_later && !trust::has_label(pull, label) {
        decision.because(format!("the label {label} is gone again"));
        return Ok(());
    }
    let sender = event.sender.clone().unwrap_or_default().login;
    if is_lgtm {
        let trusted = trust::of_pull(pull, scene, facts)?;
        decision.because(trusted.why.as_str());
        if trusted.granted {
            decision.because("a trusted pull request runs without lgtm");
            return Ok(());
        }
    } else if trust::is_bot(&sender, facts)? {
        decision.because("the comment that led to the label has started the jobs");
        return Ok(());
    }
    // Who may label may be no more than a triager, or somebody else's workflow.
    let labeller = trust::of_user(&sender, scene, facts)?;
    decision.because(labeller.why);
    if !labeller.granted {
        decision.because(format!("the label {label} starts nothing by their hand"));
        return Ok(());
    }
    let candidates = candidates(decision, pull, !is_lgtm, scene, facts)?;
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
