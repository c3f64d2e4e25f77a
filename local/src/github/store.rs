//! What the stand-in stores: one `SQLite` file. All its SQL is here.
//!
//! Git objects and refs are not here, but in the bare repositories.

mod accounts;
mod apps;
mod checks;
mod comments;
mod deliveries;
mod pulls;
mod repos;
mod statuses;

use std::path::Path;

use common::db::{self, SqliteDb};
use jiff::{Timestamp, Unit};

pub(crate) use accounts::{AccountKind, StoredAccount};
pub(crate) use apps::{StoredApp, StoredInstallation, TokenGrant};
pub(crate) use checks::{CheckRunFields, StoredCheckRun};
pub(crate) use comments::{StoredComment, StoredLabel};
pub(crate) use deliveries::{DeliveryResponse, OutgoingDelivery, StoredDelivery};
pub(crate) use pulls::{NewPull, PullState, PullStats, StoredPull};
pub(crate) use repos::StoredRepo;
pub(crate) use statuses::{NewStatus, StoredStatus};

const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_first", include_str!("store/0001_first.sql")),
    (
        "0002_annotations",
        include_str!("store/0002_annotations.sql"),
    ),
];

pub(crate) struct GithubStore {
    db: SqliteDb,
}

impl GithubStore {
    /// Opens `github.db` in `data`, or a database in memory.
    pub(crate) async fn open(data: Option<&Path>) -> anyhow::Result<GithubStore> {
        let path = data.map(|dir| dir.join("github.db"));
        Ok(GithubStore {
            db: db::open_database(path.as_deref(), MIGRATIONS).await?,
        })
    }
}

/// The current time in GitHub's format: UTC, whole seconds.
pub(crate) fn current_timestamp() -> String {
    Timestamp::now()
        .round(Unit::Second)
        .expect("a second is a valid rounding")
        .to_string()
}
