//! Watches jobs, and gives each job with something to report to a report worker.
//!
//! Only those jobs are kept in memory, and those that have not ended: if one of them is deleted,
//! crier reports its end. Of each job only what reporters read is kept.

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

/// How long running reports may take once crier shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Jobs that are reported at once.
const MAX_REPORT_WORKERS: usize = 1000;

/// What the report workers share.
pub(super) struct CrierController {
    pub(super) ctx: Arc<CrierContext>,
    pub(super) reporters: Vec<Box<dyn Reporter>>,
    pub(super) shutdown: CancellationToken,
    /// The jobs with something to report.
    slots: Mutex<HashMap<String, Arc<ReportSlot>>>,
    /// The jobs that have not ended, as last seen.
    open: Mutex<HashMap<String, Arc<ProwJob>>>,
    /// The names of jobs that wait for a report worker.
    pub(super) queue: ReportQueue,
}

/// Reports all jobs through these reporters until `shutdown`.
pub(super) async fn run_controller(
    ctx: Arc<CrierContext>,
    reporters: Vec<Box<dyn Reporter>>,
    shutdown: CancellationToken,
) {
    run_controller_with(ctx, reporters, MAX_REPORT_WORKERS, shutdown).await;
}

/// The same, with at most so many report workers.
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

    /// Gives the job to its report worker, or queues it if there is something to report.
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

    /// Ends a pause.
    pub(super) fn requeue_job(&self, name: &str) {
        if self
            .find_slot(name)
            .is_some_and(|slot| slot.enqueue_paused())
        {
            self.queue.push(name.to_owned());
        }
    }

    /// The job was deleted. `last` is its last state, if the watch showed it.
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

    /// Ends a listing: jobs that are not in it are gone.
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

    /// Ends the work on a slot, unless its job is not `last` any more.
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

    /// Frees a job whose report worker panicked: its next event starts another.
    pub(super) fn abandon_slot(&self, name: &str) {
        self.lock_slots().remove(name);
    }

    /// Whether the job says that the reporter has yet to report its state.
    pub(super) fn is_report_due(&self, reporter: &dyn Reporter, job: &ProwJob) -> bool {
        prev_report_state(job, reporter.reporter_name()) != Some(job.state())
            && is_enabled(&self.ctx.settings.enablement, &job.spec)
            && reporter.is_due(job)
    }
}

/// The state that, according to the job, this reporter reported last.
pub(super) fn prev_report_state(job: &ProwJob, reporter: &str) -> Option<ProwJobState> {
    let status = job.status.as_ref()?;
    status.prev_report_states.get(reporter).copied()
}

/// Keeps what reporters read; a reporter that needs more reads the job.
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

/// Whether any ref of the job is in an enabled repository; a job without refs is enabled.
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
