//! Watches that go on when one object is malformed.

use std::fmt::Debug;

use common::{
    kube::{DeserializeGuard, watch_objects},
    prowjob::ProwJob,
};
use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{watcher, watcher::Event},
};
use serde::de::DeserializeOwned;

/// Every event of a watch, for as long as it is polled. Failures are logged and tried again;
/// an object that does not parse is logged and left out.
pub(crate) fn watch_valid_objects<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    what: String,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watch_objects(api, config, what.clone());
    events.filter_map(move |event| std::future::ready(keep_valid_event(event, &what)))
}

/// The event unless it is about an object that does not parse.
pub(crate) fn keep_valid_event<K: Resource<DynamicType = ()>>(
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
pub(crate) fn watch_prowjobs(
    client: Client,
    namespace: &str,
    prune: fn(&mut ProwJob),
) -> impl Stream<Item = Event<ProwJob>> + Send + use<> {
    let api: Api<DeserializeGuard<ProwJob>> = Api::namespaced(client, namespace);
    watch_valid_objects(api, watcher::Config::default(), "prowjobs".into())
        .map(move |event| event.modify(prune))
}

/// Drops from finished jobs what only a running one needs.
pub(crate) fn prune_job(job: &mut ProwJob) {
    job.managed_fields_mut().clear();
    if job.is_complete() {
        job.spec.pod_spec = None;
        job.spec.decoration_config = None;
        job.metadata.annotations = None;
    }
}
