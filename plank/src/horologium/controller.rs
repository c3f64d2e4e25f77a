//! The loop: passes the watch, the configuration and the clock to the table, and creates the runs
//! that the table says are due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use common::{
    config::{Config, Periodic, periodic_labels, periodic_spec},
    installation,
    kube::DeserializeGuard,
    prowjob::{ProwJob, ProwJobState, labels, new_prowjob, periodic_name},
};
use futures::{
    StreamExt as _,
    stream::{FuturesUnordered, Stream},
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt as _,
    api::PostParams,
    runtime::{watcher, watcher::Event},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    HorologiumContext,
    due::PeriodicSlot,
    history::PeriodicRun,
    slim_periodic::{self, SlimPeriodic},
    table::ScheduleTable,
};
use crate::watch;

/// `ProwJob`s that are created at the same time.
const MAX_CONCURRENT_CREATES: usize = 16;
/// Limit of one create.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of creating a run.
struct CreateOutcome {
    job: String,
    name: String,
    made: bool,
}

pub(super) async fn run_controller(mut ctx: HorologiumContext) -> anyhow::Result<()> {
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let installation = find_installation_id(&ctx, &namespace).await?;
    let api: Api<DeserializeGuard<SlimPeriodic>> = Api::namespaced(ctx.client.clone(), &namespace);
    let events = watch::watch_valid_objects(api, watcher::Config::default(), "prowjobs".into());
    let mut events = std::pin::pin!(events);
    let mut table = ScheduleTable::default();
    let listed = read_initial_list(&mut events, &mut table);
    tokio::time::timeout(ctx.timeout_listing_prowjobs, listed)
        .await
        .context("--timeout-listing-prowjobs: the ProwJobs were not listed in time")?;
    let mut config = Arc::clone(&ctx.config.borrow_and_update());
    table.apply_config(&config, Timestamp::now());
    ctx.ready.set_ready(true);

    let maker = ProwJobCreator {
        api: Api::namespaced(ctx.client.clone(), &namespace),
        slots: Semaphore::new(MAX_CONCURRENT_CREATES),
    };
    let mut creates = FuturesUnordered::new();
    loop {
        let now = Timestamp::now();
        for (periodic, slot) in table.take_due_runs(now) {
            let (job, attempt) = (&periodic.base.name, slot.attempt);
            let name = periodic_name(
                installation,
                job,
                slot.at,
                attempt,
                table.began_after_slot(slot),
            );
            let job = build_prowjob(name, &config, &namespace, &periodic, slot, now);
            let (job_name, name) = (periodic.base.name.as_str(), job.name_any());
            if ctx.dry_run {
                tracing::info!(prowjob = name, job = job_name, "dry run: not created");
                table.observe_run(job_name, &name, new_run(slot, now, Some(now)), now);
                continue;
            }
            table.begin_creation(job_name, &name, new_run(slot, now, None));
            creates.push(maker.create_prowjob(job));
        }
        tokio::select! {
            event = events.next() => match event {
                Some(event) => handle_job_event(&mut table, event, Timestamp::now()),
                None => anyhow::bail!("the watch of ProwJobs has ended"),
            },
            Some(outcome) = creates.next() => record_outcome(&mut table, &outcome, &config),
            // If the sender is gone, the last configuration stays in force.
            Ok(()) = ctx.config.changed() => {
                config = Arc::clone(&ctx.config.borrow_and_update());
                table.apply_config(&config, Timestamp::now());
            }
            () = tokio::time::sleep(sleep_duration(table.next_timer(), Timestamp::now(), tick_interval(&config))) => {}
        }
    }
}

/// The installation's id. Where the Role grants no `ConfigMap`s, as Prow's does not, it is derived
/// from the namespace.
async fn find_installation_id(ctx: &HorologiumContext, namespace: &str) -> anyhow::Result<Uuid> {
    let fresh = Uuid::new_v4();
    match installation::ensure_installation_id(ctx.client.clone(), namespace, fresh, ctx.dry_run)
        .await
    {
        Err(error) if is_forbidden(&error) => Ok(Uuid::new_v5(&Uuid::nil(), namespace.as_bytes())),
        answer => answer.context("the installation's id"),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.code == 403)
}

async fn read_initial_list(
    events: &mut (impl Stream<Item = Event<SlimPeriodic>> + Unpin),
    table: &mut ScheduleTable,
) {
    while let Some(event) = events.next().await {
        let done = matches!(event, Event::InitDone);
        handle_job_event(table, event, Timestamp::now());
        if done {
            return;
        }
    }
}

fn handle_job_event(table: &mut ScheduleTable, event: Event<SlimPeriodic>, now: Timestamp) {
    match event {
        Event::Init => table.begin_listing(),
        Event::InitApply(object) => {
            if let Some((job, run)) = slim_periodic::parse_run(&object) {
                table.observe_listed_run(job, &object.name_any(), run);
            }
        }
        Event::InitDone => table.end_listing(now),
        Event::Apply(object) => {
            if let Some((job, run)) = slim_periodic::parse_run(&object) {
                table.observe_run(job, &object.name_any(), run, now);
            }
        }
        Event::Delete(object) => {
            if let Some((job, _)) = slim_periodic::parse_run(&object) {
                table.remove_run(job, &object.name_any(), now);
            }
        }
    }
}

fn record_outcome(table: &mut ScheduleTable, outcome: &CreateOutcome, config: &Config) {
    let now = Timestamp::now();
    if outcome.made {
        table.confirm_creation(&outcome.job, &outcome.name, now);
    } else {
        let tick = SignedDuration::try_from(tick_interval(config)).unwrap_or(SignedDuration::MAX);
        let again = now.checked_add(tick).unwrap_or(Timestamp::MAX);
        table.cancel_creation(&outcome.job, &outcome.name, again);
    }
}

/// The wait after a failure, and the longest until a clock that was set is noticed.
fn tick_interval(config: &Config) -> Duration {
    let tick = config.prow.horologium.tick_interval().to_std();
    tick.max(Duration::from_secs(1))
}

fn sleep_duration(next: Option<Timestamp>, now: Timestamp, tick: Duration) -> Duration {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    next.map_or(tick, until).min(tick)
}

fn new_run(slot: PeriodicSlot, now: Timestamp, completed: Option<Timestamp>) -> PeriodicRun {
    PeriodicRun {
        started: now,
        completed,
        failed: false,
        attempt: slot.attempt,
    }
}

/// The `ProwJob` of a slot.
fn build_prowjob(
    name: String,
    config: &Config,
    namespace: &str,
    periodic: &Periodic,
    slot: PeriodicSlot,
    now: Timestamp,
) -> ProwJob {
    let mut own = periodic_labels(periodic);
    if slot.attempt > 0 {
        own.insert(labels::RE_RUN.into(), slot.attempt.to_string());
    }
    let state = if config.prow.scheduler.enabled {
        ProwJobState::Scheduling
    } else {
        ProwJobState::Triggered
    };
    new_prowjob(
        name,
        namespace,
        periodic_spec(periodic),
        &own,
        &periodic.base.annotations,
        state,
        now,
    )
}

/// The only place where horologium creates `ProwJob`s.
struct ProwJobCreator {
    api: Api<ProwJob>,
    slots: Semaphore,
}

impl ProwJobCreator {
    async fn create_prowjob(&self, job: ProwJob) -> CreateOutcome {
        let _slot = self.slots.acquire().await;
        let start = Instant::now();
        let name = job.name_any();
        let params = PostParams::default();
        let create = self.api.create(&params, &job);
        let answer = tokio::time::timeout(CREATE_TIMEOUT, create).await;
        let made = match answer {
            Ok(Ok(_)) => {
                tracing::info!(
                    prowjob = name,
                    job = job.spec.job,
                    took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "created"
                );
                true
            }
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {
                // Created by a request whose answer was lost, or by another replica: the watch
                // shows it.
                tracing::info!(prowjob = name, job = job.spec.job, "it is there already");
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    prowjob = name,
                    job = job.spec.job,
                    "not created, trying again later: {error}"
                );
                false
            }
            Err(_) => {
                tracing::warn!(
                    prowjob = name,
                    job = job.spec.job,
                    "not created: the API does not answer in time"
                );
                false
            }
        };
        CreateOutcome {
            job: job.spec.job,
            name,
            made,
        }
    }
}
