//! Deliveries, safe before they are acknowledged, and the decisions made on them.
//!
//! webhook → `accept` → commit → 200; dispatch → `claim` → plugins → `finish`. The tables belong
//! to one process. All writing goes through one task, so that what arrives together is committed
//! together; see [`writer`].

mod writer;

use std::{fmt, path::Path, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use common::db::{self, Db};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::webhook::Identity;
use writer::Write;

const MIGRATIONS: &[(&str, &str)] = &[("0001_deliveries", include_str!("inbox/schema.sql"))];

/// Bodies of deliveries that were acted on are kept this long; the rows stay.
const KEEP_BODIES: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A verified delivery that is not stored yet.
#[derive(Debug)]
pub(crate) struct NewDelivery {
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) identity: Identity,
    /// Deliveries of one lane are acted on one after the other, in the order they arrived.
    pub(crate) lane: String,
    pub(crate) body: Bytes,
    pub(crate) received_at: Timestamp,
}

/// What became of a delivery at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    New,
    /// Seen before, and waiting, running or done: nothing happens.
    Known,
    /// Seen before, and given up: gets another chance.
    Revived,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Known => "already taken care of",
            Self::Revived => "it had failed and is queued again",
        })
    }
}

/// A delivery that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) id: i64,
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) identity: Identity,
    pub(crate) body: Vec<u8>,
    /// From 1.
    pub(crate) attempt: u32,
}

/// How work on a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Wait until then.
    Retry {
        at: Timestamp,
        error: String,
    },
    /// No attempt can succeed.
    Failed(String),
    /// Enough attempts were made.
    Dead(String),
}

/// Why a plugin did what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) plugin: &'static str,
    pub(crate) text: String,
}

/// The store of deliveries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    db: Db,
    writes: mpsc::Sender<Write>,
    /// Told after every commit that gives the dispatcher something to do.
    work: Arc<Notify>,
}

impl Inbox {
    /// Opens the store at `path`, in memory without one, and starts its writer. Deliveries that
    /// were being worked on when the last process ended are queued again.
    pub async fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let db = db::open(path, MIGRATIONS).await?;
        let recovered =
            sqlx::query("UPDATE deliveries SET state = 'queued' WHERE state = 'running'")
                .execute(&*db)
                .await?
                .rows_affected();
        if recovered > 0 {
            tracing::info!("{recovered} deliveries of the last run are taken up again");
        }
        let work = Arc::new(Notify::new());
        let (writes, queue) = mpsc::channel(1024);
        tokio::spawn(writer::run(db.clone(), queue, Arc::clone(&work)));
        Ok(Self { db, writes, work })
    }

    /// Returns once the delivery is on disk.
    pub(crate) async fn accept(&self, delivery: NewDelivery) -> anyhow::Result<Accepted> {
        self.write(|reply| Write::Accept(delivery, reply)).await
    }

    /// Takes up to `limit` deliveries whose turn it is.
    pub(crate) async fn claim(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> anyhow::Result<Vec<Delivery>> {
        self.write(|reply| Write::Claim { now, limit, reply }).await
    }

    /// Records how the work on a delivery ended, and why.
    pub(crate) async fn finish(
        &self,
        delivery: &Delivery,
        outcome: Outcome,
        reasons: Vec<Reason>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (id, attempt) = (delivery.id, delivery.attempt);
        self.write(|reply| Write::Finish {
            id,
            attempt,
            outcome,
            reasons,
            now,
            reply,
        })
        .await
    }

    /// Drops the bodies nobody will look at again. Returns how many.
    pub(crate) async fn drop_old_bodies(&self, now: Timestamp) -> anyhow::Result<u64> {
        let before = now - KEEP_BODIES;
        self.write(|reply| Write::DropBodies { before, reply })
            .await
    }

    /// When the next waiting delivery becomes due, if it is not due yet.
    pub(crate) async fn next_due(&self, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(next_attempt_at) FROM deliveries WHERE state = 'queued' AND next_attempt_at > $1",
        )
        .bind(now.as_millisecond())
        .fetch_one(&*self.db)
        .await?;
        Ok(next.and_then(|next| Timestamp::from_millisecond(next).ok()))
    }

    /// Resolves when something was committed that may be claimed.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Whether the database answers.
    pub(crate) async fn is_ready(&self) -> bool {
        sqlx::query_scalar::<_, i64>("SELECT 1")
            .fetch_one(&*self.db)
            .await
            .is_ok()
    }

    async fn write<T>(
        &self,
        write: impl FnOnce(oneshot::Sender<anyhow::Result<T>>) -> Write,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        self.writes
            .send(write(reply))
            .await
            .context("the writer of the inbox has stopped")?;
        answer
            .await
            .context("the writer of the inbox has stopped")?
    }
}

#[cfg(test)]
mod tests;
