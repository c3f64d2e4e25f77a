//! Watches that one malformed object cannot stop.

use std::fmt::Debug;

use common::{kube::DeserializeGuard, prowjob::ProwJob};
use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;

/// Every event of a watch, for as long as it is polled. Failures are logged and tried again;
/// an object that does not parse is logged and left out.
pub(crate) fn events<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    what: String,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    events_and_failures(api, config, what).filter_map(std::future::ready)
}

/// The same with a `None` for every failure, before it is tried again.
pub(crate) fn events_and_failures<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    what: String,
) -> impl Stream<Item = Option<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    restarting(move || watcher(api.clone(), config.clone()).boxed())
        .default_backoff()
        .filter_map(move |event| {
            let event = match event {
                Ok(event) => valid(event, &what).map(Some),
                Err(error) => {
                    tracing::warn!(watch = what, "watch failed, trying again: {error:#}");
                    Some(None)
                }
            };
            std::future::ready(event)
        })
}

/// A watcher that lists again when the version it would go on from is gone. Kube's does so when an
/// event says it; an answer that says it, as of a proxy or an API of an aggregated server, makes it
/// ask for the same version for ever.
fn restarting<S, T>(start: impl Fn() -> S) -> impl Stream<Item = watcher::Result<T>>
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

fn valid<K: Resource<DynamicType = ()>>(
    event: Event<DeserializeGuard<K>>,
    what: &str,
) -> Option<Event<K>> {
    let read = |object: DeserializeGuard<K>| match object.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            tracing::error!(
                watch = what,
                object = name,
                "ignoring an object that does not parse: {}",
                invalid.error
            );
            None
        }
    };
    Some(match event {
        Event::Apply(object) => Event::Apply(read(object)?),
        Event::Delete(object) => Event::Delete(read(object)?),
        Event::InitApply(object) => Event::InitApply(read(object)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

/// The `ProwJob`s of a namespace, each without what `prune` takes away.
pub(crate) fn prowjobs(
    client: Client,
    namespace: &str,
    prune: fn(&mut ProwJob),
) -> impl Stream<Item = Event<ProwJob>> + Send + use<> {
    let api: Api<DeserializeGuard<ProwJob>> = Api::namespaced(client, namespace);
    events(api, watcher::Config::default(), "prowjobs".into()).map(move |event| event.modify(prune))
}

/// Drops from finished jobs what only a running one needs.
pub(crate) fn prune(job: &mut ProwJob) {
    job.managed_fields_mut().clear();
    if job.is_complete() {
        job.spec.pod_spec = None;
        job.spec.decoration_config = None;
        job.metadata.annotations = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> watcher::Error {
        let status = Status {
            code,
            ..Status::default()
        };
        watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
    }

    #[tokio::test]
    async fn only_a_version_that_is_gone_starts_a_watch_anew() {
        let starts = Cell::new(0);
        let watch = restarting(|| {
            starts.set(starts.get() + 1);
            let then = if starts.get() == 1 { 410 } else { 500 };
            stream::iter([Ok(starts.get()), Err(refused(then)), Ok(10)])
        });
        let told: Vec<_> = watch.map(Result::ok).collect().await;
        assert_eq!(told, [Some(1), None, Some(2), None, Some(10)]);
    }
}
