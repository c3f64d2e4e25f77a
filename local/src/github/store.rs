//! What the stand-in remembers: one SQLite file, and all SQL that touches it.
//!
//! Git objects and refs are not here: they live in the bare repositories.

mod accounts;
mod apps;
mod checks;
mod comments;
mod deliveries;
mod pulls;
mod repos;
mod statuses;

use std::{fs::File, path::Path};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, Unit};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

pub(crate) use accounts::{Account, Kind};
pub(crate) use apps::{App, Grant, Installation};
pub(crate) use checks::{CheckRun, NewCheckRun};
pub(crate) use comments::{Comment, Label};
pub(crate) use deliveries::{Answered, DeliveryRow, NewDelivery};
pub(crate) use pulls::{NewPull, Pull, PullState, Sizes};
pub(crate) use repos::Repo;
pub(crate) use statuses::{NewStatus, Status};

/// Forward only: a script is never changed once published, the next one is appended.
const MIGRATIONS: &[&str] = &[include_str!("store/0001_first.sql")];

pub(crate) struct Store {
    pool: SqlitePool,
    /// Held for as long as the store lives, so that a second process is refused.
    _lock: Option<File>,
}

impl Store {
    /// Opens `github.db` in `data`, or a database in memory.
    pub(crate) async fn open(data: Option<&Path>) -> anyhow::Result<Store> {
        let (options, lock) = match data {
            None => (SqliteConnectOptions::new().in_memory(true), None),
            Some(dir) => {
                let options = SqliteConnectOptions::new()
                    .filename(dir.join("github.db"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal);
                (options, Some(take_lock(&dir.join("github.lock"))?))
            }
        };
        // One connection: an in-memory database lives in it, and one writer needs no more.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.foreign_keys(true))
            .await
            .context("opening github.db")?;
        migrate(&pool).await.context("migrating github.db")?;
        Ok(Store { pool, _lock: lock })
    }
}

async fn migrate(pool: &SqlitePool) -> sqlx::Result<()> {
    let (done,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(pool).await?;
    for (index, script) in MIGRATIONS.iter().enumerate().skip(usize::try_from(done).unwrap_or(0)) {
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql(*script).execute(&mut *transaction).await?;
        let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", index + 1));
        sqlx::raw_sql(version).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn take_lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    if file.try_lock().is_err() {
        let holder = std::fs::read_to_string(path).unwrap_or_default();
        bail!("{} is in use by process {}", path.display(), holder.trim());
    }
    std::fs::write(path, std::process::id().to_string())?;
    Ok(file)
}

/// Now, as GitHub writes it: UTC, whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().round(Unit::Second).expect("a second is a valid rounding").to_string()
}
