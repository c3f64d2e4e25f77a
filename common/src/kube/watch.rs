//! Watches that never end: kube's watcher, with what it lacks.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use rand::Rng;
use serde::de::DeserializeOwned;

/// The pause after the first failure; it doubles with each failure in a row, as client-go's.
const FIRST_PAUSE: Duration = Duration::from_millis(800);
/// The longest pause, so that a recovered API is soon used again. Kube's pauses grow to a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Every event of a watch, for as long as it is polled. A failure is logged, and tried again after
/// a pause that grows with each failure in a row.
pub fn watch_objects<K>(
    api: Api<K>,
    config: watcher::Config,
    what: impl Into<String>,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watch_objects_with_failures(api, config, what).filter_map(async |event| event.ok())
}

/// As [`watch_objects`], with an error for every failure, before it is tried again.
pub fn watch_objects_with_failures<K>(
    api: Api<K>,
    config: watcher::Config,
    what: impl Into<String>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let what = what.into();
    relist_when_gone(move || watcher(api.clone(), config.clone()).boxed())
        .backoff(WatchBackoff { failures: 0 })
        .inspect_err(move |error| {
            tracing::warn!(watch = what, "watch failed, trying again: {error:#}");
        })
}

/// A watcher that lists again if its `resourceVersion` is gone (410). Kube's does so if a watch
/// event says it. If the HTTP response says it, as of a proxy or an aggregated API, Kube's asks for
/// the same version for ever.
fn relist_when_gone<S, T>(start: impl Fn() -> S) -> impl Stream<Item = watcher::Result<T>>
where
    S: Stream<Item = watcher::Result<T>> + Unpin,
{
    stream::unfold((start, None), async |(start, running)| {
        let mut watch = running.unwrap_or_else(&start);
        let event = watch.next().await?;
        let over = matches!(
            &event,
            Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) if status.code == 410
        );
        Some((event, (start, (!over).then_some(watch))))
    })
}

/// The pauses between failures, each up to a quarter longer but at most [`LONGEST_PAUSE`], so that
/// not all clients retry at once.
struct WatchBackoff {
    failures: u32,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let more = rand::rng().random_range(1.0..1.25);
        Some(pause.min(LONGEST_PAUSE).mul_f64(more).min(LONGEST_PAUSE))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests;
