//! The environment of a container: its variables, their sources, and `$(VAR)` references to them.
//!
//! Pure: Secrets and config maps are fetched before, see [`SourceValues`]. Facts: the section
//! "Environment variables" of
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>.

use std::collections::{BTreeMap, BTreeSet};

use common::expansion;
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

/// An object in the pod's namespace that a container or a volume takes values from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfigObjectRef {
    Secret(String),
    ConfigMap(String),
}

impl std::fmt::Display for ConfigObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret {name:?}"),
            Self::ConfigMap(name) => write!(f, "configmap {name:?}"),
        }
    }
}

/// The values of the sources that exist.
pub(crate) type SourceValues = BTreeMap<ConfigObjectRef, BTreeMap<String, Vec<u8>>>;

/// One value of `source`. `Ok(None)` if it is missing and optional; `Err` says what is missing.
pub(crate) fn source_value<'a>(
    found: &'a SourceValues,
    source: &ConfigObjectRef,
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

/// The objects that [`resolve_env`] needs.
pub(crate) fn list_env_sources(container: &Container) -> BTreeSet<ConfigObjectRef> {
    let single = container.env.iter().flatten().filter_map(|variable| {
        let from = variable.value_from.as_ref()?;
        let secret = from
            .secret_key_ref
            .as_ref()
            .map(|key| ConfigObjectRef::Secret(key.name.clone()));
        secret.or_else(|| {
            from.config_map_key_ref
                .as_ref()
                .map(|key| ConfigObjectRef::ConfigMap(key.name.clone()))
        })
    });
    let whole = container.env_from.iter().flatten().flat_map(|from| {
        let secret = from
            .secret_ref
            .as_ref()
            .map(|secret| ConfigObjectRef::Secret(secret.name.clone()));
        secret.into_iter().chain(
            from.config_map_ref
                .as_ref()
                .map(|map| ConfigObjectRef::ConfigMap(map.name.clone())),
        )
    });
    single.chain(whole).collect()
}

/// The variables of `container`, in order. Of two equal names only the later one is kept. `Err`
/// says what is missing.
pub(crate) fn resolve_env(
    container: &Container,
    pod: &Pod,
    node: &str,
    found: &SourceValues,
) -> Result<Vec<(String, String)>, String> {
    let mut env = EnvVars::default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let secret = from
            .secret_ref
            .as_ref()
            .map(|s| (ConfigObjectRef::Secret(s.name.clone()), s.optional));
        let map = from
            .config_map_ref
            .as_ref()
            .map(|m| (ConfigObjectRef::ConfigMap(m.name.clone()), m.optional));
        for (source, optional) in secret.into_iter().chain(map) {
            match found.get(&source) {
                Some(values) => values.iter().for_each(|(key, value)| {
                    env.set_variable(format!("{prefix}{key}"), to_env_text(value))
                }),
                None if optional == Some(true) => {}
                None => return Err(format!("{source} not found")),
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = resolve_variable(variable, pod, node, found, &env)? {
            env.set_variable(variable.name.clone(), value);
        }
    }
    Ok(env.0)
}

fn resolve_variable(
    variable: &EnvVar,
    pod: &Pod,
    node: &str,
    found: &SourceValues,
    env: &EnvVars,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(expand_variables(
            variable.value.as_deref().unwrap_or_default(),
            &env.0,
        )));
    };
    if let Some(key) = &from.secret_key_ref {
        let source = ConfigObjectRef::Secret(key.name.clone());
        return Ok(
            source_value(found, &source, &key.key, key.optional == Some(true))?
                .map(|value| to_env_text(value)),
        );
    }
    if let Some(key) = &from.config_map_key_ref {
        let source = ConfigObjectRef::ConfigMap(key.name.clone());
        return Ok(
            source_value(found, &source, &key.key, key.optional == Some(true))?
                .map(|value| to_env_text(value)),
        );
    }
    Ok(from
        .field_ref
        .as_ref()
        .and_then(|reference| downward_api_value(&reference.field_path, pod, node)))
}

fn to_env_text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace('\0', "")
}

#[derive(Default)]
struct EnvVars(Vec<(String, String)>);

impl EnvVars {
    fn set_variable(&mut self, name: String, value: String) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value));
    }
}

/// Whether [`resolve_env`] supports the field `path`.
pub(crate) fn is_downward_api_field(path: &str) -> bool {
    downward_api_value(path, &Pod::default(), "").is_some()
}

fn downward_api_value(path: &str, pod: &Pod, node: &str) -> Option<String> {
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
            super::status::NODE_ADDRESS.to_owned()
        }
        _ => return None,
    };
    Some(value)
}

/// Replaces each `$(NAME)` in `text` by its value in `env`.
pub(crate) fn expand_variables(text: &str, env: &[(String, String)]) -> String {
    expansion::expand_variables(text, |name| {
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
        let found = SourceValues::from([
            (
                ConfigObjectRef::ConfigMap("m".into()),
                BTreeMap::from([("k".to_owned(), b"v".to_vec())]),
            ),
            (
                ConfigObjectRef::Secret("s".into()),
                BTreeMap::from([("token".to_owned(), b"t".to_vec())]),
            ),
        ]);
        let env = resolve_env(&container, &pod, "local", &found).unwrap();
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            env,
            ["P_k=v", "B=av", "A=again", "S=t", "L=label", "N=local"]
        );
        assert_eq!(list_env_sources(&container).len(), 3);
    }

    #[test]
    fn what_is_missing_is_named() {
        let key = container(
            json!({"name": "c", "env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
        );
        let whole = container(json!({"name": "c", "envFrom": [{"configMapRef": {"name": "m"}}]}));
        let empty = SourceValues::from([(ConfigObjectRef::Secret("s".into()), BTreeMap::new())]);
        for (container, found, expected) in [
            (&key, &SourceValues::new(), "secret \"s\" not found"),
            (&key, &empty, "secret \"s\" has no key \"k\""),
            (&whole, &SourceValues::new(), "configmap \"m\" not found"),
        ] {
            assert_eq!(
                resolve_env(container, &Pod::default(), "local", found),
                Err(expected.to_owned())
            );
        }
    }
}
