//! Watches that one malformed object cannot stop.

use std::fmt::Debug;

use common::prowjob::ProwJob;
use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
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
    watcher(api, config)
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

/// The `ProwJob`s of a namespace. What only a running job needs is dropped from finished ones.
pub(crate) fn prowjobs(
    client: Client,
    namespace: &str,
) -> impl Stream<Item = Event<ProwJob>> + Send + use<> {
    let api: Api<DeserializeGuard<ProwJob>> = Api::namespaced(client, namespace);
    events(api, watcher::Config::default(), "prowjobs".into()).map(|event| event.modify(prune))
}

fn prune(job: &mut ProwJob) {
    job.managed_fields_mut().clear();
    if job.is_complete() {
        job.spec.pod_spec = None;
        job.spec.decoration_config = None;
        job.metadata.annotations = None;
    }
}
