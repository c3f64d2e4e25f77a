//! Watches jobs and gives each of which there is something to tell to a courier.
//!
//! Only those are kept in memory, and those that have not ended: should one be deleted, its end
//! is told in its place. Of each only what reporters look at is kept.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use common::{
    github,
    prowjob::{DecorationConfig, ProwJob, ProwJobSpec, ProwJobState},
};
use futures::StreamExt;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::watcher::Event};
use tokio_util::sync::CancellationToken;

use super::{
    CrierContext,
    deleted_job::build_deleted_job,
    report_slot::ReportSlot,
    reporter::Reporter,
    worker_pool::{ReportQueue, WorkerPool},
};
use crate::watch;

/// How long reports that are under way may take once crier is to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Jobs that are told of at once.
const MAX_REPORT_WORKERS: usize = 1000;

/// What couriers work with.
pub(super) struct CrierController {
    pub(super) ctx: Arc<CrierContext>,
    pub(super) reporters: Vec<Box<dyn Reporter>>,
    pub(super) shutdown: CancellationToken,
    /// The jobs of which there is something to tell.
    slots: Mutex<HashMap<String, Arc<ReportSlot>>>,
    /// The jobs that have not ended, as they were last seen.
    open: Mutex<HashMap<String, Arc<ProwJob>>>,
    /// Those of the slots that wait for a courier.
    pub(super) queue: ReportQueue,
}

/// Has these reporters told of all jobs until `shutdown`.
pub(super) async fn run_controller(
    ctx: Arc<CrierContext>,
    reporters: Vec<Box<dyn Reporter>>,
    shutdown: CancellationToken,
) {
    run_controller_with(ctx, reporters, MAX_REPORT_WORKERS, shutdown).await;
}

/// The same with so many jobs at once.
pub(super) async fn run_controller_with(
    ctx: Arc<CrierContext>,
    reporters: Vec<Box<dyn Reporter>>,
    seats: usize,
    shutdown: CancellationToken,
) {
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let events = watch::watch_prowjobs(ctx.clusters.infra().clone(), &namespace, prune_job);
    let crier = Arc::new(CrierController {
        reporters,
        ctx,
        shutdown: shutdown.clone(),
        slots: Mutex::default(),
        open: Mutex::default(),
        queue: ReportQueue::default(),
    });
    let mut seats = WorkerPool::new(seats);
    let mut listed = HashSet::new();
    futures::pin_mut!(events);
    loop {
        seats.start_workers(&crier);
        let event = tokio::select! {
            () = shutdown.cancelled() => break,
            () = seats.wait_for_worker(&crier) => continue,
            event = events.next() => event,
        };
        match event {
            None => break,
            Some(Event::Init) => listed.clear(),
            Some(Event::InitApply(job)) => {
                listed.insert(job.name_any());
                crier.observe_job(job);
            }
            Some(Event::InitDone) => {
                crier.drop_missing_jobs(&std::mem::take(&mut listed));
                crier.ctx.ready.set_ready(true);
            }
            Some(Event::Apply(job)) => crier.observe_job(job),
            Some(Event::Delete(job)) => crier.handle_deletion(&job.name_any(), Some(job)),
        }
    }
    if tokio::time::timeout(SHUTDOWN_GRACE, seats.join_workers())
        .await
        .is_err()
    {
        tracing::warn!("reports were still under way; they are made again at the next start");
    }
}

impl CrierController {
    fn lock_slots(&self) -> MutexGuard<'_, HashMap<String, Arc<ReportSlot>>> {
        self.slots.lock().expect("nothing panics under this lock")
    }

    fn lock_open_jobs(&self) -> MutexGuard<'_, HashMap<String, Arc<ProwJob>>> {
        self.open.lock().expect("nothing panics under this lock")
    }

    fn observe_job(&self, job: ProwJob) {
        let job = Arc::new(job);
        let name = job.name_any();
        if job.is_complete() || !is_enabled(&self.ctx.settings.enablement, &job.spec) {
            self.lock_open_jobs().remove(&name);
        } else {
            self.lock_open_jobs().insert(name, Arc::clone(&job));
        }
        self.enqueue_job(job, false);
    }

    /// Gives the job to its courier, or lets it wait for one if there is something to tell.
    fn enqueue_job(&self, job: Arc<ProwJob>, gone: bool) {
        let name = job.name_any();
        let mut slots = self.lock_slots();
        if let Some(slot) = slots.get(&name) {
            slot.set_job(Some(job), gone);
            if slot.enqueue_paused() {
                self.queue.push(name);
            }
        } else if self
            .reporters
            .iter()
            .any(|it| self.is_report_due(&**it, &job))
        {
            slots.insert(name.clone(), Arc::new(ReportSlot::new(job, gone)));
            self.queue.push(name);
        }
    }

    pub(super) fn find_slot(&self, name: &str) -> Option<Arc<ReportSlot>> {
        self.lock_slots().get(name).cloned()
    }

    /// A rest is over.
    pub(super) fn requeue_job(&self, name: &str) {
        if self
            .find_slot(name)
            .is_some_and(|slot| slot.enqueue_paused())
        {
            self.queue.push(name.to_owned());
        }
    }

    /// The job is gone. `last` is how the watch saw it then, if it did.
    fn handle_deletion(&self, name: &str, last: Option<ProwJob>) {
        let open = self.lock_open_jobs().remove(name);
        let last = open.and_then(|open| last.map(Arc::new).or(Some(open)));
        let last = last.and_then(|last| build_deleted_job(&last, Timestamp::now()));
        if let Some(obituary) = last {
            tracing::warn!(
                prowjob = name,
                job = obituary.spec.job,
                "deleted before it had ended; telling so in its place"
            );
            self.enqueue_job(Arc::new(obituary), true);
        } else if let Some(slot) = self.find_slot(name) {
            slot.set_job(None, true);
            self.requeue_job(name);
        }
    }

    /// After a listing: who is not in it is gone.
    fn drop_missing_jobs(&self, names: &HashSet<String>) {
        let missing = |name: &&String| !names.contains(*name);
        let mut gone: HashSet<String> = self
            .lock_open_jobs()
            .keys()
            .filter(missing)
            .cloned()
            .collect();
        let slots = self.lock_slots();
        let told = slots.iter().filter(|(_, slot)| !slot.newest_job().1);
        gone.extend(told.map(|(name, _)| name).filter(missing).cloned());
        drop(slots);
        for name in gone {
            self.handle_deletion(&name, None);
        }
    }

    /// Ends a courier's work, unless its job is not `last` any more.
    pub(super) fn release_slot(
        &self,
        name: &str,
        slot: &ReportSlot,
        last: Option<&Arc<ProwJob>>,
    ) -> bool {
        let mut slots = self.lock_slots();
        let same = match (slot.newest_job().0, last) {
            (Some(now), Some(last)) => Arc::ptr_eq(&now, last),
            (now, last) => now.is_none() && last.is_none(),
        };
        if same {
            slots.remove(name);
        }
        same
    }

    /// Gives the job to another courier when this one panicked: with the next event of it.
    pub(super) fn abandon_slot(&self, name: &str) {
        self.lock_slots().remove(name);
    }

    /// Whether the job says that its state is not yet told by the reporter.
    pub(super) fn is_report_due(&self, reporter: &dyn Reporter, job: &ProwJob) -> bool {
        prev_report_state(job, reporter.reporter_name()) != Some(job.state())
            && is_enabled(&self.ctx.settings.enablement, &job.spec)
            && reporter.is_due(job)
    }
}

/// The state that the job says this reporter has told last.
pub(super) fn prev_report_state(job: &ProwJob, reporter: &str) -> Option<ProwJobState> {
    let status = job.status.as_ref()?;
    status.prev_report_states.get(reporter).copied()
}

/// Leaves what reporters look at; who needs the rest reads it.
fn prune_job(job: &mut ProwJob) {
    job.managed_fields_mut().clear();
    job.metadata.annotations = None;
    let spec = &mut job.spec;
    spec.pod_spec = None;
    spec.pipeline_run_spec = None;
    spec.tekton_pipeline_run_spec = None;
    spec.rerun_auth_config = None;
    spec.decoration_config = spec
        .decoration_config
        .take()
        .map(|config| DecorationConfig {
            gcs_configuration: config.gcs_configuration,
            ..DecorationConfig::default()
        });
}

/// Whether any reference of the job is in an enabled repository; a job without any is.
fn is_enabled(enablement: &github::GithubEnablementOptions, spec: &ProwJobSpec) -> bool {
    let mut refs = spec.refs.iter().chain(&spec.extra_refs).peekable();
    refs.peek().is_none() || refs.any(|refs| enablement.allows_repo(&refs.org, &refs.repo))
}

#[cfg(test)]
mod tests {
    use common::prowjob::{GcsConfiguration, ProwJobStatus, RawPodSpec, Refs};

    use super::*;

    #[test]
    fn prev_report_states_say_what_was_told() {
        let mut job = ProwJob::new("pj", ProwJobSpec::default());
        assert_eq!(prev_report_state(&job, "github-reporter"), None);
        job.status = Some(ProwJobStatus {
            prev_report_states: [("github-reporter".into(), ProwJobState::Pending)].into(),
            ..ProwJobStatus::default()
        });
        assert_eq!(
            prev_report_state(&job, "github-reporter"),
            Some(ProwJobState::Pending)
        );
        assert_eq!(prev_report_state(&job, "gcsreporter"), None);
    }

    #[test]
    fn a_job_without_references_or_with_an_enabled_one_is_served() {
        let enablement = github::GithubEnablementOptions {
            github_enabled_org: vec!["o".into()],
            ..github::GithubEnablementOptions::default()
        };
        let refs = |org: &str| Refs {
            org: org.into(),
            repo: "r".into(),
            ..Refs::default()
        };
        let mut spec = ProwJobSpec::default();
        assert!(is_enabled(&enablement, &spec), "no references");
        spec.refs = Some(refs("other"));
        assert!(!is_enabled(&enablement, &spec));
        spec.extra_refs = vec![refs("o")];
        assert!(is_enabled(&enablement, &spec), "one of extra_refs");
    }

    #[test]
    fn what_is_kept_of_a_job_is_what_reporters_look_at() {
        let mut job = ProwJob::new("pj", ProwJobSpec::default());
        job.spec.pod_spec = Some(RawPodSpec::default());
        job.spec.decoration_config = Some(DecorationConfig {
            gcs_configuration: Some(GcsConfiguration::default()),
            ssh_key_secrets: vec!["key".into()],
            ..DecorationConfig::default()
        });
        job.metadata.annotations = Some([("a".into(), "b".into())].into());
        prune_job(&mut job);
        assert_eq!(
            (&job.spec.pod_spec, &job.metadata.annotations),
            (&None, &None)
        );
        let decoration = job.spec.decoration_config.unwrap();
        assert!(decoration.gcs_configuration.is_some() && decoration.ssh_key_secrets.is_empty());
    }
}
