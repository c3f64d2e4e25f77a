//! Decides what "Re-run" of a check run starts: the same as `/test` of its context by the same
//! user, with the same trust and the same refusals.

use super::{
    commands::TriggerCommands,
    comment::{self, CommentRequest},
    decision::TriggerDecision,
    lookups::{MissingLookup, TriggerContext, TriggerLookups},
};
use crate::event::{CommentAction, GenericCommentEvent, RerunEvent};

pub(crate) fn decide_rerun(
    rerun: &RerunEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    let bot = facts.bot_login()?;
    if bot.strip_suffix("[bot]") != Some(rerun.app.as_str()) {
        return Ok(TriggerDecision::without_effects(
            "the check run is another App's",
        ));
    }
    // GitHub leaves out pull requests from forks.
    let number = match rerun.pulls.first() {
        Some(number) => Some(*number),
        None => facts.pull_number_at(rerun)?,
    };
    let Some(number) = number else {
        return Ok(TriggerDecision::without_effects(
            "no pull request of the check run's commit is known",
        ));
    };
    let pull = facts.pull_request(number)?;
    if pull.state != "open" {
        return Ok(TriggerDecision::without_effects(
            "the pull request is closed",
        ));
    }
    if pull.head.sha != rerun.head_sha {
        return Ok(TriggerDecision::without_effects(
            "the pull request has moved on from the check run's commit",
        ));
    }
    let said = match &rerun.context {
        Some(context) => format!("Re-run of {context}"),
        None => "Re-run of all checks".to_owned(),
    };
    let asked = CommentRequest {
        comment: &GenericCommentEvent {
            action: CommentAction::Created,
            number,
            is_pull: true,
            is_open: true,
            body: said,
            html_url: rerun.html_url.clone(),
            author: rerun.sender.clone(),
        },
        text: String::new(),
        commands: TriggerCommands {
            retest: rerun.context.is_none(),
            ..TriggerCommands::default()
        },
        context: rerun.context.clone(),
    };
    comment::answer_request(asked, pull, scene, facts)
}
