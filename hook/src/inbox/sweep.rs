//! Removes what is no longer needed, in small steps: payloads first, then the rows of deliveries
//! that ended long ago.

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::writer::InboxWrite;

/// How long a delivery's row and the reasons of its decisions are kept.
const ROW_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// GitHub redelivers for three days: that long, hook must know that a delivery is done. One more
/// day allows for clock skew.
const MIN_ROW_RETENTION: SignedDuration = SignedDuration::from_hours(4 * 24);

/// Bytes in the database. Above this, what is kept only for people to read is removed at once. With
/// the mirrors' limit it fits the volume in `k8s/base`.
pub(super) const MAX_BYTES: i64 = 512 << 20;

/// Most deliveries that one step handles.
const MAX_ROWS: i64 = 64;

/// Most bytes of payloads that one step removes; a larger payload is removed alone.
const MAX_SWEPT_BYTES: i64 = 4 << 20;

/// One bounded step. Returns how many it removed; 0 means that nothing was left.
pub(super) struct SweepDeliveries {
    pub(super) now: Timestamp,
    pub(super) max_bytes: i64,
}

impl InboxWrite for SweepDeliveries {
    type Done = u64;
    const BRINGS_WORK: bool = false;

    fn apply_write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<u64, sqlx::Error>> {
        Box::pin(async move {
            let used = used_bytes(connection).await?;
            let limits = SweepCutoffs::compute_cutoffs(self.now, used > self.max_bytes);
            let gone = sweep_bodies(connection, limits.bodies_until).await?;
            match gone {
                0 => sweep_rows(connection, limits.finished_before).await,
                gone => Ok(gone),
            }
        })
    }
}

/// Times in milliseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct SweepCutoffs {
    bodies_until: i64,
    finished_before: i64,
}

impl SweepCutoffs {
    fn compute_cutoffs(now: Timestamp, too_large: bool) -> Self {
        let before = |keep: SignedDuration| (now - keep).as_millisecond();
        if too_large {
            Self {
                bodies_until: i64::MAX,
                finished_before: before(MIN_ROW_RETENTION),
            }
        } else {
            Self {
                bodies_until: now.as_millisecond(),
                finished_before: before(ROW_RETENTION),
            }
        }
    }
}

/// The bytes that the database holds. Its file may be larger: freed pages are used again.
async fn used_bytes(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
    )
    .fetch_one(connection)
    .await
}

async fn sweep_bodies(connection: &mut SqliteConnection, until: i64) -> Result<u64, sqlx::Error> {
    let found: Vec<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, (SELECT length(body) FROM bodies WHERE delivery = id) FROM deliveries
         WHERE body_until < $1 ORDER BY body_until LIMIT $2",
    )
    .bind(until)
    .bind(MAX_ROWS)
    .fetch_all(&mut *connection)
    .await?;
    let sizes = found.iter().map(|(_, bytes)| bytes.unwrap_or_default());
    let count = batch_length(sizes);
    for (id, _) in &found[..count] {
        for statement in [
            "DELETE FROM bodies WHERE delivery = $1",
            "UPDATE deliveries SET body_until = NULL WHERE id = $1",
        ] {
            sqlx::query(statement)
                .bind(id)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(count as u64)
}

/// How many of the first payloads one step removes.
fn batch_length(sizes: impl Iterator<Item = i64>) -> usize {
    let mut total = 0;
    let fit = sizes.take_while(|bytes| {
        let first = total == 0;
        total += bytes.max(&1);
        first || total <= MAX_SWEPT_BYTES
    });
    fit.count()
}

async fn sweep_rows(connection: &mut SqliteConnection, before: i64) -> Result<u64, sqlx::Error> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM deliveries WHERE finished_at < $1 ORDER BY finished_at LIMIT $2",
    )
    .bind(before)
    .bind(MAX_ROWS)
    .fetch_all(&mut *connection)
    .await?;
    for id in &ids {
        for statement in [
            "DELETE FROM decisions WHERE delivery = $1",
            "DELETE FROM bodies WHERE delivery = $1",
            "DELETE FROM deliveries WHERE id = $1",
        ] {
            sqlx::query(statement)
                .bind(id)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(ids.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_bounded_by_bytes_and_never_empty() {
        let mib = 1 << 20;
        for (sizes, expected) in [
            (vec![], 0),
            (vec![25 * mib], 1),
            (vec![25 * mib, 1], 1),
            (vec![1, 25 * mib], 1),
            (vec![mib, mib, mib, mib, 1], 4),
            (vec![0, 0, 0], 3),
        ] {
            assert_eq!(
                batch_length(sizes.clone().into_iter()),
                expected,
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn a_database_that_is_too_large_keeps_only_what_it_must() {
        let day = 24 * 3600 * 1000;
        let now = Timestamp::from_millisecond(100 * day).unwrap();
        let limits = SweepCutoffs::compute_cutoffs(now, false);
        assert_eq!(
            (limits.bodies_until, limits.finished_before),
            (100 * day, 70 * day)
        );
        let limits = SweepCutoffs::compute_cutoffs(now, true);
        assert_eq!(
            (limits.bodies_until, limits.finished_before),
            (i64::MAX, 96 * day)
        );
    }
}
