//! Where the files of a volume come from: Secrets and `ConfigMap`s, of which it holds all keys or
//! the chosen ones.

use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use crate::kubelet::env::Source;

/// One Secret or `ConfigMap` of a volume.
#[derive(Debug)]
pub(crate) struct VolumePart<'a> {
    pub(crate) source: Source,
    /// The keys it gives; all of them if empty.
    pub(crate) items: &'a [KeyToPath],
    /// Whether the volume can be without it.
    pub(crate) optional: bool,
}

impl<'a> VolumePart<'a> {
    fn new(source: Source, items: Option<&'a Vec<KeyToPath>>, optional: Option<bool>) -> Self {
        Self {
            source,
            items: items.map_or(&[], Vec::as_slice),
            optional: optional == Some(true),
        }
    }
}

/// The parts of a volume, in order; of a projected one the Secrets and `ConfigMap`s.
pub(crate) fn parts(volume: &Volume) -> Vec<VolumePart<'_>> {
    let secret = volume.secret.iter().map(|secret| {
        let source = Source::Secret(secret.secret_name.clone().unwrap_or_default());
        VolumePart::new(source, secret.items.as_ref(), secret.optional)
    });
    let map = volume.config_map.iter().map(|map| {
        let source = Source::ConfigMap(map.name.clone());
        VolumePart::new(source, map.items.as_ref(), map.optional)
    });
    let sources = volume.projected.iter().flat_map(|all| &all.sources);
    let projected = sources.flatten().flat_map(|of| {
        let secret = of.secret.iter().map(|secret| {
            let source = Source::Secret(secret.name.clone());
            VolumePart::new(source, secret.items.as_ref(), secret.optional)
        });
        let map = of.config_map.iter().map(|map| {
            let source = Source::ConfigMap(map.name.clone());
            VolumePart::new(source, map.items.as_ref(), map.optional)
        });
        secret.chain(map)
    });
    secret.chain(map).chain(projected).collect()
}

/// The mode of the files whose item names none, if the volume says one.
pub(crate) fn default_mode(volume: &Volume) -> Option<i32> {
    let secret = volume.secret.as_ref().and_then(|it| it.default_mode);
    let map = || volume.config_map.as_ref().and_then(|it| it.default_mode);
    let projected = || volume.projected.as_ref().and_then(|it| it.default_mode);
    secret.or_else(map).or_else(projected)
}
