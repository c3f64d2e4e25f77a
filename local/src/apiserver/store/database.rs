//! All SQL of the embedded API: the objects, and the change log, which watches replay after a
//! restart.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use common::db::SqliteDb;
use sqlx::{QueryBuilder, Sqlite};

use super::super::object::{ApiObject, ObjectKey};
use super::change_log::{MAX_CHANGES, ObjectChange};
use super::state::CommittedState;
use super::txn::BatchChanges;

const MIGRATIONS: &[(&str, &str)] = &[(
    "objects and log",
    "CREATE TABLE objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, object BLOB NOT NULL,
        PRIMARY KEY (resource, namespace, name));
     CREATE TABLE log (
        version INTEGER PRIMARY KEY,
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, old BLOB, new BLOB);",
)];

/// Rows in one statement. Each has six parameters, so this is far below `SQLite`'s limit.
const ROWS_PER_STATEMENT: usize = 500;

pub(super) struct StoreDatabase {
    db: SqliteDb,
    /// Changes written since old ones were last deleted from the log.
    since_cut: usize,
}

type ObjectRow = (String, String, String, Vec<u8>);
type LogRow = (
    i64,
    String,
    String,
    String,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

impl StoreDatabase {
    pub(super) async fn open_database(
        path: Option<&Path>,
    ) -> anyhow::Result<(Self, CommittedState)> {
        let db = common::db::open_database(path, MIGRATIONS).await?;
        let mut names = RowReader::default();
        let mut objects = HashMap::new();
        let rows: Vec<ObjectRow> =
            sqlx::query_as("SELECT resource, namespace, name, object FROM objects")
                .fetch_all(&*db)
                .await?;
        for (resource, namespace, name, text) in rows {
            let object = names.read_object(&resource, namespace, name, text)?;
            objects.insert(object.key.clone(), object);
        }
        let rows: Vec<LogRow> = sqlx::query_as(
            "SELECT version, resource, namespace, name, old, new FROM log ORDER BY version",
        )
        .fetch_all(&*db)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            events.push(names.read_change(row, &objects)?);
        }
        let state = CommittedState::load_state(objects.into_values(), events.into_iter());
        Ok((Self { db, since_cut: 0 }, state))
    }

    /// Writes all changes of a batch in one transaction.
    pub(super) async fn commit_changes(&mut self, changes: &BatchChanges) -> sqlx::Result<()> {
        let mut transaction = self.db.begin().await?;
        for events in changes.events.chunks(ROWS_PER_STATEMENT) {
            insert_log(events)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        let written: Vec<&Arc<ApiObject>> = changes.objects.values().flatten().collect();
        for objects in written.chunks(ROWS_PER_STATEMENT) {
            upsert_objects(objects)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        let removed: Vec<&ObjectKey> = changes
            .objects
            .iter()
            .filter(|(_, object)| object.is_none())
            .map(|(key, _)| key)
            .collect();
        for keys in removed.chunks(ROWS_PER_STATEMENT) {
            delete_objects(keys)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        self.since_cut += changes.events.len();
        if self.since_cut >= MAX_CHANGES / 10 {
            self.since_cut = 0;
            sqlx::query("DELETE FROM log WHERE version <= (SELECT max(version) FROM log) - $1")
                .bind(MAX_CHANGES as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    pub(super) async fn close_database(self) {
        self.db.close().await;
    }
}

fn insert_log(events: &[ObjectChange]) -> QueryBuilder<Sqlite> {
    let mut query =
        QueryBuilder::new("INSERT INTO log (version, resource, namespace, name, old, new) ");
    query.push_values(events, |mut row, event| {
        let text =
            |object: &Option<Arc<ApiObject>>| object.as_ref().map(|object| object.text.to_vec());
        row.push_bind(event.version as i64)
            .push_bind(event.key.resource.to_string())
            .push_bind(event.key.namespace.clone())
            .push_bind(event.key.name.clone())
            .push_bind(text(&event.old))
            .push_bind(text(&event.new));
    });
    query
}

fn upsert_objects(objects: &[&Arc<ApiObject>]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("INSERT INTO objects (resource, namespace, name, object) ");
    query.push_values(objects, |mut row, object| {
        row.push_bind(object.key.resource.to_string())
            .push_bind(object.key.namespace.clone())
            .push_bind(object.key.name.clone())
            .push_bind(object.text.to_vec());
    });
    query.push(" ON CONFLICT (resource, namespace, name) DO UPDATE SET object = excluded.object");
    query
}

fn delete_objects(keys: &[&ObjectKey]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("DELETE FROM objects WHERE (resource, namespace, name) IN (");
    query.push_values(keys, |mut row, key| {
        row.push_bind(key.resource.to_string())
            .push_bind(key.namespace.clone())
            .push_bind(key.name.clone());
    });
    query.push(")");
    query
}

/// Reads rows. Keys of one table share one string, and equal versions of an object one text.
#[derive(Default)]
struct RowReader {
    resources: HashMap<String, Arc<str>>,
    last: HashMap<ObjectKey, Arc<ApiObject>>,
}

impl RowReader {
    fn intern_key(&mut self, resource: &str, namespace: String, name: String) -> ObjectKey {
        let resource = self
            .resources
            .entry(resource.to_owned())
            .or_insert_with(|| Arc::from(resource))
            .clone();
        ObjectKey {
            resource,
            namespace,
            name,
        }
    }

    fn read_object(
        &mut self,
        resource: &str,
        namespace: String,
        name: String,
        text: Vec<u8>,
    ) -> serde_json::Result<Arc<ApiObject>> {
        let key = self.intern_key(resource, namespace, name);
        Ok(Arc::new(ApiObject::parse_json(key, Bytes::from(text))?))
    }

    fn read_change(
        &mut self,
        row: LogRow,
        objects: &HashMap<ObjectKey, Arc<ApiObject>>,
    ) -> serde_json::Result<ObjectChange> {
        let (version, resource, namespace, name, old, new) = row;
        let key = self.intern_key(&resource, namespace, name);
        let read = |text: Option<Vec<u8>>| -> serde_json::Result<Option<Arc<ApiObject>>> {
            let Some(text) = text else { return Ok(None) };
            let known = [self.last.get(&key), objects.get(&key)];
            if let Some(same) = known
                .into_iter()
                .flatten()
                .find(|object| object.text == text)
            {
                return Ok(Some(same.clone()));
            }
            Ok(Some(Arc::new(ApiObject::parse_json(
                key.clone(),
                Bytes::from(text),
            )?)))
        };
        let (old, new) = (read(old)?, read(new)?);
        match &new {
            Some(new) => self.last.insert(key.clone(), new.clone()),
            None => self.last.remove(&key),
        };
        Ok(ObjectChange {
            version: version as u64,
            key,
            old,
            new,
        })
    }
}
