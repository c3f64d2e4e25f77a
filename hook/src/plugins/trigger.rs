//! Starts jobs: presubmits for pull requests and comments on them, postsubmits for pushes.
//!
//! event → decide ⇄ fetch a missing fact → [`Decision`](decision::Decision) → apply. Who may
//! have code run is [`trust`]'s alone.

mod apply;
mod commands;
mod comment;
mod decision;
mod facts;
mod fetch;
mod jobs;
mod now;
mod pull_request;
mod push;
mod rerun;
mod runs;
mod select;
mod texts;
mod trust;

use common::config::plugins::Trigger;
use futures::{FutureExt as _, future::BoxFuture};

use super::{Call, Error, Handled, Plugin};
use crate::event::Event;
use apply::Target;
use decision::Decision;
use facts::{Facts, Need, Scene};

pub use select::{Contexts, Filter, select};

pub(super) const PLUGIN: Plugin = Plugin {
    name: "trigger",
    handle,
};

fn handle(call: Call<'_>) -> BoxFuture<'_, Handled> {
    async move {
        let Some((event, number)) = subject(call.event) else {
            return Handled::ignored();
        };
        let identity = &call.delivery.identity;
        let settings = call
            .plugins
            .map(|plugins| plugins.trigger_for(&identity.org, &identity.repo))
            .unwrap_or_default();
        match decide_with_facts(call, &settings).await {
            Ok((decision, pull)) => {
                let target = Target {
                    shared: call.shared,
                    delivery: call.delivery,
                    event,
                    number: pull.unwrap_or(number),
                };
                apply::apply(decision, target).await
            }
            Err(error) => Handled {
                error: Some(error),
                ..Handled::default()
            },
        }
    }
    .boxed()
}

/// What an event is, and the pull request it is about, 0 for a push and where the event does not
/// tell. `None` when trigger does not listen.
fn subject(event: &Event) -> Option<(&'static str, u64)> {
    match event {
        Event::PullRequest(event) => Some(("pull request", event.pull_request.number)),
        Event::Comment(comment) => Some(("comment", comment.number)),
        Event::Push(_) => Some(("push", 0)),
        Event::Rerun(_) => Some(("re-run", 0)),
        Event::Other => None,
    }
}

/// Decides, fetching missing facts until none is. The pull request is the one that was
/// fetched, if any.
async fn decide_with_facts(
    call: Call<'_>,
    settings: &Trigger,
) -> Result<(Decision, Option<u64>), Error> {
    let scene = Scene {
        identity: &call.delivery.identity,
        guid: &call.delivery.guid,
        config: call.config,
        trigger: settings,
        status_context: call.shared.settings.config_status_context.as_deref(),
    };
    let mut facts = Facts::default();
    loop {
        match decide(call.event, scene, &facts) {
            Ok(decision) => return Ok((decision, facts.pull.map(|pull| pull.number))),
            Err(need) => facts.merge(fetch::fetch(need, call).await?),
        }
    }
}

/// The whole of trigger's judgement: values in, values out.
fn decide(event: &Event, scene: Scene<'_>, facts: &Facts) -> Result<Decision, Need> {
    match event {
        Event::PullRequest(event) => pull_request::decide(event, scene, facts),
        Event::Comment(comment) => comment::decide(comment, scene, facts),
        Event::Push(push) => push::decide(push, scene, facts),
        Event::Rerun(rerun) => rerun::decide(rerun, scene, facts),
        Event::Other => Ok(Decision::nothing("trigger does not listen to this event")),
    }
}

#[cfg(test)]
mod tests;
