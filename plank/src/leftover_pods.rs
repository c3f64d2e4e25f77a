//! Ends pods that are still active although their job is complete: plank was killed between
//! completing the job and deleting its pod, or the deletion fails.
//!
//! Every cluster has a queue of its own, and each pod is retried on its own, so that pods that
//! cannot be deleted delay nothing else.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use common::prowjob::{ProwJob, ProwJobState};
use futures::{StreamExt, channel::mpsc::UnboundedReceiver, stream::FuturesUnordered};
use kube::ResourceExt;
use tokio::sync::Semaphore;

use crate::{reconcile::Reconciler, workqueue};

/// Pods of one cluster that are ended at the same time.
const MAX_CONCURRENT_PODS: usize = 20;

/// Names of complete jobs whose pods are to be ended. The pod of any other finished job is left
/// alone, without a request to the API.
#[derive(Debug, Default)]
pub(crate) struct EndedJobs(Mutex<HashSet<Box<str>>>);

impl EndedJobs {
    fn lock_names(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Records a job as the watch delivers it.
    pub(crate) fn observe_job(&self, job: &ProwJob) {
        let state = job.state();
        let ends_its_pod = job.is_complete()
            && job.spec.agent.is_kubernetes()
            && matches!(state, ProwJobState::Aborted | ProwJobState::Error);
        if ends_its_pod {
            self.lock_names().insert(job.name_any().into());
        }
    }

    pub(crate) fn remove_job(&self, name: &str) {
        self.lock_names().remove(name);
    }

    /// All jobs are listed: forgets those that are gone.
    pub(crate) fn retain_jobs(&self, is_there: impl Fn(&str) -> bool) {
        self.lock_names().retain(|name| is_there(name));
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.lock_names().contains(name)
    }
}

/// Ends the pods of the jobs in `names`, for as long as it is polled.
pub(crate) async fn end_leftover_pods(
    mut names: UnboundedReceiver<String>,
    namespace: String,
    reconciler: Arc<Reconciler>,
) {
    let permits = Semaphore::new(MAX_CONCURRENT_PODS);
    let mut under_way = HashSet::new();
    let mut tasks = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(name) = names.next() => {
                if under_way.insert(name.clone()) {
                    tasks.push(end_leftover_pod(name, &namespace, &permits, &reconciler));
                }
            }
            Some(name) = tasks.next() => {
                under_way.remove(&name);
            }
            else => return,
        }
    }
}

/// Tries until the pod is deleted or its job is gone. Between two tries it holds no permit.
async fn end_leftover_pod(
    name: String,
    namespace: &str,
    permits: &Semaphore,
    reconciler: &Arc<Reconciler>,
) -> String {
    while let Some(wait) = try_end_pod(&name, namespace, permits, reconciler).await {
        tokio::time::sleep(wait).await;
    }
    reconciler.forget_job(&name);
    name
}

/// Tries once; returns the wait before another try, if any.
async fn try_end_pod(
    name: &str,
    namespace: &str,
    permits: &Semaphore,
    reconciler: &Arc<Reconciler>,
) -> Option<Duration> {
    let _permit = permits.acquire().await.expect("it is never closed");
    let job = match reconciler.writer.read_job_named(name, namespace).await {
        Ok(job) => Arc::new(job.filter(ProwJob::is_complete)?),
        Err(error) => {
            let unread = ProwJob::new(name, Default::default());
            return Some(workqueue::next_retry_delay(&unread, &error, reconciler));
        }
    };
    match reconciler.reconcile_job(Arc::clone(&job)).await {
        Ok(wait) => wait,
        Err(error) => Some(workqueue::next_retry_delay(&job, &error, reconciler)),
    }
}

#[cfg(test)]
mod tests {
    use common::prowjob::{ProwJobAgent, ProwJobStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn job(name: &str, state: ProwJobState, complete: bool) -> ProwJob {
        let mut job = ProwJob::new(name, Default::default());
        job.spec.agent = ProwJobAgent::kubernetes();
        let completion_time = complete.then(|| Time("2026-08-01T00:00:00Z".parse().unwrap()));
        job.status = Some(ProwJobStatus {
            state,
            completion_time,
            ..ProwJobStatus::default()
        });
        job
    }

    #[test]
    fn only_jobs_whose_pods_are_ended_are_known() {
        let ended = EndedJobs::default();
        for (name, state, complete, expected) in [
            ("aborted", ProwJobState::Aborted, true, true),
            ("error", ProwJobState::Error, true, true),
            ("going", ProwJobState::Aborted, false, false),
            ("good", ProwJobState::Success, true, false),
        ] {
            ended.observe_job(&job(name, state, complete));
            assert_eq!(ended.contains(name), expected, "{name}");
        }
        assert!(!ended.contains("foreign"));
        ended.retain_jobs(|name| name == "error");
        assert!(ended.contains("error") && !ended.contains("aborted"));
        ended.remove_job("error");
        assert!(!ended.contains("error"));
    }
}
