//! The objects in the clusters, kept up to date by watches. Only the few fields of an object that
//! [`crate::plan`] reads are parsed and kept.

use std::{collections::HashMap, sync::Arc};

use common::{
    kube::{DeserializeGuard, watch_objects},
    prowjob::{DEFAULT_CLUSTER, ProwJobState, ProwJobType, labels},
};
use futures::{Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Client, Resource, ResourceExt, api::ApiResource, core::Object, runtime::watcher};
use serde::Deserialize;
use tokio::sync::watch;

use crate::plan::{ObservedPod, ObservedProwJob};

/// The finalizer of the reporter that must read a pod before its deletion.
pub(crate) const FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";
const HOLDING_REPORTER: &str = "gcsk8sreporter";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimProwJobSpec {
    #[serde(rename = "type")]
    job_type: ProwJobType,
    job: String,
    cluster: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SlimProwJobStatus {
    state: ProwJobState,
    start_time: Option<Time>,
    completion_time: Option<Time>,
    #[serde(rename = "prev_report_states")]
    prev_report_states: HashMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlimPodSpec {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SlimPodStatus {
    start_time: Option<Time>,
}

type SlimProwJob = Object<SlimProwJobSpec, SlimProwJobStatus>;
type SlimPod = Object<SlimPodSpec, SlimPodStatus>;

/// The objects of one watch, by name. `None` until the first list is complete.
pub(crate) type WatchedObjects<T> = watch::Receiver<Option<Arc<HashMap<String, T>>>>;

/// Watches the `ProwJob`s of a namespace as long as the receiver lives.
pub(crate) fn watch_prowjobs(client: Client, namespace: &str) -> WatchedObjects<ObservedProwJob> {
    let api: Api<DeserializeGuard<SlimProwJob>> =
        Api::namespaced_with(client, namespace, &prowjob_resource());
    let all = watcher::Config::default();
    reflect_objects(watch_objects(api, all, "prowjobs"), |job| {
        match &job.0 {
            Ok(job) => observe_prowjob(job),
            Err(invalid) => {
                tracing::warn!(
                    prowjob = job.name_any(),
                    error = %invalid,
                    "a ProwJob cannot be read; it is left alone"
                );
                // It counts as known and incomplete, so that neither it nor its pod is deleted.
                ObservedProwJob {
                    name: job.name_any(),
                    ..ObservedProwJob::default()
                }
            }
        }
    })
}

/// Watches the pods that Prow made in a build cluster as long as the receiver lives.
pub(crate) fn watch_pods(
    client: Client,
    namespace: &str,
    cluster: &str,
) -> WatchedObjects<ObservedPod> {
    let api: Api<DeserializeGuard<SlimPod>> =
        Api::namespaced_with(client, namespace, &pod_resource());
    let ours = watcher::Config::default().labels(&format!("{}=true", labels::CREATED_BY_PROW));
    let cluster = cluster.to_owned();
    let what = format!("pods of cluster {cluster}");
    reflect_objects(watch_objects(api, ours, what), move |pod| match &pod.0 {
        Ok(pod) => observe_pod(pod, &cluster),
        Err(invalid) => ObservedPod {
            cluster: cluster.clone(),
            name: pod.name_any(),
            // Without a creation time it is due only once the `ProwJob` of its name is complete.
            prowjob: invalid.metadata.name.clone().unwrap_or_default(),
            ..ObservedPod::default()
        },
    })
}

pub(crate) fn prowjob_resource() -> ApiResource {
    ApiResource::erase::<common::prowjob::ProwJob>(&())
}

pub(crate) fn pod_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

fn observe_prowjob(job: &SlimProwJob) -> ObservedProwJob {
    let status = job.status.clone().unwrap_or_default();
    let completed = status.completion_time.map(|time| time.0);
    ObservedProwJob {
        name: job.name_any(),
        uid: job.uid().unwrap_or_default(),
        job: job.spec.job.clone(),
        cluster: match job.spec.cluster.as_str() {
            "" => DEFAULT_CLUSTER.to_owned(),
            alias => alias.to_owned(),
        },
        periodic: job.spec.job_type == ProwJobType::Periodic,
        started: status
            .start_time
            .or_else(|| job.creation_timestamp())
            .map(|time| time.0),
        completed,
        reported: status
            .prev_report_states
            .get(HOLDING_REPORTER)
            .is_some_and(|told| told == status.state.as_str()),
        terminating: job.meta().deletion_timestamp.is_some(),
    }
}

fn observe_pod(pod: &SlimPod, cluster: &str) -> ObservedPod {
    let name = pod.name_any();
    ObservedPod {
        cluster: cluster.to_owned(),
        uid: pod.uid().unwrap_or_default(),
        prowjob: pod
            .labels()
            .get(labels::ID)
            .cloned()
            .unwrap_or_else(|| name.clone()),
        created: pod.creation_timestamp().map(|time| time.0),
        started: pod
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref())
            .map(|time| time.0),
        held: pod.finalizers().iter().any(|name| name == FINALIZER),
        terminating: pod.meta().deletion_timestamp.is_some(),
        name,
    }
}

/// Keeps a map up to date from a watch. The task ends when the last receiver is dropped.
fn reflect_objects<K, T>(
    events: impl Stream<Item = watcher::Event<K>> + Send + 'static,
    see: impl Fn(&K) -> T + Send + 'static,
) -> WatchedObjects<T>
where
    K: Resource + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let mut events = std::pin::pin!(events);
        let mut listed = HashMap::new();
        loop {
            let event = tokio::select! {
                () = sender.closed() => return,
                event = events.next() => event,
            };
            match event {
                Some(watcher::Event::Init) => listed = HashMap::new(),
                Some(watcher::Event::InitApply(object)) => {
                    listed.insert(object.name_any(), see(&object));
                }
                Some(watcher::Event::InitDone) => {
                    sender.send_replace(Some(Arc::new(std::mem::take(&mut listed))));
                }
                Some(watcher::Event::Apply(object)) => modify_objects(&sender, |seen| {
                    seen.insert(object.name_any(), see(&object));
                }),
                Some(watcher::Event::Delete(object)) => modify_objects(&sender, |seen| {
                    seen.remove(&object.name_any());
                }),
                None => return,
            }
        }
    });
    receiver
}

fn modify_objects<T: Clone>(
    sender: &watch::Sender<Option<Arc<HashMap<String, T>>>>,
    with: impl FnOnce(&mut HashMap<String, T>),
) {
    sender.send_modify(|seen| with(Arc::make_mut(seen.get_or_insert_default())));
}

/// Waits until a watch has completed its first list.
pub(crate) async fn await_listed<T>(seen: &mut WatchedObjects<T>) -> anyhow::Result<()> {
    seen.wait_for(Option::is_some).await?;
    Ok(())
}
