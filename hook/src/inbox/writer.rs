//! The one writer: everything that waits when a transaction begins goes into it, and is
//! answered after its commit.

use std::sync::Arc;

use anyhow::anyhow;
use common::db::Db;
use jiff::Timestamp;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Accepted, Delivery, NewDelivery, Outcome, Reason};
use crate::webhook::Identity;

/// Most writes in one transaction: bounds how long the first waits for the last.
const MAX_BATCH: usize = 256;

type Reply<T> = oneshot::Sender<anyhow::Result<T>>;

/// Something to write, and whom to tell.
#[derive(Debug)]
pub(super) enum Write {
    Accept(NewDelivery, Reply<Accepted>),
    Claim {
        now: Timestamp,
        limit: usize,
        reply: Reply<Vec<Delivery>>,
    },
    Finish {
        id: i64,
        attempt: u32,
        outcome: Outcome,
        reasons: Vec<Reason>,
        now: Timestamp,
        reply: Reply<()>,
    },
    DropBodies {
        before: Timestamp,
        reply: Reply<u64>,
    },
}

/// Answers a write, once it is known whether the transaction was committed.
type Settle = Box<dyn FnOnce(Result<(), &sqlx::Error>) + Send>;

/// Writes until every [`super::Inbox`] is gone.
pub(super) async fn run(db: Db, mut queue: mpsc::Receiver<Write>, work: Arc<Notify>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let claims_only = batch
            .iter()
            .all(|write| matches!(write, Write::Claim { .. } | Write::DropBodies { .. }));
        let (settled, committed) = commit(&db, batch.drain(..)).await;
        for settle in settled {
            settle(committed.as_ref().map(drop));
        }
        if !claims_only {
            work.notify_one();
        }
    }
}

async fn commit(
    db: &Db,
    batch: impl Iterator<Item = Write>,
) -> (Vec<Settle>, Result<(), sqlx::Error>) {
    let mut settled = Vec::new();
    let mut transaction = match db.begin().await {
        Ok(transaction) => transaction,
        Err(error) => {
            settled.extend(batch.map(refuse));
            return (settled, Err(error));
        }
    };
    for write in batch {
        settled.push(apply(&mut transaction, write).await);
    }
    (settled, transaction.commit().await)
}

/// The answer of a write that was not even tried.
fn refuse(write: Write) -> Settle {
    match write {
        Write::Accept(_, reply) => settle(reply, Err(sqlx::Error::PoolClosed)),
        Write::Claim { reply, .. } => settle(reply, Err(sqlx::Error::PoolClosed)),
        Write::Finish { reply, .. } => settle(reply, Err(sqlx::Error::PoolClosed)),
        Write::DropBodies { reply, .. } => settle(reply, Err(sqlx::Error::PoolClosed)),
    }
}

/// A write that fails is rolled back alone; the others of its batch stand.
async fn apply(connection: &mut SqliteConnection, write: Write) -> Settle {
    match write {
        Write::Accept(delivery, reply) => settle(reply, accept(connection, &delivery).await),
        Write::Claim { now, limit, reply } => settle(reply, claim(connection, now, limit).await),
        Write::Finish {
            id,
            attempt,
            outcome,
            reasons,
            now,
            reply,
        } => settle(
            reply,
            finish(connection, id, attempt, &outcome, &reasons, now).await,
        ),
        Write::DropBodies { before, reply } => settle(reply, drop_bodies(connection, before).await),
    }
}

fn settle<T: Send + 'static>(reply: Reply<T>, result: Result<T, sqlx::Error>) -> Settle {
    Box::new(move |committed| {
        let answer = match committed {
            Ok(()) => result.map_err(anyhow::Error::from),
            Err(error) => Err(anyhow!("no commit: {error}")),
        };
        // Who asked may have gone: a request that was cut off. The delivery stays.
        drop(reply.send(answer));
    })
}

async fn accept(
    connection: &mut SqliteConnection,
    delivery: &NewDelivery,
) -> Result<Accepted, sqlx::Error> {
    let at = delivery.received_at.as_millisecond();
    // A delivery id is no secret: who may sign for one repository must not put its payload into
    // another's delivery.
    let row: Option<i64> = sqlx::query_scalar(
        "INSERT INTO deliveries (guid, event, org, repo, lane, body, received_at, state, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $7)
         ON CONFLICT (guid) DO UPDATE
         SET state = 'queued', attempts = 0, next_attempt_at = $7, finished_at = NULL, body = excluded.body
         WHERE state IN ('failed', 'dead')
           AND event = excluded.event AND org = excluded.org AND repo = excluded.repo
         RETURNING received_at",
    )
    .bind(&delivery.guid)
    .bind(&delivery.event)
    .bind(&delivery.identity.org)
    .bind(&delivery.identity.repo)
    .bind(&delivery.lane)
    .bind(&delivery.body[..])
    .bind(at)
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        None => Accepted::Known,
        Some(first) if first == at => Accepted::New,
        Some(_) => Accepted::Revived,
    })
}

async fn claim(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let rows = sqlx::query(
        "UPDATE deliveries SET state = 'running', attempts = attempts + 1 WHERE id IN (
             SELECT id FROM deliveries AS mine
             WHERE state = 'queued' AND next_attempt_at <= $1 AND NOT EXISTS (
                 SELECT 1 FROM deliveries AS earlier
                 WHERE earlier.lane = mine.lane AND earlier.id < mine.id
                   AND earlier.state IN ('queued', 'running'))
             ORDER BY id LIMIT $2)
         RETURNING id, guid, event, org, repo, body, attempts",
    )
    .bind(now.as_millisecond())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let mut claimed = rows
        .iter()
        .map(delivery)
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    claimed.sort_by_key(|delivery| delivery.id);
    Ok(claimed)
}

fn delivery(row: &SqliteRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        id: row.try_get("id")?,
        guid: row.try_get("guid")?,
        event: row.try_get("event")?,
        identity: Identity {
            org: row.try_get("org")?,
            repo: row.try_get("repo")?,
        },
        body: row.try_get("body")?,
        attempt: row.try_get("attempts")?,
    })
}

async fn finish(
    connection: &mut SqliteConnection,
    id: i64,
    attempt: u32,
    outcome: &Outcome,
    reasons: &[Reason],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (state, next, error) = match outcome {
        Outcome::Done => ("done", now, None),
        Outcome::Retry { at, error } => ("queued", *at, Some(error)),
        Outcome::Failed(error) => ("failed", now, Some(error)),
        Outcome::Dead(error) => ("dead", now, Some(error)),
    };
    let finished = (state != "queued").then_some(now.as_millisecond());
    sqlx::query(
        "UPDATE deliveries SET state = $2, next_attempt_at = $3, finished_at = $4, error = $5 WHERE id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(next.as_millisecond())
    .bind(finished)
    .bind(error)
    .execute(&mut *connection)
    .await?;
    for reason in reasons {
        sqlx::query(
            "INSERT INTO decisions (delivery, attempt, plugin, reason, made_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(attempt)
        .bind(reason.plugin)
        .bind(&reason.text)
        .bind(now.as_millisecond())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn drop_bodies(
    connection: &mut SqliteConnection,
    before: Timestamp,
) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "UPDATE deliveries SET body = NULL WHERE state = 'done' AND body IS NOT NULL AND finished_at < $1",
    )
    .bind(before.as_millisecond())
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}
