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
    Context,
    obituary::obituary,
    reporter::Reporter,
    seats::{Queue, Seats},
    slot::Slot,
};
use crate::watch;

/// How long reports that are under way may take once crier is to end.
const GRACE: Duration = Duration::from_secs(5);

/// Jobs that are told of at once.
const SEATS: usize = 1000;

/// What couriers work with.
pub(super) struct Crier {
    pub(super) ctx: Arc<Context>,
    pub(super) reporters: Vec<Box<dyn Reporter>>,
    pub(super) shutdown: CancellationToken,
    /// The jobs of which there is something to tell.
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// The jobs that have not ended, as they were last seen.
    open: Mutex<HashMap<String, Arc<ProwJob>>>,
    /// Those of the slots that wait for a courier.
    pub(super) queue: Queue,
}

/// Has these reporters told of all jobs until `shutdown`.
pub(super) async fn run(
    ctx: Arc<Context>,
    reporters: Vec<Box<dyn Reporter>>,
    shutdown: CancellationToken,
) {
    run_with(ctx, reporters, SEATS, shutdown).await;
}

/// The same with so many jobs at once.
pub(super) async fn run_with(
    ctx: Arc<Context>,
    reporters: Vec<Box<dyn Reporter>>,
    seats: usize,
    shutdown: CancellationToken,
) {
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let events = watch::prowjobs(ctx.clusters.infra().clone(), &namespace, prune);
    let crier = Arc::new(Crier {
        reporters,
        ctx,
        shutdown: shutdown.clone(),
        slots: Mutex::default(),
        open: Mutex::default(),
        queue: Queue::default(),
    });
    let mut seats = Seats::new(seats);
    let mut listed = HashSet::new();
    futures::pin_mut!(events);
    loop {
        seats.fill(&crier);
        let event = tokio::select! {
            () = shutdown.cancelled() => break,
            () = seats.next(&crier) => continue,
            event = events.next() => event,
        };
        match event {
            None => break,
            Some(Event::Init) => listed.clear(),
            Some(Event::InitApply(job)) => {
                listed.insert(job.name_any());
                crier.take(job);
            }
            Some(Event::InitDone) => {
                crier.retain(&std::mem::take(&mut listed));
                crier.ctx.ready.set(true);
            }
            Some(Event::Apply(job)) => crier.take(job),
            Some(Event::Delete(job)) => crier.bury(&job.name_any(), Some(job)),
        }
    }
    if tokio::time::timeout(GRACE, seats.finish()).await.is_err() {
        tracing::warn!("reports were still under way; they are made again at the next start");
    }
}

impl Crier {
    fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.slots.lock().expect("nothing panics under this lock")
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<ProwJob>>> {
        self.open.lock().expect("nothing panics under this lock")
    }

    fn take(&self, job: ProwJob) {
        let job = Arc::new(job);
        let name = job.name_any();
        if job.is_complete() || !is_enabled(&self.ctx.settings.enablement, &job.spec) {
            self.open().remove(&name);
        } else {
            self.open().insert(name, Arc::clone(&job));
        }
        self.give(job, false);
    }

    /// Gives the job to its courier, or lets it wait for one if there is something to tell.
    fn give(&self, job: Arc<ProwJob>, gone: bool) {
        let name = job.name_any();
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&name) {
            slot.set(Some(job), gone);
            if slot.queue() {
                self.queue.push(name);
            }
        } else if self.reporters.iter().any(|it| self.is_due(&**it, &job)) {
            slots.insert(name.clone(), Arc::new(Slot::new(job, gone)));
            self.queue.push(name);
        }
    }

    pub(super) fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.slots().get(name).cloned()
    }

    /// A rest is over.
    pub(super) fn wake(&self, name: &str) {
        if self.slot(name).is_some_and(|slot| slot.queue()) {
            self.queue.push(name.to_owned());
        }
    }

    /// The job is gone. `last` is how the watch saw it then, if it did.
    fn bury(&self, name: &str, last: Option<ProwJob>) {
        let open = self.open().remove(name);
        let last = open.and_then(|open| last.map(Arc::new).or(Some(open)));
        let last = last.and_then(|last| obituary(&last, Timestamp::now()));
        if let Some(obituary) = last {
            tracing::warn!(
                prowjob = name,
                job = obituary.spec.job,
                "deleted before it had ended; telling so in its place"
            );
            self.give(Arc::new(obituary), true);
        } else if let Some(slot) = self.slot(name) {
            slot.set(None, true);
            self.wake(name);
        }
    }

    /// After a listing: who is not in it is gone.
    fn retain(&self, names: &HashSet<String>) {
        let missing = |name: &&String| !names.contains(*name);
        let mut gone: HashSet<String> = self.open().keys().filter(missing).cloned().collect();
        let slots = self.slots();
        let told = slots.iter().filter(|(_, slot)| !slot.job().1);
        gone.extend(told.map(|(name, _)| name).filter(missing).cloned());
        drop(slots);
        for name in gone {
            self.bury(&name, None);
        }
    }

    /// Ends a courier's work, unless its job is not `last` any more.
    pub(super) fn leave(&self, name: &str, slot: &Slot, last: Option<&Arc<ProwJob>>) -> bool {
        let mut slots = self.slots();
        let same = match (slot.job().0, last) {
            (Some(now), Some(last)) => Arc::ptr_eq(&now, last),
            (now, last) => now.is_none() && last.is_none(),
        };
        if same {
            slots.remove(name);
        }
        same
    }

    /// Gives the job to another courier when this one panicked: with the next event of it.
    pub(super) fn abandon(&self, name: &str) {
        self.slots().remove(name);
    }

    /// Whether the job says that its state is not yet told by the reporter.
    pub(super) fn is_due(&self, reporter: &dyn Reporter, job: &ProwJob) -> bool {
        marked(job, reporter.name()) != Some(job.state())
            && is_enabled(&self.ctx.settings.enablement, &job.spec)
            && reporter.is_due(job)
    }
}

/// The state that the job says this reporter has told last.
pub(super) fn marked(job: &ProwJob, reporter: &str) -> Option<ProwJobState> {
    let status = job.status.as_ref()?;
    status.prev_report_states.get(reporter).copied()
}

/// Leaves what reporters look at; who needs the rest reads it.
fn prune(job: &mut ProwJob) {
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
fn is_enabled(enablement: &github::Enablement, spec: &ProwJobSpec) -> bool {
    let mut refs = spec.refs.iter().chain(&spec.extra_refs).peekable();
    refs.peek().is_none() || refs.any(|refs| enablement.allows(&refs.org, &refs.repo))
}

#[cfg(test)]
mod tests {
    use common::prowjob::{GcsConfiguration, ProwJobStatus, RawPodSpec, Refs};

    use super::*;

    #[test]
    fn prev_report_states_say_what_was_told() {
        let mut job = ProwJob::new("pj", ProwJobSpec::default());
        assert_eq!(marked(&job, "github-reporter"), None);
        job.status = Some(ProwJobStatus {
            prev_report_states: [("github-reporter".into(), ProwJobState::Pending)].into(),
            ..ProwJobStatus::default()
        });
        assert_eq!(marked(&job, "github-reporter"), Some(ProwJobState::Pending));
        assert_eq!(marked(&job, "gcsreporter"), None);
    }

    #[test]
    fn a_job_without_references_or_with_an_enabled_one_is_served() {
        let enablement = github::Enablement {
            github_enabled_org: vec!["o".into()],
            ..github::Enablement::default()
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
        prune(&mut job);
        assert_eq!(
            (&job.spec.pod_spec, &job.metadata.annotations),
            (&None, &None)
        );
        let decoration = job.spec.decoration_config.unwrap();
        assert!(decoration.gcs_configuration.is_some() && decoration.ssh_key_secrets.is_empty());
    }
}
