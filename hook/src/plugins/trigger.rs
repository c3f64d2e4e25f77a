//! Starts jobs: presubmits for pull requests and comments on them, postsubmits for pushes.
//!
//! event → decide ⇄ resolve a missing lookup → [`TriggerDecision`] → apply. Only [`trust`] decides
//! who may have code run.

mod apply;
mod commands;
mod comment;
mod current_pull;
mod decision;
mod jobs;
mod lookups;
mod messages;
mod new_prowjobs;
mod pull_request;
mod push;
mod rerun;
mod resolve;
mod select;
mod trust;

use common::config::plugins::TriggerConfig;
use futures::{FutureExt as _, future::BoxFuture};

use super::{Plugin, PluginError, PluginOutcome, PluginRequest};
use crate::event::WebhookEvent;
use apply::EffectTarget;
use decision::TriggerDecision;
use lookups::{MissingLookup, TriggerContext, TriggerLookups};

pub use select::{PresubmitFilter, StatusContexts, filter_presubmits};

pub(super) const PLUGIN: Plugin = Plugin {
    name: "trigger",
    handle: handle_event,
};

fn handle_event(call: PluginRequest<'_>) -> BoxFuture<'_, PluginOutcome> {
    async move {
        let Some((event, number)) = event_subject(call.event) else {
            return PluginOutcome::ignored_event();
        };
        let identity = &call.delivery.identity;
        let settings = call
            .plugins
            .map(|plugins| plugins.trigger_for(&identity.org, &identity.repo))
            .unwrap_or_default();
        match decide_with_lookups(call, &settings).await {
            Ok((decision, pull)) => {
                let target = EffectTarget {
                    shared: call.shared,
                    delivery: call.delivery,
                    event,
                    number: pull.unwrap_or(number),
                };
                apply::apply_decision(decision, target).await
            }
            Err(error) => PluginOutcome {
                error: Some(error),
                ..PluginOutcome::default()
            },
        }
    }
    .boxed()
}

/// The kind of an event, and the number of its pull request: 0 for a push and where the event does
/// not say. `None` when trigger does not handle the event.
fn event_subject(event: &WebhookEvent) -> Option<(&'static str, u64)> {
    match event {
        WebhookEvent::PullRequest(event) => Some(("pull request", event.pull_request.number)),
        WebhookEvent::Comment(comment) => Some(("comment", comment.number)),
        WebhookEvent::Push(_) => Some(("push", 0)),
        WebhookEvent::Rerun(_) => Some(("re-run", 0)),
        WebhookEvent::Other => None,
    }
}

/// Decides, and resolves missing lookups until none is missing. Returns the number of the pull
/// request that was looked up, if any.
async fn decide_with_lookups(
    call: PluginRequest<'_>,
    settings: &TriggerConfig,
) -> Result<(TriggerDecision, Option<u64>), PluginError> {
    let scene = TriggerContext {
        identity: &call.delivery.identity,
        guid: &call.delivery.guid,
        config: call.config,
        trigger: settings,
        status_context: call.shared.settings.config_status_context.as_deref(),
    };
    let mut facts = TriggerLookups::default();
    loop {
        match decide_event(call.event, scene, &facts) {
            Ok(decision) => return Ok((decision, facts.pull.map(|pull| pull.number))),
            Err(need) => facts.merge_lookups(resolve::resolve_lookups(need, call).await?),
        }
    }
}

/// Everything that trigger decides: values in, values out.
fn decide_event(
    event: &WebhookEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    match event {
        WebhookEvent::PullRequest(event) => pull_request::decide_pull_request(event, scene, facts),
        WebhookEvent::Comment(comment) => comment::decide_comment(comment, scene, facts),
        WebhookEvent::Push(push) => push::decide_push(push, scene, facts),
        WebhookEvent::Rerun(rerun) => rerun::decide_rerun(rerun, scene, facts),
        WebhookEvent::Other => Ok(TriggerDecision::without_effects(
            "trigger does not listen to this event",
        )),
    }
}

#[cfg(test)]
mod tests;
