//! A pod spec as it was written: the pod gets every field, known or unknown.

use k8s_openapi::api::core::v1::PodSpec;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A JSON object that keeps every field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawPodSpec(pub serde_json::Map<String, Value>);

impl RawPodSpec {
    /// The spec as Kubernetes' own type. It lacks the fields that this version of the type does not
    /// know.
    pub fn to_pod_spec(&self) -> Result<PodSpec, serde_json::Error> {
        PodSpec::deserialize(&Value::Object(self.0.clone()))
    }

    /// This spec, with the fields that Kubernetes' schemas require and a job may omit (such as the
    /// name of its only container) as empty values, and with the `resources` that Go writes for
    /// every container. Upstream's CRD refuses a `ProwJob` without the required fields.
    #[must_use]
    pub fn with_required_fields(&self) -> Self {
        let Ok(mut complete) = self.to_pod_spec().and_then(serde_json::to_value) else {
            // Whoever reads the spec reports what is wrong with it.
            return self.clone();
        };
        for group in ["containers", "initContainers", "ephemeralContainers"] {
            let all = complete.get_mut(group).and_then(Value::as_array_mut);
            for container in all.into_iter().flatten().filter_map(Value::as_object_mut) {
                container.entry("resources").or_insert_with(|| json!({}));
            }
        }
        match complete {
            Value::Object(complete) => Self(complete),
            _ => self.clone(),
        }
    }
}

impl JsonSchema for RawPodSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawPodSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_requires_is_there_and_what_is_wrong_stays() {
        for (written, complete) in [
            (
                json!({"containers": [{"image": "a", "resources": {"limits": {"cpu": "1"}}}]}),
                json!({"containers": [{"name": "", "image": "a", "resources": {"limits": {"cpu": "1"}}}]}),
            ),
            (
                json!({"initContainers": [{"name": "i"}], "nonsense": 1}),
                json!({"containers": [], "initContainers": [{"name": "i", "resources": {}}]}),
            ),
            (json!({"containers": "none"}), json!({"containers": "none"})),
        ] {
            let written: RawPodSpec = serde_json::from_value(written).unwrap();
            let made = serde_json::to_value(written.with_required_fields()).unwrap();
            assert_eq!(made, complete);
        }
    }
}
