//! Records what happened, in the order of resourceVersions, and finds what must not happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use common::prowjob::{ProwJob, ProwJobState, labels};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    api::{WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;

use super::jobs::{Job, QUEUE};

/// Calls `see` for every change after `version`, once and in order, for as long as it is polled.
pub(crate) async fn follow<K>(api: Api<K>, mut version: String, mut see: impl FnMut(WatchEvent<K>))
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    loop {
        let watch = api.watch(&WatchParams::default(), &version).await.unwrap();
        let mut watch = std::pin::pin!(watch);
        while let Some(event) = watch.next().await {
            let event = event.unwrap();
            version = match &event {
                WatchEvent::Added(object)
                | WatchEvent::Modified(object)
                | WatchEvent::Deleted(object) => object.resource_version().unwrap(),
                WatchEvent::Bookmark(mark) => mark.metadata.resource_version.clone(),
                WatchEvent::Error(status) => panic!("the record is not whole: {status:?}"),
            };
            see(event);
        }
    }
}

/// How many jobs may be pending at once, apart from the `max_concurrency` of a job.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    /// In the queue [`QUEUE`].
    pub(crate) queue: usize,
    /// In each build cluster.
    pub(crate) cluster: usize,
}

pub(crate) struct Record {
    limits: Limits,
    jobs: BTreeMap<String, Seen>,
    /// The most that were pending at once, by limit.
    peaks: BTreeMap<String, usize>,
    /// The pods of each job: build id and UID.
    pods: BTreeMap<String, BTreeSet<(String, String)>>,
    violations: Vec<String>,
}

struct Seen {
    state: ProwJobState,
    completed: bool,
    /// The limits that it counts against, and their values.
    limits: Vec<(String, usize)>,
}

impl Seen {
    fn new(job: &ProwJob, all: Limits) -> Self {
        let mut limits = vec![
            ("all".to_owned(), all.all),
            (format!("cluster {}", job.spec.cluster), all.cluster),
        ];
        if job.spec.job_queue_name == QUEUE {
            limits.push((format!("queue {QUEUE}"), all.queue));
        }
        if let Ok(max @ 1..) = usize::try_from(job.spec.max_concurrency) {
            limits.push((format!("job {}", job.spec.job), max));
        }
        Self {
            state: job.state(),
            completed: job.is_complete(),
            limits,
        }
    }

    fn is_pending(&self) -> bool {
        self.state == ProwJobState::Pending && !self.completed
    }
}

impl Record {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: BTreeMap::new(),
            peaks: BTreeMap::new(),
            pods: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn see_job(&mut self, event: &WatchEvent<ProwJob>) {
        let (WatchEvent::Added(job) | WatchEvent::Modified(job)) = event else {
            return;
        };
        let name = job.name_any();
        let now = Seen::new(job, self.limits);
        let version = job.resource_version().unwrap_or_default();
        if let Some(before) = self.jobs.get(&name) {
            let was_final = !matches!(
                before.state,
                ProwJobState::Triggered | ProwJobState::Pending
            );
            if was_final && before.state != now.state || before.completed && !now.completed {
                let (from, to) = (before.state.as_str(), now.state.as_str());
                let text = format!("{name} went from {from} to {to} at {version}");
                self.violations.push(text);
            }
        }
        let (starts, limits) = (now.is_pending(), now.limits.clone());
        self.jobs.insert(name.clone(), now);
        if !starts {
            return;
        }
        for (limit, most) in limits {
            let counts = |seen: &&Seen| {
                seen.is_pending() && seen.limits.iter().any(|(other, _)| *other == limit)
            };
            let pending = self.jobs.values().filter(counts).count();
            let peak = self.peaks.entry(limit.clone()).or_default();
            *peak = pending.max(*peak);
            if pending > most {
                let text = format!("{pending} pending of {most} ({limit}): {name} at {version}");
                self.violations.push(text);
            }
        }
    }

    /// Returns whether the pod is new.
    pub(crate) fn see_pod(&mut self, pod: &Pod) -> bool {
        let label = |key: &str| pod.labels().get(key).cloned().unwrap_or_default();
        let (job, build) = (label(labels::ID), label(labels::BUILD_ID));
        let uid = pod.uid().unwrap_or_default();
        let pods = self.pods.entry(job.clone()).or_default();
        if pods.contains(&(build.clone(), uid.clone())) {
            return false;
        }
        if pods.iter().any(|(other, _)| *other == build) {
            let text = format!("{job} has a second pod of build {build}");
            self.violations.push(text);
        }
        pods.insert((build, uid));
        true
    }

    /// How many pods the job has had.
    pub(crate) fn pods(&self, job: &str) -> usize {
        self.pods.get(job).map_or(0, BTreeSet::len)
    }

    pub(crate) fn completed(&self) -> usize {
        self.jobs.values().filter(|job| job.completed).count()
    }

    /// Names and states of the jobs that have not ended.
    pub(crate) fn unfinished(&self) -> String {
        let open = self.jobs.iter().filter(|(_, job)| !job.completed);
        let lines = open.map(|(name, job)| {
            format!(
                "{name} {} with {} pods",
                job.state.as_str(),
                self.pods(name)
            )
        });
        lines.take(20).collect::<Vec<_>>().join("\n")
    }

    /// What must not have happened, now that all jobs are over.
    pub(crate) fn judge(&self, jobs: &[Job]) -> Vec<String> {
        let mut violations = self.violations.clone();
        for job in jobs {
            let name = job.object.name_any();
            let fate = job.fate;
            let state = self.jobs.get(&name).map(|seen| seen.state);
            if state != Some(fate.state()) {
                violations.push(format!("{name} {fate:?} ended as {state:?}"));
            }
            let (least, most) = fate.pods();
            let pods = self.pods(&name);
            if pods < least || pods > most {
                violations.push(format!("{name} {fate:?} had {pods} pods"));
            }
        }
        violations
    }

    pub(crate) fn peaks(&self) -> &BTreeMap<String, usize> {
        &self.peaks
    }
}
