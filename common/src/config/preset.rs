//! `presets`: environment, volumes and tolerations that a job selects by label.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Toleration, Volume, VolumeMount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ConfigOrigin, ConfigPath, diagnostics::Diagnostics};
use crate::prowjob::{RawObject, StringMap, null_default};

/// Applies to every job that has all of its labels; without labels, to every job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Preset {
    #[serde(deserialize_with = "null_default")]
    pub labels: StringMap,
    #[serde(deserialize_with = "null_default")]
    #[schemars(with = "Vec<EnvVar>")]
    pub env: Vec<RawObject>,
    #[serde(deserialize_with = "null_default")]
    #[schemars(with = "Vec<Volume>")]
    pub volumes: Vec<RawObject>,
    #[serde(rename = "volumeMounts", deserialize_with = "null_default")]
    #[schemars(with = "Vec<VolumeMount>")]
    pub volume_mounts: Vec<RawObject>,
    #[serde(deserialize_with = "null_default")]
    #[schemars(with = "Vec<Toleration>")]
    pub tolerations: Vec<RawObject>,
    #[serde(skip)]
    pub origin: ConfigOrigin,
}

impl Preset {
    fn applies_to(&self, labels: &StringMap) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Applies every preset that `labels` select. Returns the collisions, each as a rule and a
/// message.
pub(super) fn apply_presets(
    presets: &[Preset],
    labels: &StringMap,
    spec: &mut Map<String, Value>,
) -> Vec<(&'static str, String)> {
    let mut collisions = Vec::new();
    for preset in presets.iter().filter(|preset| preset.applies_to(labels)) {
        let mut collide = |rule, what: &str| {
            let labels = format_labels(&preset.labels);
            let message = format!("the preset{labels} brings {what}, which is there already");
            collisions.push((rule, message));
        };
        append_named_items(spec, "volumes", &preset.volumes, |name| {
            collide("preset-volume", &format!("the volume {name:?}"));
        });
        for toleration in &preset.tolerations {
            let toleration = Value::Object(toleration.0.clone());
            let list = get_or_insert_list(spec, "tolerations");
            if list.contains(&toleration) {
                collide("preset-toleration", &format!("the toleration {toleration}"));
            } else {
                list.push(toleration);
            }
        }
        let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
        for container in containers
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            append_named_items(container, "env", &preset.env, |name| {
                collide("preset-env", &format!("the variable {name:?}"));
            });
            append_named_items(container, "volumeMounts", &preset.volume_mounts, |name| {
                collide("preset-volume-mount", &format!("the volume mount {name:?}"));
            });
        }
    }
    collisions
}

/// Appends named objects to a list; calls `collide` for a name that is taken.
fn append_named_items(
    object: &mut Map<String, Value>,
    key: &str,
    items: &[RawObject],
    mut collide: impl FnMut(&str),
) {
    if items.is_empty() {
        return;
    }
    let list = get_or_insert_list(object, key);
    for item in items {
        let name = item
            .0
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if list.iter().any(|other| other["name"] == name) {
            collide(name);
        } else {
            list.push(Value::Object(item.0.clone()));
        }
    }
}

fn get_or_insert_list<'a>(object: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let entry = object.entry(key).or_insert_with(|| json!([]));
    if !entry.is_array() {
        *entry = json!([]);
    }
    entry.as_array_mut().expect("made an array above")
}

fn format_labels(labels: &StringMap) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!(" {key}: {value:?}"))
        .collect();
    pairs.join(",")
}

/// One pair of label and value may select one preset only.
pub(super) fn check_distinct_presets(presets: &[Preset], findings: &mut Diagnostics) {
    let mut seen: BTreeMap<(&str, &str), &Preset> = BTreeMap::new();
    for preset in presets {
        for (key, value) in &preset.labels {
            if let Some(other) = seen.insert((key, value), preset) {
                let root = ConfigPath::Below(&preset.origin.path);
                findings.add_diagnostic(
                    "preset-label",
                    &preset.origin.file,
                    &root.key("labels").key(key),
                    format!(
                        "the label {key}: {value:?} chooses a preset in {} already; \
                         a pair of label and value may stand in one preset only",
                        other.origin.file
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presets(value: Value) -> Vec<Preset> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_preset_reaches_every_container_of_a_job_with_its_labels() {
        let presets = presets(json!([
            {"labels": {"dind": "true"}, "env": [{"name": "DOCKER", "value": "1"}],
             "volumes": [{"name": "graph", "emptyDir": {}}],
             "volumeMounts": [{"name": "graph", "mountPath": "/docker"}]},
            {"env": [{"name": "ALL", "value": "x"}]},
            {"labels": {"dind": "true", "big": "yes"}, "env": [{"name": "BIG", "value": "x"}]},
        ]));
        let mut spec =
            json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{}]});
        let labels = StringMap::from([("dind".into(), "true".into())]);
        let collisions = apply_presets(&presets, &labels, spec.as_object_mut().unwrap());
        assert_eq!(collisions, []);
        let env = json!([{"name": "DOCKER", "value": "1"}, {"name": "ALL", "value": "x"}]);
        let mounts = json!([{"name": "graph", "mountPath": "/docker"}]);
        assert_eq!(
            spec,
            json!({
                "containers": [
                    {"name": "a", "env": env, "volumeMounts": mounts},
                    {"name": "b", "env": env, "volumeMounts": mounts},
                ],
                "initContainers": [{}],
                "volumes": [{"name": "graph", "emptyDir": {}}],
            })
        );
    }

    #[test]
    fn a_collision_is_told() {
        let presets =
            presets(json!([{"labels": {"a": "b"}, "env": [{"name": "X", "value": "1"}]}]));
        let mut spec = json!({"containers": [{"env": [{"name": "X", "value": "2"}]}]});
        let labels = StringMap::from([("a".into(), "b".into())]);
        assert_eq!(
            apply_presets(&presets, &labels, spec.as_object_mut().unwrap()),
            [(
                "preset-env",
                r#"the preset a: "b" brings the variable "X", which is there already"#.to_owned()
            )]
        );
        assert_eq!(spec["containers"][0]["env"].as_array().unwrap().len(), 1);
    }
}
