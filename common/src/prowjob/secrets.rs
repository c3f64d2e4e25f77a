//! Which Secrets reach the containers of a pod. A container can print what it can read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    KeyToPath, SecretEnvSource, SecretKeySelector, SecretProjection, SecretVolumeSource,
};
use serde::Deserialize;
use serde_json::Value;

use super::{ProwJobSpec, RawPodSpec};

/// Which keys of a Secret a pod is given, and whether the pod starts without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenSecret {
    /// All keys.
    Whole { optional: bool },
    /// These keys; `true` if the pod starts without the key.
    Keys(BTreeMap<String, bool>),
}

impl GivenSecret {
    /// Both together: a key is required if either of the two requires it.
    fn merge_with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                for (key, optional) in more {
                    let known = keys.entry(key).or_insert(true);
                    *known &= optional;
                }
                Self::Keys(keys)
            }
            (one, other) => Self::Whole {
                optional: one.is_optional() && other.is_optional(),
            },
        }
    }

    /// Whether the pod starts without the Secret.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        match self {
            Self::Whole { optional } => *optional,
            Self::Keys(keys) => keys.values().all(|optional| *optional),
        }
    }
}

/// The Secrets that reach any container of `spec` by volume, projected volume, `env` or
/// `envFrom`, by name. A volume that no container mounts reaches none.
///
/// An error if a field that could name a Secret does not have Kubernetes' form.
pub fn list_secrets(spec: &RawPodSpec) -> Result<BTreeMap<String, GivenSecret>, serde_json::Error> {
    Ok(PartialPodSpec::parse_spec(spec)?.collect_secrets())
}

/// Whether the job's spec gives a Secret to one of its own containers. It counts as given where
/// that cannot be known, for example for a pipeline that another program runs.
#[must_use]
pub fn gives_secret(spec: &ProwJobSpec) -> bool {
    /// Decoration's volumes that hold no Secret.
    const HARMLESS: [&str; 4] = ["logs", "tools", "code", "clonerefs-tmp"];
    let Some(Ok(spec)) = spec.pod_spec.as_ref().map(PartialPodSpec::parse_spec) else {
        return true;
    };
    let is_known = |name: &str| {
        let mut volumes = spec.volumes.iter().flatten();
        HARMLESS.contains(&name) || volumes.any(|volume| volume.name == name)
    };
    let mut mounts = spec
        .all_containers()
        .flat_map(PartialContainer::mounted_volumes);
    // A job may mount the volumes that decoration adds, and most of those are Secrets.
    mounts.any(|mount| !is_known(mount)) || !spec.collect_secrets().is_empty()
}

/// The fields of a pod spec that can name a Secret. The API server checks all other fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialPodSpec {
    init_containers: Option<Vec<PartialContainer>>,
    containers: Option<Vec<PartialContainer>>,
    volumes: Option<Vec<PartialVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialContainer {
    volume_mounts: Option<Vec<PartialVolumeMount>>,
    env: Option<Vec<PartialEnvVar>>,
    env_from: Option<Vec<PartialEnvFromSource>>,
}

#[derive(Deserialize)]
struct PartialVolumeMount {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialEnvVar {
    value_from: Option<PartialEnvVarSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialEnvVarSource {
    secret_key_ref: Option<SecretKeySelector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialEnvFromSource {
    secret_ref: Option<SecretEnvSource>,
}

#[derive(Deserialize)]
struct PartialVolume {
    name: String,
    secret: Option<SecretVolumeSource>,
    projected: Option<PartialProjectedVolume>,
}

#[derive(Deserialize)]
struct PartialProjectedVolume {
    sources: Option<Vec<PartialVolumeProjection>>,
}

#[derive(Deserialize)]
struct PartialVolumeProjection {
    secret: Option<SecretProjection>,
}

impl PartialPodSpec {
    fn parse_spec(spec: &RawPodSpec) -> Result<Self, serde_json::Error> {
        Self::deserialize(&Value::Object(spec.0.clone()))
    }

    fn all_containers(&self) -> impl Iterator<Item = &PartialContainer> {
        let init = self.init_containers.iter().flatten();
        init.chain(self.containers.iter().flatten())
    }

    fn collect_secrets(&self) -> GivenSecrets {
        let mut all = GivenSecrets::new();
        for container in self.all_containers() {
            for mount in container.mounted_volumes() {
                let volumes = self.volumes.iter().flatten();
                let mounted = volumes.filter(|volume| volume.name == mount);
                mounted.for_each(|volume| add_volume(&mut all, volume));
            }
            add_environment(&mut all, container);
        }
        all
    }
}

impl PartialContainer {
    /// The names of the volumes that the container mounts.
    fn mounted_volumes(&self) -> impl Iterator<Item = &str> {
        let mounts = self.volume_mounts.iter().flatten();
        mounts.map(|mount| mount.name.as_str())
    }
}

type GivenSecrets = BTreeMap<String, GivenSecret>;

fn add_secret(all: &mut GivenSecrets, name: &str, given: GivenSecret) {
    let given = match all.remove(name) {
        Some(known) => known.merge_with(given),
        None => given,
    };
    all.insert(name.to_owned(), given);
}

fn add_volume(all: &mut GivenSecrets, volume: &PartialVolume) {
    if let Some(secret) = &volume.secret
        && let Some(name) = &secret.secret_name
    {
        let given = secret_from_items(secret.items.as_deref(), secret.optional);
        add_secret(all, name, given);
    }
    let projected = volume.projected.iter();
    for source in projected.flat_map(|projected| projected.sources.iter().flatten()) {
        if let Some(secret) = &source.secret {
            let given = secret_from_items(secret.items.as_deref(), secret.optional);
            add_secret(all, &secret.name, given);
        }
    }
}

fn secret_from_items(items: Option<&[KeyToPath]>, optional: Option<bool>) -> GivenSecret {
    let optional = optional.unwrap_or(false);
    match items {
        None | Some([]) => GivenSecret::Whole { optional },
        Some(items) => {
            let keys = items.iter().map(|item| (item.key.clone(), optional));
            GivenSecret::Keys(keys.collect())
        }
    }
}

fn add_environment(all: &mut GivenSecrets, container: &PartialContainer) {
    for variable in container.env.iter().flatten() {
        let source = variable.value_from.as_ref();
        if let Some(key) = source.and_then(|source| source.secret_key_ref.as_ref()) {
            let keys = BTreeMap::from([(key.key.clone(), key.optional.unwrap_or(false))]);
            add_secret(all, &key.name, GivenSecret::Keys(keys));
        }
    }
    for source in container.env_from.iter().flatten() {
        if let Some(secret) = &source.secret_ref {
            let optional = secret.optional.unwrap_or(false);
            add_secret(all, &secret.name, GivenSecret::Whole { optional });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn given(spec: Value) -> Vec<(String, GivenSecret)> {
        let spec = serde_json::from_value(spec).unwrap();
        list_secrets(&spec).unwrap().into_iter().collect()
    }

    fn whole(optional: bool) -> GivenSecret {
        GivenSecret::Whole { optional }
    }

    fn keys(keys: &[(&str, bool)]) -> GivenSecret {
        let keys = keys
            .iter()
            .map(|(key, optional)| ((*key).to_owned(), *optional));
        GivenSecret::Keys(keys.collect())
    }

    #[test]
    fn every_way_into_a_container_counts() {
        let spec = json!({
            "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "init"}}]}],
            "containers": [
                {"name": "a", "resources": {"limits": {"cpu": 1}}, "env": [
                    {"name": "A", "value": "plain"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env", "key": "b"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "c"}}},
                ]},
                {"name": "b", "volumeMounts": [
                    {"name": "plain", "mountPath": "/p"}, {"name": "some", "mountPath": "/s"},
                    {"name": "mix", "mountPath": "/m"}, {"name": "elsewhere", "mountPath": "/e"},
                ]},
            ],
            "volumes": [
                {"name": "plain", "secret": {"secretName": "volume", "optional": true}},
                {"name": "some", "secret": {"secretName": "items", "items": [{"key": "k", "path": "p"}]}},
                {"name": "mix", "projected": {"sources": [
                    {"secret": {"name": "projected"}}, {"configMap": {"name": "map"}},
                ]}},
                {"name": "unused", "secret": {"secretName": "unused"}},
            ],
        });
        let expected = [
            ("env", keys(&[("b", false)])),
            ("init", whole(false)),
            ("items", keys(&[("k", false)])),
            ("projected", whole(false)),
            ("volume", whole(true)),
        ];
        let expected = expected.map(|(name, given)| (name.to_owned(), given));
        assert_eq!(given(spec), expected);
    }

    #[test]
    fn what_one_of_several_needs_is_needed() {
        for (one, other, both) in [
            (whole(true), whole(false), whole(false)),
            (whole(true), whole(true), whole(true)),
            (whole(true), keys(&[("a", true)]), whole(true)),
            (keys(&[("a", false)]), whole(true), whole(false)),
            (
                keys(&[("a", true), ("b", true)]),
                keys(&[("a", false), ("c", true)]),
                keys(&[("a", false), ("b", true), ("c", true)]),
            ),
        ] {
            assert_eq!(
                one.clone().merge_with(other.clone()),
                both,
                "{one:?} {other:?}"
            );
            assert_eq!(
                other.clone().merge_with(one.clone()),
                both,
                "{other:?} {one:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_known_counts_as_given() {
        let container = |more: Value| {
            let mut container = json!({"name": "a"});
            let fields = more.as_object().unwrap().clone();
            container.as_object_mut().unwrap().extend(fields);
            json!({"containers": [container]})
        };
        let mounts =
            |name: &str| container(json!({"volumeMounts": [{"name": name, "mountPath": "/x"}]}));
        let secret = json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]});
        for (pod_spec, expected) in [
            (None, true),
            (Some(json!({"containers": "none"})), true),
            (Some(container(json!({}))), false),
            (Some(container(secret)), true),
            (Some(mounts("logs")), false),
            (Some(mounts("gcs-credentials")), true),
        ] {
            let mut spec = json!({"type": "periodic", "job": "j"});
            if let Some(pod_spec) = &pod_spec {
                spec["pod_spec"] = pod_spec.clone();
            }
            let spec: ProwJobSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(gives_secret(&spec), expected, "{pod_spec:?}");
        }
    }
}
