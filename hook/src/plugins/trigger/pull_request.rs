//! Decides what a change of a pull request starts and aborts.

use common::github::GithubPullRequest;

use super::{
    current_pull::CurrentPull,
    decision::{TriggerDecision, TriggerEffect},
    jobs::{self, CandidatePresubmits},
    lookups::{MissingLookup, TriggerContext, TriggerLookups},
    messages,
    trust::{self, NEEDS_OK_TO_TEST, OK_TO_TEST},
};
use crate::event::PullRequestEvent;

/// Whether an event of this kind may start jobs, so that trust has to be looked up.
pub(super) fn may_start(event: &PullRequestEvent) -> bool {
    match event.action.as_str() {
        "opened" | "reopened" | "ready_for_review" | "synchronize" => true,
        "edited" => event.base_changed(),
        _ => false,
    }
}

pub(crate) fn decide_pull_request(
    event: &PullRequestEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    if event.pull_request.number == 0 {
        return Ok(TriggerDecision::without_effects(
            "the payload names no pull request",
        ));
    }
    let now = || CurrentPull::from_lookups(&event.pull_request, facts);
    let mut decision = TriggerDecision::default();
    match event.action.as_str() {
        "opened" => handle_opened(&mut decision, &now()?, scene, facts)?,
        "synchronize" => {
            let now = now()?;
            // After a later push, the running jobs are those of its commit.
            if !now.moved_on {
                abort_jobs(&mut decision, "the pull request has new commits");
            }
            handle_restarted(&mut decision, &now, scene, facts)?;
        }
        _ if may_start(event) => handle_restarted(&mut decision, &now()?, scene, facts)?,
        "labeled" => handle_labeled(&mut decision, event, scene, facts)?,
        "closed" => {
            let now = now()?;
            if now.is_later && now.pull.state == "open" {
                decision.add_reason("the pull request was reopened since");
            } else {
                abort_jobs(&mut decision, "the pull request is closed");
            }
        }
        "converted_to_draft" => {
            let now = now()?;
            if now.is_later && !now.pull.draft {
                decision.add_reason("the pull request is no draft any more");
            } else {
                abort_jobs(&mut decision, "the pull request is a draft now");
            }
        }
        action => decision.add_reason(format!("{action} changes nothing for jobs")),
    }
    Ok(decision)
}

fn abort_jobs(decision: &mut TriggerDecision, why: &str) {
    decision.add_reason(format!("unfinished jobs are aborted: {why}"));
    decision.push_effect(TriggerEffect::Abort);
}

fn handle_opened(
    decision: &mut TriggerDecision,
    now: &CurrentPull,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    // Later commits have their own events, but only this event welcomes a stranger.
    let over = now.is_over().filter(|_| !now.moved_on);
    if let Some(over) = over {
        decision.add_reason(over);
        return Ok(());
    }
    let pull = &now.pull;
    let author = trust::trusted_user(&pull.user.login, scene, facts)?;
    decision.add_reason(author.why.as_str());
    greet_or_start(decision, now, author.granted, scene, facts)?;
    if !now.moved_on {
        // No mistake was reported before, so there is none to take back.
        let report = jobs::in_repo_report(pull, author.granted, scene, facts)?;
        let news =
            report.filter(|report| matches!(report, TriggerEffect::Report(it) if it.is_news()));
        decision.effects.extend(news);
    }
    Ok(())
}

fn greet_or_start(
    decision: &mut TriggerDecision,
    now: &CurrentPull,
    trusted: bool,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    let pull = &now.pull;
    let candidates = candidates_with_reason(decision, pull, trusted, scene, facts)?;
    if candidates.are_none(decision) {
        return Ok(());
    }
    if !trusted {
        let waits = !trust::has_label(pull, OK_TO_TEST) && !scene.trigger.ignore_ok_to_test;
        if waits {
            decision.push_effect(TriggerEffect::AddLabel(NEEDS_OK_TO_TEST));
        }
        decision.push_effect(TriggerEffect::Comment(messages::welcome_comment(
            pull, scene,
        )));
    } else if pull.draft {
        decision.add_reason("drafts run nothing by themselves");
        decision.push_effect(TriggerEffect::Comment(messages::draft_comment(pull)));
    } else if let Some(over) = now.is_over() {
        decision.add_reason(over);
    } else {
        jobs::start_auto(decision, &candidates, pull, scene, facts)?;
    }
    Ok(())
}

/// The code, its base or its state changed: jobs that start by themselves start again.
fn handle_restarted(
    decision: &mut TriggerDecision,
    now: &CurrentPull,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    if let Some(over) = now.is_over() {
        decision.add_reason(over);
        return Ok(());
    }
    let pull = &now.pull;
    let trusted = trust::trusted_pull_request(pull, scene, facts)?;
    decision.add_reason(trusted.why.as_str());
    run_again(decision, pull, trusted.granted, scene, facts)?;
    let report = jobs::in_repo_report(pull, trusted.granted, scene, facts)?;
    decision.effects.extend(report);
    Ok(())
}

fn run_again(
    decision: &mut TriggerDecision,
    pull: &GithubPullRequest,
    trusted: bool,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    let candidates = candidates_with_reason(decision, pull, trusted, scene, facts)?;
    if candidates.are_none(decision) {
        return Ok(());
    }
    if !trusted {
        decision.add_reason("the pull request waits for /ok-to-test");
        return Ok(());
    }
    if trust::has_label(pull, NEEDS_OK_TO_TEST) {
        decision.push_effect(TriggerEffect::RemoveLabel(NEEDS_OK_TO_TEST));
    }
    start_unless_draft(decision, &candidates, pull, scene, facts)
}

fn handle_labeled(
    decision: &mut TriggerDecision,
    event: &PullRequestEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    let label = event.label.as_ref().map_or("", |label| label.name.as_str());
    let is_lgtm = label.eq_ignore_ascii_case("lgtm");
    if !is_lgtm && !label.eq_ignore_ascii_case(OK_TO_TEST) {
        decision.add_reason(format!("the label {label} starts nothing"));
        return Ok(());
    }
    let now = CurrentPull::from_lookups(&event.pull_request, facts)?;
    if let Some(over) = now.is_over() {
        decision.add_reason(over);
        return Ok(());
    }
    let pull = &now.pull;
    if now.is_later && !trust::has_label(pull, label) {
        decision.add_reason(format!("the label {label} is gone again"));
        return Ok(());
    }
    let sender = event.sender.clone().unwrap_or_default().login;
    if is_lgtm {
        let trusted = trust::trusted_pull_request(pull, scene, facts)?;
        decision.add_reason(trusted.why.as_str());
        if trusted.granted {
            decision.add_reason("a trusted pull request runs without lgtm");
            return Ok(());
        }
    } else if trust::is_bot(&sender, facts)? {
        decision.add_reason("the comment that led to the label has started the jobs");
        return Ok(());
    }
    // A user who sets labels may be only a triager, or somebody else's workflow.
    let labeller = trust::trusted_user(&sender, scene, facts)?;
    decision.add_reason(labeller.why);
    if !labeller.granted {
        decision.add_reason(format!("the label {label} starts nothing by their hand"));
        return Ok(());
    }
    let candidates = candidates_with_reason(decision, pull, !is_lgtm, scene, facts)?;
    start_unless_draft(decision, &candidates, pull, scene, facts)
}

/// The candidate jobs, with the reason when the repository's own are missing.
fn candidates_with_reason(
    decision: &mut TriggerDecision,
    pull: &GithubPullRequest,
    trusted: bool,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<CandidatePresubmits, MissingLookup> {
    let candidates = jobs::candidate_presubmits(pull, trusted, scene, facts)?;
    decision.reasons.extend(candidates.missing.clone());
    Ok(candidates)
}

fn start_unless_draft(
    decision: &mut TriggerDecision,
    candidates: &CandidatePresubmits,
    pull: &GithubPullRequest,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<(), MissingLookup> {
    if pull.draft {
        decision.add_reason("drafts run nothing by themselves");
        return Ok(());
    }
    jobs::start_auto(decision, candidates, pull, scene, facts)
}
