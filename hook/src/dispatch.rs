//! Works off the stored deliveries: in order within an ordering key, several ordering keys at once.
//! A failed delivery is tried again, up to a limit.
//!
//! inbox → claim → events → plugins → finish. A commit to the inbox wakes it; its only timer is the
//! next due delivery.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    DispatchContext,
    event::{self, WebhookEvent},
    inbox::{ClaimedDelivery, DecisionReason, DeliveryOutcome},
    metrics::PluginHandleLabels,
    plugins::{self, Plugin, PluginError, PluginOutcome, PluginRequest},
};

/// Deliveries worked on at once, one per ordering key. Most of the time they wait for GitHub.
const CONCURRENCY: usize = 32;

/// Attempts before a delivery is given up: about 80 minutes, longer than most outages.
const MAX_ATTEMPTS: u32 = 24;

/// The longest wait between two attempts.
const MAX_BACKOFF: SignedDuration = SignedDuration::from_mins(5);

/// The time limit of one attempt: long enough for the first mirror of a large repository.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long attempts may go on after shutdown. The next process takes up those that are cut off; it
/// does not start before this one has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long aborted attempts may take to stop.
const ABORT_TIMEOUT: Duration = Duration::from_millis(500);

/// The wait after the database refused a claim.
const CLAIM_RETRY_DELAY: SignedDuration = SignedDuration::from_secs(5);

/// The longest wait between two tries to record how an attempt ended.
const MAX_RECORD_BACKOFF: Duration = Duration::from_secs(30);

/// Works until `shutdown`, and ends within two seconds of it.
pub(crate) async fn run_dispatcher(shared: Arc<DispatchContext>, shutdown: CancellationToken) {
    let mut running = JoinSet::new();
    while !shutdown.is_cancelled() {
        let now = Timestamp::now();
        let due = match claim_due_deliveries(&shared, &mut running, now).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!("deliveries cannot be claimed: {error:#}");
                Some(now + CLAIM_RETRY_DELAY)
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(_) = running.join_next() => {}
            () = shared.inbox.wait_for_work() => {}
            () = sleep_until(due) => {}
        }
    }
    let last_work = shared.settings.grace_period.min(DRAIN_TIMEOUT);
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(last_work, drained).await.is_err() {
        let count = running.len();
        tracing::info!("{count} deliveries are still worked on; the next start takes them up");
        // Only an attempt that does not yield takes longer.
        let _ = tokio::time::timeout(ABORT_TIMEOUT, running.shutdown()).await;
    }
}

/// Claims as many deliveries as there is room for. Returns when the next one is due.
async fn claim_due_deliveries(
    shared: &Arc<DispatchContext>,
    running: &mut JoinSet<()>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let room = CONCURRENCY.saturating_sub(running.len());
    if room == 0 {
        return Ok(None);
    }
    for delivery in shared.inbox.claim_deliveries(now, room).await? {
        let shared = Arc::clone(shared);
        running.spawn(async move { process_delivery(&shared, delivery).await });
    }
    shared.inbox.next_due(now).await
}

async fn sleep_until(due: Option<Timestamp>) {
    match due {
        Some(due) => {
            let wait = due.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
        }
        None => std::future::pending().await,
    }
}

async fn process_delivery(shared: &DispatchContext, delivery: ClaimedDelivery) {
    let attempt = AssertUnwindSafe(tokio::time::timeout(
        ATTEMPT_LIMIT,
        run_plugins(shared, &delivery),
    ))
    .catch_unwind();
    let (reasons, result) = match attempt.await {
        Ok(Ok(acted)) => acted,
        Ok(Err(_)) => {
            let error = anyhow::anyhow!("the attempt took longer than {ATTEMPT_LIMIT:?}");
            (Vec::new(), Err(PluginError::Transient(error)))
        }
        Err(panic) => {
            let error = anyhow::anyhow!("a plugin panicked: {}", panic_message(&*panic));
            (Vec::new(), Err(PluginError::Permanent(error)))
        }
    };
    let now = Timestamp::now();
    let outcome = decide_outcome(result, delivery.attempt, now);
    log_outcome(shared, &delivery, &outcome);
    let mut wait = Duration::from_secs(1);
    // While the delivery counts as running, no later one of its ordering key is claimed.
    while let Err(error) = shared
        .inbox
        .finish_delivery(&delivery, outcome.clone(), reasons.clone(), now)
        .await
    {
        tracing::error!(
            delivery = delivery.guid,
            "the end of a delivery could not be recorded: {error:#}"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(MAX_RECORD_BACKOFF);
    }
}

/// What becomes of a delivery after an attempt.
fn decide_outcome(
    result: Result<(), PluginError>,
    attempt: u32,
    now: Timestamp,
) -> DeliveryOutcome {
    let error = match result {
        Ok(()) => return DeliveryOutcome::Done,
        Err(error) => error,
    };
    let text = error.to_string();
    let at = match error {
        PluginError::Permanent(_) => return DeliveryOutcome::Failed(text),
        // The wait for a rate limit is not the delivery's fault, but the attempt counts: retries
        // must end some day.
        PluginError::NotBefore(at) => at.max(now + retry_backoff(attempt)),
        PluginError::Transient(_) => now + retry_backoff(attempt),
    };
    if attempt >= MAX_ATTEMPTS {
        return DeliveryOutcome::Dead(text);
    }
    DeliveryOutcome::Retry { at, error: text }
}

/// 1 s, 2 s, 4 s … up to [`MAX_BACKOFF`].
fn retry_backoff(attempt: u32) -> SignedDuration {
    let seconds = 1_i64 << attempt.saturating_sub(1).min(16);
    SignedDuration::from_secs(seconds).min(MAX_BACKOFF)
}

/// Writes one log line for each attempt that did not succeed.
fn log_outcome(shared: &DispatchContext, delivery: &ClaimedDelivery, outcome: &DeliveryOutcome) {
    let (name, error) = match outcome {
        DeliveryOutcome::Done => ("done", None),
        DeliveryOutcome::Retry { error, .. } => ("retry", Some(error)),
        DeliveryOutcome::Failed(error) => ("failed", Some(error)),
        DeliveryOutcome::Dead(error) => ("dead", Some(error)),
    };
    shared.metrics.count_attempt(name);
    let Some(error) = error else { return };
    let line = format!("attempt {} at a delivery: {error}", delivery.attempt);
    let (guid, org, repo) = (
        &delivery.guid,
        &delivery.identity.org,
        &delivery.identity.repo,
    );
    if name == "retry" {
        tracing::warn!(delivery = guid, org, repo, state = name, "{line}");
    } else {
        tracing::error!(delivery = guid, org, repo, state = name, "{line}");
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Passes every event of a delivery to every plugin.
async fn run_plugins(
    shared: &DispatchContext,
    delivery: &ClaimedDelivery,
) -> (Vec<DecisionReason>, Result<(), PluginError>) {
    let mut reasons = Vec::new();
    let mut say = |plugin, text| reasons.push(DecisionReason { plugin, text });
    if delivery.attempt > MAX_ATTEMPTS {
        // Only a delivery that ends the whole process gets here.
        let error = anyhow::anyhow!("hook ended while it worked on the delivery, time and again");
        return (reasons, Err(PluginError::Permanent(error)));
    }
    let identity = &delivery.identity;
    if !shared
        .settings
        .enablement
        .allows_repo(&identity.org, &identity.repo)
    {
        say(
            "hook",
            "the repository is not enabled by the command line".into(),
        );
        return (reasons, Ok(()));
    }
    let events = match event::parse_events(&delivery.event, &delivery.body) {
        Ok(events) => events,
        Err(error) => {
            let error = anyhow::anyhow!("the payload is not a {} event: {error}", delivery.event);
            return (reasons, Err(PluginError::Permanent(error)));
        }
    };
    if events.iter().all(|event| *event == WebhookEvent::Other) {
        say(
            "hook",
            format!("no plugin listens to {} events", delivery.event),
        );
        return (reasons, Ok(()));
    }
    let config = Arc::clone(&shared.config.borrow());
    let plugins = Arc::clone(&shared.plugins.borrow());
    let plugins = plugins.as_ref().as_ref();
    let mut worst: Option<PluginError> = None;
    for event in &events {
        for plugin in plugins::ALL_PLUGINS {
            if !plugins::is_enabled(plugins, plugin.name, identity) {
                say(plugin.name, "not enabled for the repository".into());
                continue;
            }
            let call = PluginRequest {
                shared,
                config: &config,
                plugins,
                delivery,
                event,
            };
            let handled = run_plugin_timed(*plugin, call).await;
            for reason in handled.reasons {
                say(plugin.name, reason);
            }
            if let Some(error) = handled.error {
                say(plugin.name, format!("failed: {error}"));
                worst = Some(match worst {
                    Some(worst) => worst.most_retryable(error),
                    None => error,
                });
            }
        }
    }
    (reasons, worst.map_or(Ok(()), Err))
}

async fn run_plugin_timed(plugin: Plugin, call: PluginRequest<'_>) -> PluginOutcome {
    let begin = Instant::now();
    let handled = (plugin.handle)(call).await;
    let action = match call.event {
        WebhookEvent::PullRequest(event) => event.action.clone(),
        WebhookEvent::Comment(comment) => format!("{:?}", comment.action).to_lowercase(),
        WebhookEvent::Rerun(_) => "rerequested".into(),
        WebhookEvent::Push(_) | WebhookEvent::Other => "none".into(),
    };
    let labels = PluginHandleLabels {
        event_type: call.delivery.event.clone(),
        action,
        plugin: plugin.name,
        took_action: if handled.acted { "true" } else { "false" },
    };
    let failed = handled.error.is_some();
    call.shared
        .metrics
        .observe_plugin_handle(&labels, begin.elapsed(), failed);
    handled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end() {
        let now = Timestamp::UNIX_EPOCH;
        let transient = || Err(PluginError::Transient(anyhow::anyhow!("away")));
        let at = |second| Timestamp::from_second(second).unwrap();
        let limited = |second| Err(PluginError::NotBefore(at(second)));
        let retry = |second| Some(at(second));
        for (name, result, attempt, expected) in [
            ("the first failure", transient(), 1, retry(1)),
            ("the second", transient(), 2, retry(2)),
            ("the fifth", transient(), 5, retry(16)),
            (
                "never longer than five minutes",
                transient(),
                20,
                retry(300),
            ),
            ("enough", transient(), MAX_ATTEMPTS, None),
            ("a rate limit says when", limited(100), 1, retry(100)),
            ("a rate limit that has just ended", limited(0), 2, retry(2)),
        ] {
            let outcome = decide_outcome(result, attempt, now);
            match expected {
                Some(at) => assert!(
                    matches!(outcome, DeliveryOutcome::Retry { at: found, .. } if found == at),
                    "{name}: {outcome:?}"
                ),
                None => assert!(
                    matches!(outcome, DeliveryOutcome::Dead(_)),
                    "{name}: {outcome:?}"
                ),
            }
        }
        let permanent = Err(PluginError::Permanent(anyhow::anyhow!("gone")));
        assert_eq!(
            decide_outcome(permanent, 1, now),
            DeliveryOutcome::Failed("gone".into())
        );
        assert_eq!(decide_outcome(Ok(()), 1, now), DeliveryOutcome::Done);
    }
}
