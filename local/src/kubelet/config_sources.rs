//! Secrets and config maps that pods refer to: fetches them, and waits while they do not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::kube::watch_objects;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;

use super::env::{ConfigObjectRef, SourceValues};

/// How long to wait for a change before checking anyway.
const RESYNC_INTERVAL: Duration = Duration::from_secs(5);

/// Increases `changes` whenever a Secret or a config map may have been created or changed. Ends
/// only when dropped.
pub(crate) async fn watch_changes(client: Client, changes: watch::Sender<u64>) {
    let (secrets, maps) = (
        Api::<Secret>::all(client.clone()),
        Api::<ConfigMap>::all(client),
    );
    let all = watcher::Config::default;
    let secrets = watch_objects(secrets, all(), "secrets").map(|event| is_change(&event));
    let maps = watch_objects(maps, all(), "config maps").map(|event| is_change(&event));
    let mut events = futures::stream::select(secrets.boxed(), maps.boxed());
    while let Some(changed) = events.next().await {
        if changed {
            changes.send_modify(|count| *count += 1);
        }
    }
}

fn is_change<K>(event: &watcher::Event<K>) -> bool {
    matches!(event, watcher::Event::Apply(_) | watcher::Event::InitDone)
}

/// Fetches `sources` until `resolve` succeeds, and returns its result. Until then calls `waiting`
/// with what is missing. Never gives up: the caller drops it.
pub(crate) async fn await_resolved<T>(
    client: &Client,
    namespace: &str,
    sources: &BTreeSet<ConfigObjectRef>,
    mut changes: watch::Receiver<u64>,
    resolve: impl Fn(&SourceValues) -> Result<T, String>,
    waiting: impl Fn(String),
) -> T {
    loop {
        // Marked as seen before fetching, so that a change during the fetch is not missed.
        changes.borrow_and_update();
        let found = fetch_sources(client, namespace, sources)
            .await
            .map_err(|error| error.to_string());
        match found.and_then(|found| resolve(&found)) {
            Ok(value) => return value,
            Err(missing) => waiting(missing),
        }
        // When the channel is closed, only the timeout ends the wait.
        let _ = tokio::time::timeout(RESYNC_INTERVAL, async {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await;
    }
}

async fn fetch_sources(
    client: &Client,
    namespace: &str,
    sources: &BTreeSet<ConfigObjectRef>,
) -> kube::Result<SourceValues> {
    let mut found = SourceValues::new();
    for source in sources {
        let values = match source {
            ConfigObjectRef::Secret(name) => {
                let secret = Api::<Secret>::namespaced(client.clone(), namespace)
                    .get_opt(name)
                    .await?;
                secret.map(secret_values)
            }
            ConfigObjectRef::ConfigMap(name) => {
                let map = Api::<ConfigMap>::namespaced(client.clone(), namespace)
                    .get_opt(name)
                    .await?;
                map.map(config_map_values)
            }
        };
        if let Some(values) = values {
            found.insert(source.clone(), values);
        }
    }
    Ok(found)
}

/// The API server merges `stringData`. It is read here for a server that does not.
fn secret_values(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, value.0));
    let text = secret
        .string_data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes()));
    data.chain(text).collect()
}

fn config_map_values(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let data = map
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes()));
    data.chain(
        map.binary_data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.0)),
    )
    .collect()
}
