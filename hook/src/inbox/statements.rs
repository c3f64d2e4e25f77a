//! The statements that write deliveries. Each finds its rows by an index, however many deliveries
//! wait; `tests::cost` checks that.

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    AcceptOutcome, ClaimedDelivery, DecisionReason, DeliveryOutcome, VerifiedDelivery,
    writer::InboxWrite,
};
use crate::webhook::RepositoryRef;

/// How long payloads of `done` deliveries are kept, for people who want to read them.
const DONE_BODY_RETENTION: SignedDuration = SignedDuration::from_hours(24);

/// How long payloads of `failed` and `dead` deliveries are kept, for a replay after a fix.
const FAILED_BODY_RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Stores a delivery.
pub(super) struct AcceptDelivery(pub(super) VerifiedDelivery);

impl InboxWrite for AcceptDelivery {
    type Done = AcceptOutcome;

    fn apply_write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<AcceptOutcome, sqlx::Error>> {
        Box::pin(insert_delivery(connection, &self.0))
    }
}

async fn insert_delivery(
    connection: &mut SqliteConnection,
    delivery: &VerifiedDelivery,
) -> Result<AcceptOutcome, sqlx::Error> {
    let at = delivery.received_at.as_millisecond();
    // A delivery id is no secret: whoever may sign for one repository must not put a payload into
    // another repository's delivery.
    let row: Option<(i64, i64)> = sqlx::query_as(
        "INSERT INTO deliveries (guid, event, org, repo, lane, received_at, state, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'queued', CASE WHEN EXISTS (
             SELECT 1 FROM deliveries WHERE lane = $5 AND finished_at IS NULL) THEN NULL ELSE $6 END)
         ON CONFLICT (guid) DO UPDATE
         SET state = 'queued', attempts = 0, lane = excluded.lane, due_at = excluded.due_at,
             finished_at = NULL, body_until = NULL
         WHERE state IN ('failed', 'dead')
           AND event = excluded.event AND org = excluded.org AND repo = excluded.repo
         RETURNING id, received_at",
    )
    .bind(&delivery.guid)
    .bind(&delivery.event)
    .bind(&delivery.identity.org)
    .bind(&delivery.identity.repo)
    .bind(&delivery.lane)
    .bind(at)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, first)) = row else {
        return Ok(AcceptOutcome::Known);
    };
    sqlx::query(
        "INSERT INTO bodies (delivery, body) VALUES ($1, $2)
         ON CONFLICT (delivery) DO UPDATE SET body = excluded.body",
    )
    .bind(id)
    .bind(&delivery.body[..])
    .execute(connection)
    .await?;
    Ok(if first == at {
        AcceptOutcome::New
    } else {
        AcceptOutcome::Revived
    })
}

/// Claims up to `limit` deliveries whose turn it is, the first of each ordering key. The one that
/// has waited longest for its turn comes first, however many wait behind it.
pub(super) struct ClaimDeliveries {
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

impl InboxWrite for ClaimDeliveries {
    type Done = Vec<ClaimedDelivery>;
    const BRINGS_WORK: bool = false;

    fn apply_write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<Vec<ClaimedDelivery>, sqlx::Error>> {
        Box::pin(claim_due_rows(connection, self.now, self.limit))
    }
}

async fn claim_due_rows(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<ClaimedDelivery>, sqlx::Error> {
    let rows = sqlx::query(
        "UPDATE deliveries SET state = 'running', attempts = attempts + 1, due_at = NULL
         WHERE id IN (SELECT id FROM deliveries WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2)
         RETURNING id, guid, event, org, repo, attempts,
             (SELECT body FROM bodies WHERE delivery = deliveries.id) AS body",
    )
    .bind(now.as_millisecond())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let mut claimed = rows
        .iter()
        .map(delivery_from_row)
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    claimed.sort_by_key(|delivery| delivery.id);
    Ok(claimed)
}

fn delivery_from_row(row: &SqliteRow) -> Result<ClaimedDelivery, sqlx::Error> {
    Ok(ClaimedDelivery {
        id: row.try_get("id")?,
        guid: row.try_get("guid")?,
        event: row.try_get("event")?,
        identity: RepositoryRef {
            org: row.try_get("org")?,
            repo: row.try_get("repo")?,
        },
        // A delivery without a payload fails by itself; it does not keep others from being claimed.
        body: row.try_get::<Option<_>, _>("body")?.unwrap_or_default(),
        attempt: row.try_get("attempts")?,
    })
}

/// Records how the work on a delivery ended, and why.
pub(super) struct FinishDelivery {
    pub(super) id: i64,
    pub(super) attempt: u32,
    pub(super) outcome: DeliveryOutcome,
    pub(super) reasons: Vec<DecisionReason>,
    pub(super) now: Timestamp,
}

impl InboxWrite for FinishDelivery {
    type Done = ();

    fn apply_write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(record_finish(connection, self))
    }
}

async fn record_finish(
    connection: &mut SqliteConnection,
    end: &FinishDelivery,
) -> Result<(), sqlx::Error> {
    let now = end.now.as_millisecond();
    let (state, due, keep, error) = match &end.outcome {
        DeliveryOutcome::Done => ("done", None, Some(DONE_BODY_RETENTION), None),
        DeliveryOutcome::Retry { at, error } => {
            ("queued", Some(at.as_millisecond()), None, Some(error))
        }
        DeliveryOutcome::Failed(error) => {
            ("failed", None, Some(FAILED_BODY_RETENTION), Some(error))
        }
        DeliveryOutcome::Dead(error) => ("dead", None, Some(FAILED_BODY_RETENTION), Some(error)),
    };
    let lane: Option<String> = sqlx::query_scalar(
        "UPDATE deliveries SET state = $2, due_at = $3, finished_at = $4, body_until = $5, error = $6
         WHERE id = $1 RETURNING lane",
    )
    .bind(end.id)
    .bind(state)
    .bind(due)
    .bind(keep.map(|_| now))
    .bind(keep.map(|keep| (end.now + keep).as_millisecond()))
    .bind(error)
    .fetch_optional(&mut *connection)
    .await?;
    if let (Some(lane), Some(_)) = (lane, keep) {
        let next = "UPDATE deliveries SET due_at = $2
             WHERE id = (SELECT id FROM deliveries WHERE lane = $1 AND finished_at IS NULL ORDER BY id LIMIT 1)
               AND state = 'queued' AND due_at IS NULL";
        sqlx::query(next)
            .bind(lane)
            .bind(now)
            .execute(&mut *connection)
            .await?;
    }
    for reason in &end.reasons {
        sqlx::query(
            "INSERT INTO decisions (delivery, attempt, plugin, reason, made_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(end.id)
        .bind(end.attempt)
        .bind(reason.plugin)
        .bind(&reason.text)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Queues again what was being worked on when the last process ended, and makes the first waiting
/// delivery of each ordering key due. Returns how many were being worked on.
pub(super) async fn requeue_interrupted(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let cut_off = sqlx::query(
        "UPDATE deliveries SET state = 'queued', due_at = NULL
         WHERE finished_at IS NULL AND state = 'running'",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE deliveries SET due_at = $1 WHERE id IN (
             SELECT MIN(id) FROM deliveries WHERE finished_at IS NULL
             GROUP BY lane HAVING MAX(due_at) IS NULL)",
    )
    .bind(now.as_millisecond())
    .execute(connection)
    .await?;
    Ok(cut_off.rows_affected())
}
