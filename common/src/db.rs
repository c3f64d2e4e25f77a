//! A `SQLite` file for each role, owned by one process.
//!
//! This module opens, locks and migrates the file. The tables and their SQL belong to the service.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use sqlx::{
    AssertSqlSafe, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::private_files;

/// An open database. Dropping the last clone releases the lock on its file.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    pool: SqlitePool,
    _lock: Option<Arc<Flock<File>>>,
}

impl Deref for SqliteDb {
    type Target = SqlitePool;

    fn deref(&self) -> &SqlitePool {
        &self.pool
    }
}

/// Opens the database at `path` (`None`: in memory, gone with the last clone) and applies the new
/// ones of the `migrations`: `(name, SQL)`, forward only, each once and in order.
///
/// A commit is on disk when it returns. A second process gets an error that names the first one.
/// Only this process's user may read the file and its side files.
pub async fn open_database(
    path: Option<&Path>,
    migrations: &[(&'static str, &'static str)],
) -> anyhow::Result<SqliteDb> {
    let db = match path {
        Some(path) => open_on_disk(path)
            .await
            .with_context(|| format!("opening database {}", path.display()))?,
        None => open_in_memory().await?,
    };
    apply_migrations(&db.pool, migrations).await?;
    Ok(db)
}

async fn open_on_disk(path: &Path) -> anyhow::Result<SqliteDb> {
    if let Some(folder) = path.parent() {
        private_files::create_private_dir(folder)?;
    }
    let lock = lock_database(path)?;
    restrict_access(path).context("taking others' rights away")?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        // After a burst of writes the write-ahead log is truncated to this size.
        .pragma("journal_size_limit", "16777216");
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    Ok(SqliteDb {
        pool,
        _lock: Some(Arc::new(lock)),
    })
}

async fn open_in_memory() -> anyhow::Result<SqliteDb> {
    // One connection that is never closed: each connection to ":memory:" opens its own database.
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    Ok(SqliteDb { pool, _lock: None })
}

/// Creates the file with mode 0600 unless it exists, and restricts it and its existing side files
/// to the owner. `SQLite` gives new side files the mode of the database.
fn restrict_access(path: &Path) -> io::Result<()> {
    private_files::open_private_file(path)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        private_files::restrict_file_mode(&path_with_suffix(path, suffix))?;
    }
    Ok(())
}

fn path_with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Locks `<path>.lock`, which contains the owner's process id.
fn lock_database(path: &Path) -> anyhow::Result<Flock<File>> {
    let name = path_with_suffix(path, ".lock");
    let file = private_files::open_private_file(&name)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            lock.rewind()?;
            write!(lock, "{}", std::process::id())?;
            Ok(lock)
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!(
                "it is in use by process {} (lock {})",
                holder.trim(),
                name.display()
            )
        }
    }
}

async fn apply_migrations(
    pool: &SqlitePool,
    migrations: &[(&'static str, &'static str)],
) -> anyhow::Result<()> {
    sqlx::query("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
        .execute(pool)
        .await?;
    for (name, sql) in migrations {
        let mut transaction = pool.begin().await?;
        let fresh = sqlx::query("INSERT INTO migrations (name) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(name)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if fresh == 1 {
            sqlx::raw_sql(AssertSqlSafe(*sql))
                .execute(&mut *transaction)
                .await
                .with_context(|| format!("migration {name}"))?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use super::*;

    const MIGRATIONS: &[(&str, &str)] = &[(
        "0001_t",
        "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);",
    )];

    async fn rows(db: &SqliteDb) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(&**db)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_migration_is_applied_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.db");
        for _ in 0..2 {
            let db = open_database(Some(&path), MIGRATIONS).await.unwrap();
            assert_eq!(rows(&db).await, 1);
            db.close().await;
        }
    }

    #[tokio::test]
    async fn a_second_owner_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.db");
        let first = open_database(Some(&path), &[]).await.unwrap();
        let refusal = format!("{:#}", open_database(Some(&path), &[]).await.unwrap_err());
        assert!(
            refusal.contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
        drop(first);
        open_database(Some(&path), &[]).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/hook.db");
        let rights = || -> Vec<(PathBuf, u32)> {
            let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
            let files = files.map(|file| file.unwrap());
            files
                .map(|file| (file.path(), file.metadata().unwrap().mode() & 0o777))
                .collect()
        };
        let open_to_all = |path: &Path| {
            std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        };
        for time in 0..2 {
            let db = open_database(Some(&path), MIGRATIONS).await.unwrap();
            assert_eq!(rows(&db).await, 1);
            let found = rights();
            assert_eq!(found.len(), 4, "{found:?}");
            assert!(
                found.iter().all(|(_, mode)| *mode == 0o600),
                "{time}: {found:?}"
            );
            // The modes that a killed process of an older version leaves.
            for (file, _) in found {
                open_to_all(&file);
            }
        }
        let folder = std::fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(folder.mode() & 0o777, 0o700);
    }

    #[tokio::test]
    async fn in_memory_keeps_its_tables() {
        let db = open_database(None, MIGRATIONS).await.unwrap();
        assert_eq!(rows(&db.clone()).await, 1);
    }
}
