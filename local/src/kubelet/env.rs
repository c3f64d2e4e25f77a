//! The environment of a container: its variables, where they come from, and `$(VAR)` in what refers to them.
//!
//! Pure: Secrets and config maps are fetched before, see [`Found`]. Facts:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables>.

use std::collections::{BTreeMap, BTreeSet};

use common::expansion;
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

/// An object of the pod's namespace that a container or a volume takes values from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Secret(String),
    ConfigMap(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret {name:?}"),
            Self::ConfigMap(name) => write!(f, "configmap {name:?}"),
        }
    }
}

/// The values of the sources that exist.
pub(crate) type Found = BTreeMap<Source, BTreeMap<String, Vec<u8>>>;

/// One value of `source`: `Ok(None)` if it may be absent and is, else what is missing.
pub(crate) fn value<'a>(
    found: &'a Found,
    source: &Source,
    key: &str,
    optional: bool,
) -> Result<Option<&'a Vec<u8>>, String> {
    match found.get(source).map(|values| values.get(key)) {
        Some(Some(value)) => Ok(Some(value)),
        _ if optional => Ok(None),
        Some(None) => Err(format!("{source} has no key {key:?}")),
        None => Err(format!("{source} not found")),
    }
}

/// What must be fetched before [`resolve`] can answer.
pub(crate) fn sources(container: &Container) -> BTreeSet<Source> {
    let single = container.env.iter().flatten().filter_map(|variable| {
        let from = variable.value_from.as_ref()?;
        let secret = from
            .secret_key_ref
            .as_ref()
            .map(|key| Source::Secret(key.name.clone()));
        secret.or_else(|| {
            from.config_map_key_ref
                .as_ref()
                .map(|key| Source::ConfigMap(key.name.clone()))
        })
    });
    let whole = container.env_from.iter().flatten().flat_map(|from| {
        let secret = from
            .secret_ref
            .as_ref()
            .map(|secret| Source::Secret(secret.name.clone()));
        secret.into_iter().chain(
            from.config_map_ref
                .as_ref()
                .map(|map| Source::ConfigMap(map.name.clone())),
        )
    });
    single.chain(whole).collect()
}

/// The variables of `container`, in order, the later of two equal names only; or what is missing.
pub(crate) fn resolve(
    container: &Container,
    pod: &Pod,
    node: &str,
    found: &Found,
) -> Result<Vec<(String, String)>, String> {
    let mut env = Env::default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let secret = from
            .secret_ref
            .as_ref()
            .map(|s| (Source::Secret(s.name.clone()), s.optional));
        let map = from
            .config_map_ref
            .as_ref()
            .map(|m| (Source::ConfigMap(m.name.clone()), m.optional));
        for (source, optional) in secret.into_iter().chain(map) {
            match found.get(&source) {
                Some(values) => values
                    .iter()
                    .for_each(|(key, value)| env.set(format!("{prefix}{key}"), text(value))),
                None if optional == Some(true) => {}
                None => return Err(format!("{source} not found")),
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = one(variable, pod, node, found, &env)? {
            env.set(variable.name.clone(), value);
        }
    }
    Ok(env.0)
}

fn one(
    variable: &EnvVar,
    pod: &Pod,
    node: &str,
    found: &Found,
    env: &Env,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(expand(
            variable.value.as_deref().unwrap_or_default(),
            &env.0,
        )));
    };
    if let Some(key) = &from.secret_key_ref {
        let source = Source::Secret(key.name.clone());
        return Ok(
            value(found, &source, &key.key, key.optional == Some(true))?.map(|value| text(value))
        );
    }
    if let Some(key) = &from.config_map_key_ref {
        let source = Source::ConfigMap(key.name.clone());
        return Ok(
            value(found, &source, &key.key, key.optional == Some(true))?.map(|value| text(value))
        );
    }
    Ok(from
        .field_ref
        .as_ref()
        .and_then(|reference| field(&reference.field_path, pod, node)))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace('\0', "")
}

#[derive(Default)]
struct Env(Vec<(String, String)>);

impl Env {
    fn set(&mut self, name: String, value: String) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value));
    }
}

/// Whether `path` is a field that [`resolve`] knows.
pub(crate) fn is_field(path: &str) -> bool {
    field(path, &Pod::default(), "").is_some()
}

fn field(path: &str, pod: &Pod, node: &str) -> Option<String> {
    let meta = &pod.metadata;
    if let Some((map, key)) = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"))
    {
        let map = match map {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return None,
        };
        return Some(
            map.as_ref()
                .and_then(|map| map.get(key))
                .cloned()
                .unwrap_or_default(),
        );
    }
    let value = match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "spec.nodeName" => node.to_owned(),
        "spec.serviceAccountName" => pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.hostIP" | "status.podIP" | "status.hostIPs" | "status.podIPs" => {
            super::status::ADDRESS.to_owned()
        }
        _ => return None,
    };
    Some(value)
}

/// `text` with `$(NAME)` replaced by the values of `env`.
pub(crate) fn expand(text: &str, env: &[(String, String)]) -> String {
    expansion::expand(text, |name| {
        let variable = env.iter().find(|(known, _)| known == name);
        variable.map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(spec: serde_json::Value) -> Container {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn variables_come_from_values_fields_and_objects() {
        let container = container(json!({
            "name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "absent", "optional": true}}],
            "env": [
                {"name": "A", "value": "a"},
                {"name": "B", "value": "$(A)$(P_k)"},
                {"name": "A", "value": "again"},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
                {"name": "O", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": true}}},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['l']"}}},
                {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
        }));
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"l": "label"}}}))
                .unwrap();
        let found = Found::from([
            (
                Source::ConfigMap("m".into()),
                BTreeMap::from([("k".to_owned(), b"v".to_vec())]),
            ),
            (
                Source::Secret("s".into()),
                BTreeMap::from([("token".to_owned(), b"t".to_vec())]),
            ),
        ]);
        let env = resolve(&container, &pod, "local", &found).unwrap();
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            env,
            ["P_k=v", "B=av", "A=again", "S=t", "L=label", "N=local"]
        );
        assert_eq!(sources(&container).len(), 3);
    }

    #[test]
    fn what_is_missing_is_named() {
        let key = container(
            json!({"name": "c", "env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
        );
        let whole = container(json!({"name": "c", "envFrom": [{"configMapRef": {"name": "m"}}]}));
        let empty = Found::from([(Source::Secret("s".into()), BTreeMap::new())]);
        for (container, found, expected) in [
            (&key, &Found::new(), "secret \"s\" not found"),
            (&key, &empty, "secret \"s\" has no key \"k\""),
            (&whole, &Found::new(), "configmap \"m\" not found"),
        ] {
            assert_eq!(
                resolve(container, &Pod::default(), "local", found),
                Err(expected.to_owned())
            );
        }
    }
}
