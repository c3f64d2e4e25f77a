//! A pod spec as it was written: no field is lost on the way to the pod, known or not.

use k8s_openapi::api::core::v1::PodSpec;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON object kept whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawPodSpec(pub serde_json::Map<String, Value>);

impl RawPodSpec {
    /// The spec as Kubernetes' own type; fields this version of the type does not know are
    /// not in it.
    pub fn typed(&self) -> Result<PodSpec, serde_json::Error> {
        PodSpec::deserialize(&Value::Object(self.0.clone()))
    }

    /// With what Kubernetes' schemas require and a job may leave out, such as the name of its only
    /// container, as empty values. Upstream's CRD refuses a `ProwJob` without them.
    #[must_use]
    pub fn with_required_fields(&self) -> Self {
        let typed = self.typed().and_then(serde_json::to_value);
        match typed {
            Ok(Value::Object(complete)) => Self(complete),
            // Whoever reads it tells what is wrong with it.
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
