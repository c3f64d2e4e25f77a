//! What "Re-run" of a check run starts: what the same user's `/test` of its context would, with
//! the same trust and the same refusals.

use super::{
    commands::Commands,
    comment::{self, Asked},
    decision::Decision,
    facts::{Facts, Need, Scene},
};
use crate::event::{Comment, CommentAction, Rerun};

pub(crate) fn decide(rerun: &Rerun, scene: Scene<'_>, facts: &Facts) -> Result<Decision, Need> {
    let bot = facts.bot()?;
    if bot.strip_suffix("[bot]") != Some(rerun.app.as_str()) {
        return Ok(Decision::nothing("the check run is another App's"));
    }
    // GitHub leaves pull requests from forks out.
    let number = match rerun.pulls.first() {
        Some(number) => Some(*number),
        None => facts.pull_at(rerun)?,
    };
    let Some(number) = number else {
        return Ok(Decision::nothing(
            "no pull request of the check run's commit is known",
        ));
    };
    let pull = facts.pull(number)?;
    if pull.state != "open" {
        return Ok(Decision::nothing("the pull request is closed"));
    }
    if pull.head.sha != rerun.head_sha {
        return Ok(Decision::nothing(
            "the pull request has moved on from the check run's commit",
        ));
    }
    let said = match &rerun.context {
        Some(context) => format!("Re-run of {context}"),
        None => "Re-run of all checks".to_owned(),
    };
    let asked = Asked {
        comment: &Comment {
            action: CommentAction::Created,
            number,
            is_pull: true,
            is_open: true,
            body: said,
            html_url: rerun.html_url.clone(),
            author: rerun.sender.clone(),
        },
        text: String::new(),
        commands: Commands {
            retest: rerun.context.is_none(),
            ..Commands::default()
        },
        context: rerun.context.clone(),
    };
    comment::answer(asked, pull, scene, facts)
}
