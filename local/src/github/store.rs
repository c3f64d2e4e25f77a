//! What the stand-in remembers: one `SQLite` file, and all SQL that touches it.
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

use std::path::Path;

use common::db::{self, Db};
use jiff::{Timestamp, Unit};

pub(crate) use accounts::{Account, Kind};
pub(crate) use apps::{App, Grant, Installation};
pub(crate) use checks::{CheckRun, NewCheckRun};
pub(crate) use comments::{Comment, Label};
pub(crate) use deliveries::{Answered, DeliveryRow, NewDelivery};
pub(crate) use pulls::{NewPull, Pull, PullState, Sizes};
pub(crate) use repos::Repo;
pub(crate) use statuses::{NewStatus, Status};

const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_first", include_str!("store/0001_first.sql")),
    (
        "0002_annotations",
        include_str!("store/0002_annotations.sql"),
    ),
];

pub(crate) struct Store {
    db: Db,
}

impl Store {
    /// Opens `github.db` in `data`, or a database in memory.
    pub(crate) async fn open(data: Option<&Path>) -> anyhow::Result<Store> {
        let path = data.map(|dir| dir.join("github.db"));
        Ok(Store {
            db: db::open(path.as_deref(), MIGRATIONS).await?,
        })
    }
}

/// Now, as GitHub writes it: UTC, whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now()
        .round(Unit::Second)
        .expect("a second is a valid rounding")
        .to_string()
}
