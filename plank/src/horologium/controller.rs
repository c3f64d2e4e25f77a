//! The loop: what the watch, the configuration and the clock say goes into the table; what the
//! table says is due is created.

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
    Context,
    due::Slot,
    history::Run,
    observe::{self, SlimJob},
    table::Table,
};
use crate::watch;

/// `ProwJob`s created at once.
const CREATES: usize = 16;
/// Bound on one create.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the making of a run went.
struct Outcome {
    job: String,
    name: String,
    made: bool,
}

pub(super) async fn run(mut ctx: Context) -> anyhow::Result<()> {
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let installation = installation(&ctx, &namespace).await?;
    let api: Api<DeserializeGuard<SlimJob>> = Api::namespaced(ctx.client.clone(), &namespace);
    let events = watch::events(api, watcher::Config::default(), "prowjobs".into());
    let mut events = std::pin::pin!(events);
    let mut table = Table::default();
    let listed = list(&mut events, &mut table);
    tokio::time::timeout(ctx.timeout_listing_prowjobs, listed)
        .await
        .context("--timeout-listing-prowjobs: the ProwJobs were not listed in time")?;
    let mut config = Arc::clone(&ctx.config.borrow_and_update());
    table.configure(&config, Timestamp::now());
    ctx.ready.set(true);

    let maker = Maker {
        api: Api::namespaced(ctx.client.clone(), &namespace),
        slots: Semaphore::new(CREATES),
    };
    let mut creates = FuturesUnordered::new();
    loop {
        let now = Timestamp::now();
        for (periodic, slot) in table.due(now) {
            let (job, attempt) = (&periodic.base.name, slot.attempt);
            let name = periodic_name(installation, job, slot.at, attempt, table.late(slot));
            let job = prowjob(name, &config, &namespace, &periodic, slot, now);
            let (job_name, name) = (periodic.base.name.as_str(), job.name_any());
            if ctx.dry_run {
                tracing::info!(prowjob = name, job = job_name, "dry run: not created");
                table.observe(job_name, &name, begun(slot, now, Some(now)), now);
                continue;
            }
            table.ask(job_name, &name, begun(slot, now, None));
            creates.push(maker.create(job));
        }
        tokio::select! {
            event = events.next() => match event {
                Some(event) => observe(&mut table, event, Timestamp::now()),
                None => anyhow::bail!("the watch of ProwJobs has ended"),
            },
            Some(outcome) = creates.next() => settle(&mut table, &outcome, &config),
            // When whoever published it is gone, the last configuration stays in force.
            Ok(()) = ctx.config.changed() => {
                config = Arc::clone(&ctx.config.borrow_and_update());
                table.configure(&config, Timestamp::now());
            }
            () = tokio::time::sleep(pause(table.next(), Timestamp::now(), tick(&config))) => {}
        }
    }
}

/// The installation's id; where the Role grants no `ConfigMap`s, as Prow's does not, one made of
/// the namespace.
async fn installation(ctx: &Context, namespace: &str) -> anyhow::Result<Uuid> {
    let fresh = Uuid::new_v4();
    match installation::id(ctx.client.clone(), namespace, fresh, ctx.dry_run).await {
        Err(error) if is_forbidden(&error) => Ok(Uuid::new_v5(&Uuid::nil(), namespace.as_bytes())),
        answer => answer.context("the installation's id"),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.code == 403)
}

async fn list(events: &mut (impl Stream<Item = Event<SlimJob>> + Unpin), table: &mut Table) {
    while let Some(event) = events.next().await {
        let done = matches!(event, Event::InitDone);
        observe(table, event, Timestamp::now());
        if done {
            return;
        }
    }
}

fn observe(table: &mut Table, event: Event<SlimJob>, now: Timestamp) {
    match event {
        Event::Init => table.begin_listing(),
        Event::InitApply(object) => {
            if let Some((job, run)) = observe::run(&object) {
                table.listed(job, &object.name_any(), run);
            }
        }
        Event::InitDone => table.end_listing(now),
        Event::Apply(object) => {
            if let Some((job, run)) = observe::run(&object) {
                table.observe(job, &object.name_any(), run, now);
            }
        }
        Event::Delete(object) => {
            if let Some((job, _)) = observe::run(&object) {
                table.remove(job, &object.name_any(), now);
            }
        }
    }
}

fn settle(table: &mut Table, outcome: &Outcome, config: &Config) {
    let now = Timestamp::now();
    if outcome.made {
        table.made(&outcome.job, &outcome.name, now);
    } else {
        let tick = SignedDuration::try_from(tick(config)).unwrap_or(SignedDuration::MAX);
        let again = now.checked_add(tick).unwrap_or(Timestamp::MAX);
        table.refused(&outcome.job, &outcome.name, again);
    }
}

/// A failure's next chance comes after this, and a clock that was set is noticed.
fn tick(config: &Config) -> Duration {
    let tick = config.prow.horologium.tick_interval().to_std();
    tick.max(Duration::from_secs(1))
}

fn pause(next: Option<Timestamp>, now: Timestamp, tick: Duration) -> Duration {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    next.map_or(tick, until).min(tick)
}

fn begun(slot: Slot, now: Timestamp, completed: Option<Timestamp>) -> Run {
    Run {
        started: now,
        completed,
        failed: false,
        attempt: slot.attempt,
    }
}

/// The `ProwJob` of a slot.
fn prowjob(
    name: String,
    config: &Config,
    namespace: &str,
    periodic: &Periodic,
    slot: Slot,
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

/// The one place that creates.
struct Maker {
    api: Api<ProwJob>,
    slots: Semaphore,
}

impl Maker {
    async fn create(&self, job: ProwJob) -> Outcome {
        let _slot = self.slots.acquire().await;
        let start = Instant::now();
        let name = job.name_any();
        let params = PostParams::default();
        let create = self.api.create(&params, &job);
        let answer = tokio::time::timeout(PATIENCE, create).await;
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
                // Made by a create whose answer was lost, or by another replica. The watch shows it.
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
        Outcome {
            job: job.spec.job,
            name,
            made,
        }
    }
}
