//! Watches jobs and tells of each state once, with retries that never overtake each other.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use common::{
    github,
    prowjob::{ProwJob, ProwJobSpec, ProwJobState},
    service::lease::NotLeading,
};
use futures::{StreamExt, channel::mpsc};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        applier,
        controller::{Action, Config as ApplierConfig, Error as ApplierError},
        reflector::{ObjectRef, store},
        watcher::Event,
    },
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Context, GITHUB_REPORTER, report};
use crate::watch;

/// Bound on one report.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(1000);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    GitHub(#[from] github::Error),
    #[error("GitHub did not answer in time")]
    TimedOut,
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

struct Reporter {
    ctx: Context,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Told, while the object that the watch shows does not say so yet.
    told: HashMap<String, ProwJobState>,
    /// Failures in a row, by job.
    failures: HashMap<String, u32>,
}

pub(super) async fn run(ctx: Context, shutdown: CancellationToken) {
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let events = watch::prowjobs(ctx.client.clone(), &namespace);
    let (jobs, mut writer) = store::<ProwJob>();
    let (sender, names) = mpsc::unbounded::<ObjectRef<ProwJob>>();
    let workers = ApplierConfig::default().concurrency(ctx.github_workers.max(1));
    let reporter = Arc::new(Reporter {
        ctx,
        memory: Mutex::default(),
    });

    let follow = {
        let (jobs, reporter) = (jobs.clone(), Arc::clone(&reporter));
        async move {
            futures::pin_mut!(events);
            let wake = |job: &ProwJob| {
                if report::due(job, &reporter.ctx.report_agent).is_some() {
                    // The receiver is gone only when crier is ending.
                    let _ = sender.unbounded_send(ObjectRef::from_obj(job));
                }
            };
            while let Some(event) = events.next().await {
                writer.apply_watcher_event(&event);
                match event {
                    Event::Init | Event::InitApply(_) => {}
                    Event::InitDone => {
                        let all = jobs.state();
                        reporter.retain(&all);
                        all.iter().for_each(|job| wake(job));
                    }
                    Event::Apply(job) => wake(&job),
                    Event::Delete(job) => reporter.forget(&job.name_any()),
                }
            }
        }
    };
    let work = async {
        if jobs.wait_until_ready().await.is_err() {
            return;
        }
        reporter.ctx.ready.set(true);
        let queue = names.map(Ok::<_, Infallible>);
        let tell = |job: Arc<ProwJob>, reporter: Arc<Reporter>| {
            Box::pin(async move { reporter.reconcile(&job).await })
        };
        let results = applier(
            tell,
            on_error,
            Arc::clone(&reporter),
            jobs.clone(),
            queue,
            workers,
        );
        futures::pin_mut!(results);
        while let Some(result) = results.next().await {
            match result {
                Ok(_)
                | Err(ApplierError::ObjectNotFound(_) | ApplierError::ReconcilerFailed(..)) => {}
                Err(error) => tracing::error!("the work queue failed: {error}"),
            }
        }
    };
    tokio::select! {
        // What was told and not yet marked is told again after a restart: a status is the same
        // however often it is set.
        () = shutdown.cancelled() => {}
        () = follow => {}
        () = work => {}
    }
}

impl Reporter {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics under this lock")
    }

    fn forget(&self, name: &str) {
        let mut memory = self.memory();
        memory.told.remove(name);
        memory.failures.remove(name);
    }

    fn retain(&self, jobs: &[Arc<ProwJob>]) {
        let names: HashSet<String> = jobs.iter().map(|job| job.name_any()).collect();
        let mut memory = self.memory();
        memory.told.retain(|name, _| names.contains(name));
        memory.failures.retain(|name, _| names.contains(name));
    }

    async fn reconcile(&self, job: &ProwJob) -> Result<Action, Error> {
        let name = job.name_any();
        let Some(state) = report::due(job, &self.ctx.report_agent) else {
            self.forget(&name);
            return Ok(Action::await_change());
        };
        let told = self.memory().told.get(&name) == Some(&state);
        if told || !is_enabled(&self.ctx.enablement, &job.spec) {
            return Ok(Action::await_change());
        }
        match self.tell(job).await {
            Ok(()) => {}
            Err(Error::GitHub(error)) if report::is_permanent(&error) => {
                tracing::warn!(
                    prowjob = name,
                    job = job.spec.job,
                    "giving up on a status: {error}"
                );
            }
            Err(error) => {
                self.ctx.metrics.failed();
                return Err(error);
            }
        }
        if self.ctx.dry_run {
            return Ok(Action::await_change());
        }
        let completed = job
            .status
            .as_ref()
            .and_then(|status| status.completion_time.as_ref());
        self.ctx
            .metrics
            .reported(completed.map(|time| time.0), Timestamp::now());
        self.mark(job, state).await?;
        let mut memory = self.memory();
        memory.told.insert(name.clone(), state);
        memory.failures.remove(&name);
        Ok(Action::await_change())
    }

    async fn tell(&self, job: &ProwJob) -> Result<(), Error> {
        let config = self.ctx.config.borrow().prow.github_reporter.clone();
        let Some(report) = report::report(job, &config) else {
            return Ok(());
        };
        let pull = job.spec.refs.as_ref().and_then(|refs| refs.pulls.first());
        tracing::info!(
            prowjob = job.name_any(),
            job = job.spec.job,
            org = report.org,
            repo = report.repo,
            pr = pull.map(|pull| pull.number),
            state = job.state().as_str(),
            dry_run = self.ctx.dry_run,
            "setting the commit status"
        );
        if self.ctx.dry_run {
            return Ok(());
        }
        self.ctx.fence.check()?;
        let status =
            self.ctx
                .github
                .create_status(&report.org, &report.repo, &report.sha, &report.status);
        tokio::time::timeout(PATIENCE, status)
            .await
            .map_err(|_| Error::TimedOut)??;
        Ok(())
    }

    /// Marks the state as told. Without a resourceVersion: whoever else writes the object
    /// writes other fields.
    async fn mark(&self, job: &ProwJob, state: ProwJobState) -> Result<(), Error> {
        if job.status.is_none() {
            return Ok(());
        }
        let patch = json!({"status": {"prev_report_states": {GITHUB_REPORTER: state}}});
        let namespace = job.namespace().unwrap_or_default();
        let api: Api<ProwJob> = Api::namespaced(self.ctx.client.clone(), &namespace);
        let params = PatchParams::default();
        match api
            .patch_metadata(&job.name_any(), &params, &Patch::Merge(patch))
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }
}

/// Tries again, later with every failure in a row; at GitHub's own time when out of quota.
fn on_error(job: Arc<ProwJob>, error: &Error, reporter: Arc<Reporter>) -> Action {
    let name = job.name_any();
    let mut memory = reporter.memory();
    let count = memory.failures.entry(name.clone()).or_default();
    let wait = delay(*count, error, Timestamp::now());
    *count = count.saturating_add(1);
    tracing::warn!(
        prowjob = name,
        job = job.spec.job,
        state = job.state().as_str(),
        retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "reporting failed, trying again: {error:#}"
    );
    Action::requeue(wait)
}

fn delay(failures: u32, error: &Error, now: Timestamp) -> Duration {
    let backoff = FIRST_RETRY
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_RETRY);
    match error {
        Error::GitHub(github::Error::RateLimited { reset }) => {
            Duration::try_from(reset.duration_since(now))
                .unwrap_or_default()
                .max(FIRST_RETRY)
        }
        _ => backoff,
    }
}

/// Whether any reference of the job is in an enabled repository; a job without any is.
fn is_enabled(enablement: &github::Enablement, spec: &ProwJobSpec) -> bool {
    let mut refs = spec.refs.iter().chain(&spec.extra_refs).peekable();
    refs.peek().is_none() || refs.any(|refs| enablement.allows(&refs.org, &refs.repo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_and_keep_githubs_time() {
        let now = "2026-08-01T00:00:00Z".parse().unwrap();
        assert_eq!(delay(0, &Error::TimedOut, now), FIRST_RETRY);
        assert_eq!(delay(40, &Error::TimedOut, now), LONGEST_RETRY);
        let reset = "2026-08-01T00:10:00Z".parse().unwrap();
        let limited = Error::GitHub(github::Error::RateLimited { reset });
        assert_eq!(delay(40, &limited, now), Duration::from_secs(600));
    }
}
