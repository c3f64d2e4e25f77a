//! The id of an installation: random, created once, stored in the namespace of the `ProwJob`s.
//!
//! GitHub gives one delivery id to every webhook that gets an event, so two installations would
//! otherwise give their jobs the same names.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use uuid::Uuid;

/// The `ConfigMap` that holds the id.
const NAME: &str = "prow-installation";
const KEY: &str = "id";

/// The installation's id. Without one, `fresh` is stored; in a dry run it is only returned.
pub async fn ensure_installation_id(
    client: Client,
    namespace: &str,
    fresh: Uuid,
    dry_run: bool,
) -> anyhow::Result<Uuid> {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    if let Some(there) = api.get_opt(NAME).await? {
        return parse_installation_id(&there);
    }
    if dry_run {
        return Ok(fresh);
    }
    let new = ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            ..ObjectMeta::default()
        },
        data: Some([(KEY.to_owned(), fresh.to_string())].into()),
        ..ConfigMap::default()
    };
    match api.create(&PostParams::default(), &new).await {
        Ok(made) => parse_installation_id(&made),
        // Another process was first.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            parse_installation_id(&api.get(NAME).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse_installation_id(config_map: &ConfigMap) -> anyhow::Result<Uuid> {
    config_map
        .data
        .as_ref()
        .and_then(|data| data.get(KEY))
        .and_then(|id| id.parse().ok())
        .with_context(|| format!("the ConfigMap {NAME} has no UUID under {KEY}"))
}
