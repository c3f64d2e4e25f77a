//! Watches `ProwJob`s.

use std::{collections::BTreeMap, pin::pin};

use common::{
    kube::{DeserializeGuard, watch_objects},
    prowjob::{ProwJob, ProwJobState, Refs, labels},
};
use futures::StreamExt;
use kube::{
    Api, Client,
    runtime::{watcher, watcher::Event},
};
use tokio::sync::{oneshot, watch};

/// What the demo shows of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DemoJob {
    pub(super) name: String,
    pub(super) state: ProwJobState,
    pub(super) complete: bool,
    pub(super) required: bool,
    /// From creation to completion, in whole seconds, as Kubernetes records them.
    pub(super) seconds: Option<i64>,
    pub(super) url: String,
    /// The commit it tests: the pull request's head, else the base.
    pub(super) sha: String,
    /// What it runs for, in a word: `#7`, a branch, `periodic`.
    pub(super) subject: String,
}

/// All jobs by the name of their object.
pub(super) type DemoJobs = BTreeMap<String, DemoJob>;

/// The jobs of `namespace`: complete when this returns, and kept up to date until the receiver is
/// dropped.
pub(super) async fn watch_prowjobs(client: Client, namespace: &str) -> watch::Receiver<DemoJobs> {
    let (sender, receiver) = watch::channel(DemoJobs::new());
    let api: Api<DeserializeGuard<ProwJob>> = Api::namespaced(client, namespace);
    let (listed, is_listed) = oneshot::channel();
    let mut listed = Some(listed);
    tokio::spawn(async move {
        let all = watcher::Config::default();
        let mut events = pin!(watch_objects(api, all, "prowjobs"));
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sender.closed() => None,
            };
            match event {
                Some(Event::Apply(object) | Event::InitApply(object)) => {
                    update_job(&sender, object)
                }
                Some(Event::InitDone) => drop(listed.take().map(|listed| listed.send(()))),
                Some(Event::Init | Event::Delete(_)) => {}
                None => break,
            }
        }
    });
    // An error means that the watch ended before; the receiver says so, too.
    let _ = is_listed.await;
    receiver
}

/// Ignores an object that is no valid `ProwJob`.
fn update_job(sender: &watch::Sender<DemoJobs>, object: DeserializeGuard<ProwJob>) {
    if let Ok(job) = object.0 {
        let name = job.metadata.name.clone().unwrap_or_default();
        sender.send_modify(|jobs| drop(jobs.insert(name, DemoJob::from(&job))));
    }
}

fn describe_refs(refs: Option<&Refs>) -> String {
    match refs {
        None => "periodic".to_owned(),
        Some(refs) if refs.pulls.is_empty() => refs.base_ref.clone(),
        Some(refs) => {
            let numbers = refs.pulls.iter().map(|pull| format!("#{}", pull.number));
            numbers.collect::<Vec<_>>().join(",")
        }
    }
}

impl From<&ProwJob> for DemoJob {
    fn from(object: &ProwJob) -> Self {
        let refs = object.spec.refs.as_ref();
        let sha = refs.map(|refs| refs.pulls.first().map_or(&refs.base_sha, |pull| &pull.sha));
        let optional = object
            .metadata
            .labels
            .as_ref()
            .and_then(|all| all.get(labels::IS_OPTIONAL));
        let status = object.status.clone().unwrap_or_default();
        let seconds = status.start_time.zip(status.completion_time.clone());
        Self {
            name: object.spec.job.clone(),
            state: status.state,
            complete: status.completion_time.is_some(),
            required: optional.is_none_or(|value| value != "true"),
            seconds: seconds.map(|(start, end)| end.0.as_second() - start.0.as_second()),
            url: status.url,
            sha: sha.cloned().unwrap_or_default(),
            subject: describe_refs(refs),
        }
    }
}
