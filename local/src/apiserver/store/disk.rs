//! All SQL of the embedded API: the objects, and the log of changes that watches replay after a restart.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use common::db::Db;
use sqlx::{QueryBuilder, Sqlite};

use super::super::object::{Key, Object};
use super::log::{Event, KEPT};
use super::state::State;
use super::txn::Changes;

const MIGRATIONS: &[(&str, &str)] = &[(
    "objects and log",
    "CREATE TABLE objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, object BLOB NOT NULL,
        PRIMARY KEY (resource, namespace, name));
     CREATE TABLE log (
        version INTEGER PRIMARY KEY,
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, old BLOB, new BLOB);",
)];

/// Rows in one statement: six parameters each, far below `SQLite`'s limit.
const ROWS: usize = 500;

pub(super) struct Disk {
    db: Db,
    /// Changes written since the log was last cut.
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

impl Disk {
    pub(super) async fn open(path: Option<&Path>) -> anyhow::Result<(Self, State)> {
        let db = common::db::open(path, MIGRATIONS).await?;
        let mut names = Names::default();
        let mut objects = HashMap::new();
        let rows: Vec<ObjectRow> =
            sqlx::query_as("SELECT resource, namespace, name, object FROM objects")
                .fetch_all(&*db)
                .await?;
        for (resource, namespace, name, text) in rows {
            let object = names.object(&resource, namespace, name, text)?;
            objects.insert(object.key.clone(), object);
        }
        let rows: Vec<LogRow> = sqlx::query_as(
            "SELECT version, resource, namespace, name, old, new FROM log ORDER BY version",
        )
        .fetch_all(&*db)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            events.push(names.event(row, &objects)?);
        }
        let state = State::load(objects.into_values(), events.into_iter());
        Ok((Self { db, since_cut: 0 }, state))
    }

    /// One transaction for all changes of a batch.
    pub(super) async fn commit(&mut self, changes: &Changes) -> sqlx::Result<()> {
        let mut transaction = self.db.begin().await?;
        for events in changes.events.chunks(ROWS) {
            insert_log(events)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        let written: Vec<&Arc<Object>> = changes.objects.values().flatten().collect();
        for objects in written.chunks(ROWS) {
            upsert(objects)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        let removed: Vec<&Key> = changes
            .objects
            .iter()
            .filter(|(_, object)| object.is_none())
            .map(|(key, _)| key)
            .collect();
        for keys in removed.chunks(ROWS) {
            delete(keys)
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
        self.since_cut += changes.events.len();
        if self.since_cut >= KEPT / 10 {
            self.since_cut = 0;
            sqlx::query("DELETE FROM log WHERE version <= (SELECT max(version) FROM log) - $1")
                .bind(KEPT as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    pub(super) async fn close(self) {
        self.db.close().await;
    }
}

fn insert_log(events: &[Event]) -> QueryBuilder<Sqlite> {
    let mut query =
        QueryBuilder::new("INSERT INTO log (version, resource, namespace, name, old, new) ");
    query.push_values(events, |mut row, event| {
        let text =
            |object: &Option<Arc<Object>>| object.as_ref().map(|object| object.text.to_vec());
        row.push_bind(event.version as i64)
            .push_bind(event.key.resource.to_string())
            .push_bind(event.key.namespace.clone())
            .push_bind(event.key.name.clone())
            .push_bind(text(&event.old))
            .push_bind(text(&event.new));
    });
    query
}

fn upsert(objects: &[&Arc<Object>]) -> QueryBuilder<Sqlite> {
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

fn delete(keys: &[&Key]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("DELETE FROM objects WHERE (resource, namespace, name) IN (");
    query.push_values(keys, |mut row, key| {
        row.push_bind(key.resource.to_string())
            .push_bind(key.namespace.clone())
            .push_bind(key.name.clone());
    });
    query.push(")");
    query
}

/// Reads rows; gives the many keys of one table one string, and equal versions of an object one text.
#[derive(Default)]
struct Names {
    resources: HashMap<String, Arc<str>>,
    last: HashMap<Key, Arc<Object>>,
}

impl Names {
    fn key(&mut self, resource: &str, namespace: String, name: String) -> Key {
        let resource = self
            .resources
            .entry(resource.to_owned())
            .or_insert_with(|| Arc::from(resource))
            .clone();
        Key {
            resource,
            namespace,
            name,
        }
    }

    fn object(
        &mut self,
        resource: &str,
        namespace: String,
        name: String,
        text: Vec<u8>,
    ) -> serde_json::Result<Arc<Object>> {
        let key = self.key(resource, namespace, name);
        Ok(Arc::new(Object::parse(key, Bytes::from(text))?))
    }

    fn event(
        &mut self,
        row: LogRow,
        objects: &HashMap<Key, Arc<Object>>,
    ) -> serde_json::Result<Event> {
        let (version, resource, namespace, name, old, new) = row;
        let key = self.key(&resource, namespace, name);
        let read = |text: Option<Vec<u8>>| -> serde_json::Result<Option<Arc<Object>>> {
            let Some(text) = text else { return Ok(None) };
            let known = [self.last.get(&key), objects.get(&key)];
            if let Some(same) = known
                .into_iter()
                .flatten()
                .find(|object| object.text == text)
            {
                return Ok(Some(same.clone()));
            }
            Ok(Some(Arc::new(Object::parse(
                key.clone(),
                Bytes::from(text),
            )?)))
        };
        let (old, new) = (read(old)?, read(new)?);
        match &new {
            Some(new) => self.last.insert(key.clone(), new.clone()),
            None => self.last.remove(&key),
        };
        Ok(Event {
            version: version as u64,
            key,
            old,
            new,
        })
    }
}
