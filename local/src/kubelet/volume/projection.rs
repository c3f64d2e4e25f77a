//! The sources of a volume's files: Secrets and `ConfigMap`s, with all of their keys or the chosen
//! ones.

use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use crate::kubelet::env::ConfigObjectRef;

/// One Secret or `ConfigMap` whose keys are files of a volume.
#[derive(Debug)]
pub(crate) struct KeyProjection<'a> {
    pub(crate) source: ConfigObjectRef,
    /// The keys that become files; all if empty.
    pub(crate) items: &'a [KeyToPath],
    /// Whether the source may be missing.
    pub(crate) optional: bool,
}

impl<'a> KeyProjection<'a> {
    fn new(
        source: ConfigObjectRef,
        items: Option<&'a Vec<KeyToPath>>,
        optional: Option<bool>,
    ) -> Self {
        Self {
            source,
            items: items.map_or(&[], Vec::as_slice),
            optional: optional == Some(true),
        }
    }
}

/// The projections of a volume, in order: its only Secret or `ConfigMap`, or those that a projected
/// volume lists.
pub(crate) fn list_projections(volume: &Volume) -> Vec<KeyProjection<'_>> {
    let secret = |name: &str, items, optional| {
        KeyProjection::new(ConfigObjectRef::Secret(name.to_owned()), items, optional)
    };
    let config_map = |name: &str, items, optional| {
        KeyProjection::new(ConfigObjectRef::ConfigMap(name.to_owned()), items, optional)
    };
    let mut all = Vec::new();
    if let Some(it) = &volume.secret {
        let name = it.secret_name.as_deref().unwrap_or_default();
        all.push(secret(name, it.items.as_ref(), it.optional));
    }
    if let Some(it) = &volume.config_map {
        all.push(config_map(&it.name, it.items.as_ref(), it.optional));
    }
    let projected = volume.projected.iter().flat_map(|it| &it.sources);
    for listed in projected.flatten() {
        if let Some(it) = &listed.secret {
            all.push(secret(&it.name, it.items.as_ref(), it.optional));
        }
        if let Some(it) = &listed.config_map {
            all.push(config_map(&it.name, it.items.as_ref(), it.optional));
        }
    }
    all
}

/// The volume's mode for files whose item has none.
pub(crate) fn default_mode(volume: &Volume) -> Option<i32> {
    let secret = volume.secret.as_ref().and_then(|it| it.default_mode);
    let config_map = || volume.config_map.as_ref().and_then(|it| it.default_mode);
    let projected = || volume.projected.as_ref().and_then(|it| it.default_mode);
    secret.or_else(config_map).or_else(projected)
}
