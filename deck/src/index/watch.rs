//! The watch that fills the index. An object that cannot be read does not end it.

use std::collections::HashSet;
use std::sync::Arc;

use common::{
    kube::{DeserializeGuard, watch_objects},
    prowjob::ProwJob,
};
use futures::{StreamExt, pin_mut};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::JobIndex;

/// Objects per page of the first listing.
const PAGE_SIZE: u32 = 500;

/// Keeps `index` in step with the `ProwJob`s of `namespace`, until `shutdown`.
pub(crate) async fn watch_prowjobs(
    index: Arc<JobIndex>,
    client: Client,
    namespace: String,
    shutdown: CancellationToken,
) {
    let api: Api<DeserializeGuard<ProwJob>> = Api::namespaced(client, &namespace);
    let events = watch_objects(
        api,
        watcher::Config::default().page_size(PAGE_SIZE),
        "prowjobs",
    );
    let events = events.take_until(shutdown.cancelled_owned());
    pin_mut!(events);
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        apply_event(&index, &mut listed, event);
    }
}

/// `listed` collects the names of the listing in progress: jobs that are not in it are removed.
fn apply_event(
    index: &JobIndex,
    listed: &mut HashSet<String>,
    event: watcher::Event<DeserializeGuard<ProwJob>>,
) {
    match event {
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(guarded) => {
            if let Some(name) = index_object(index, guarded) {
                listed.insert(name);
            }
        }
        watcher::Event::InitDone => {
            index.retain_jobs(&std::mem::take(listed));
            index.synced.send_replace(true);
        }
        watcher::Event::Apply(guarded) => {
            index_object(index, guarded);
        }
        watcher::Event::Delete(DeserializeGuard(object)) => {
            let metadata = match object {
                Ok(job) => job.metadata,
                Err(invalid) => invalid.metadata,
            };
            index.remove_job(metadata.name.as_deref().unwrap_or_default());
        }
    }
}

/// Adds the object and returns its name. An object that became unreadable is removed.
fn index_object(
    index: &JobIndex,
    DeserializeGuard(object): DeserializeGuard<ProwJob>,
) -> Option<String> {
    match object {
        Ok(job) => {
            index.put_job(&job);
            job.metadata.name
        }
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            warn!(
                prowjob = name,
                error = invalid.error,
                "a ProwJob cannot be read and is not shown"
            );
            index.remove_job(&name);
            None
        }
    }
}
