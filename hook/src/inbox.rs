//! Stores deliveries before they are acknowledged, and the decisions made on them.
//!
//! webhook → `accept_delivery` → commit → 200; dispatch → `claim_deliveries` → plugins →
//! `finish_delivery`. One process owns the tables. One task does all writing, so that what arrives
//! together is committed together; see [`writer`]. [`statements`] writes, [`sweep`] removes.

mod statements;
mod sweep;
mod writer;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use common::db::{self, SqliteDb};
use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::webhook::RepositoryRef;
use statements::{AcceptDelivery, ClaimDeliveries, FinishDelivery};
use sweep::SweepDeliveries;
use writer::{InboxWrite, QueuedWrite, WriteQueues, WriteRequest};

const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_deliveries", include_str!("inbox/schema.sql")),
    ("0002_backlog", include_str!("inbox/0002_backlog.sql")),
];

/// The time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A verified delivery that is not stored yet.
#[derive(Debug)]
pub(crate) struct VerifiedDelivery {
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) identity: RepositoryRef,
    /// The ordering key: its deliveries are acted on one by one, in the order they arrived.
    pub(crate) lane: String,
    pub(crate) body: Bytes,
    pub(crate) received_at: Timestamp,
}

/// The result of accepting a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptOutcome {
    New,
    /// Stored before, and waiting, running or done: nothing happens.
    Known,
    /// Stored before, and failed or dead: it is queued again.
    Revived,
}

/// A delivery that is being worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimedDelivery {
    pub(crate) id: i64,
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) identity: RepositoryRef,
    pub(crate) body: Vec<u8>,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

/// How work on a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    Done,
    /// Try again at `at`.
    Retry {
        at: Timestamp,
        error: String,
    },
    /// No attempt can succeed.
    Failed(String),
    /// All attempts are used up.
    Dead(String),
}

/// Why a plugin did what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecisionReason {
    pub(crate) plugin: &'static str,
    pub(crate) text: String,
}

/// The store of deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    db: SqliteDb,
    writes: mpsc::Sender<Box<dyn QueuedWrite>>,
    leisurely: mpsc::Sender<Box<dyn QueuedWrite>>,
    /// Notified after every commit that gives the dispatcher something to do.
    work: Arc<Notify>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// Opens the store at `path`, or in memory when there is none, and starts its writer.
    /// Deliveries that were being worked on when the last process ended are queued again.
    pub async fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let db = db::open_database(path, MIGRATIONS).await?;
        let mut transaction = db.begin().await?;
        let recovered = statements::requeue_interrupted(&mut transaction, Timestamp::now()).await?;
        transaction.commit().await?;
        if recovered > 0 {
            tracing::info!("{recovered} deliveries of the last run are taken up again");
        }
        let work = Arc::new(Notify::new());
        let (writes, queue) = mpsc::channel(1024);
        let (leisurely, later) = mpsc::channel(1);
        let queues = WriteQueues {
            writes: queue,
            leisurely: later,
        };
        tokio::spawn(writer::run_writer(db.clone(), queues, Arc::clone(&work)));
        Ok(Self {
            db,
            writes,
            leisurely,
            work,
        })
    }

    /// Returns once the delivery is on disk.
    pub(crate) async fn accept_delivery(
        &self,
        delivery: VerifiedDelivery,
    ) -> anyhow::Result<AcceptOutcome> {
        enqueue_write(&self.writes, AcceptDelivery(delivery)).await
    }

    /// Claims up to `limit` deliveries whose turn it is.
    pub(crate) async fn claim_deliveries(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> anyhow::Result<Vec<ClaimedDelivery>> {
        enqueue_write(&self.writes, ClaimDeliveries { now, limit }).await
    }

    /// Records how the work on a delivery ended, and why.
    pub(crate) async fn finish_delivery(
        &self,
        delivery: &ClaimedDelivery,
        outcome: DeliveryOutcome,
        reasons: Vec<DecisionReason>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (id, attempt) = (delivery.id, delivery.attempt);
        let end = FinishDelivery {
            id,
            attempt,
            outcome,
            reasons,
            now,
        };
        enqueue_write(&self.writes, end).await
    }

    /// Sweeps once per [`SWEEP_INTERVAL`] until `shutdown`. Other writes go first.
    pub(crate) async fn sweep_periodically(self, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(SWEEP_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = looks.tick() => {}
            }
            let swept = tokio::select! {
                () = shutdown.cancelled() => return,
                swept = self.sweep_deliveries(Timestamp::now(), sweep::MAX_BYTES) => swept,
            };
            if let Err(error) = swept {
                tracing::warn!("old deliveries could not be cleaned up: {error:#}");
            }
        }
    }

    /// Sweeps step by step, until nothing is left to remove. Returns how much was removed.
    async fn sweep_deliveries(&self, now: Timestamp, max_bytes: i64) -> anyhow::Result<u64> {
        let mut all = 0;
        loop {
            match enqueue_write(&self.leisurely, SweepDeliveries { now, max_bytes }).await? {
                0 => return Ok(all),
                gone => all += gone,
            }
        }
    }

    /// When the next delivery becomes due, of those that are not due yet.
    pub(crate) async fn next_due(&self, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT due_at FROM deliveries WHERE due_at > $1 ORDER BY due_at LIMIT 1",
        )
        .bind(now.as_millisecond())
        .fetch_optional(&*self.db)
        .await?;
        Ok(next.and_then(|next| Timestamp::from_millisecond(next).ok()))
    }

    /// Whether a delivery was ever stored, as far back as rows are kept.
    pub(crate) async fn knows_delivery(&self, guid: &str) -> anyhow::Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM deliveries WHERE guid = $1")
            .bind(guid)
            .fetch_optional(&*self.db)
            .await?;
        Ok(found.is_some())
    }

    /// Resolves after a commit of something that may be claimed.
    pub(crate) async fn wait_for_work(&self) {
        self.work.notified().await;
    }

    /// Whether the database answers.
    pub(crate) async fn is_ready(&self) -> bool {
        sqlx::query_scalar::<_, i64>("SELECT 1")
            .fetch_one(&*self.db)
            .await
            .is_ok()
    }
}

async fn enqueue_write<W: InboxWrite>(
    queue: &mpsc::Sender<Box<dyn QueuedWrite>>,
    write: W,
) -> anyhow::Result<W::Done> {
    let (request, answer) = WriteRequest::new(write);
    queue
        .send(request)
        .await
        .ok()
        .context("the writer of the inbox has stopped")?;
    answer
        .await
        .context("the writer of the inbox has stopped")?
}

#[cfg(test)]
mod tests;
