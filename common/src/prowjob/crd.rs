//! Makes the `CustomResourceDefinition` that `k8s/crd.yaml` holds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::ProwJob;

/// Kubernetes serves a kind of a `k8s.io` group only if this annotation names the approval.
const API_APPROVED: (&str, &str) = (
    "api-approved.kubernetes.io",
    "https://github.com/kubernetes/test-infra/pull/8669",
);

/// The CRD with Prow's rules: it has no status subresource, and a finished state needs a
/// `completionTime` (`aborted` may lack it, because its pod may still be terminating).
///
/// It takes what any of upstream's CRDs takes, and fills in no defaults. It refuses an object
/// without a `spec` and an unknown `path_strategy`, on which upstream's crier exits.
///
/// Pod specs are not described field by field: upstream inlines their schema, 10,488 lines, which
/// plain `kubectl apply` cannot handle.
pub fn build_prowjob_crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(ProwJob::crd()).expect("a CRD is JSON");
    crd["metadata"]["annotations"] = json!({API_APPROVED.0: API_APPROVED.1});
    let version = &mut crd["spec"]["versions"][0];
    if let Value::Object(version) = &mut *version {
        version.remove("subresources");
    }
    let schema = &mut version["schema"]["openAPIV3Schema"];
    relax_schema(schema);
    let spec = &mut schema["properties"]["spec"]["properties"];
    let decoration = &mut spec["decoration_config"]["properties"];
    decoration["default_memory_request"] = json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "nullable": true,
        "x-kubernetes-int-or-string": true,
    });
    let storage = &mut decoration["gcs_configuration"]["properties"];
    if let Value::Array(known) = &mut storage["path_strategy"]["enum"] {
        known.push(json!(""));
    }
    let status = &mut schema["properties"]["status"];
    status["properties"]["prev_report_states"]["additionalProperties"] = json!({"type": "string"});
    status["anyOf"] = json!([
        { "not": { "properties": { "state": { "enum": ["success", "failure", "error"] } } } },
        { "required": ["completionTime"] },
    ]);
    serde_json::from_value(crd).expect("the edited CRD is still one")
}

/// Removes the defaults that serde would fill in for missing fields.
fn relax_schema(schema: &mut Value) {
    let Value::Object(rules) = schema else {
        return;
    };
    rules.remove("default");
    for key in ["items", "additionalProperties"] {
        rules.get_mut(key).map(relax_schema);
    }
    let fields = rules.get_mut("properties").and_then(Value::as_object_mut);
    fields
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(relax_schema);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_prows_rules_and_no_status_subresource() {
        let crd = serde_json::to_value(build_prowjob_crd()).unwrap();
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version.get("subresources"), None);
        let schema = &version["schema"]["openAPIV3Schema"]["properties"];
        assert_eq!(schema["spec"].get("required"), None);
        assert_eq!(
            schema["spec"]["properties"]["type"]["enum"],
            json!(["presubmit", "postsubmit", "periodic", "batch"])
        );
        assert_eq!(
            schema["spec"]["properties"]["pod_spec"]["x-kubernetes-preserve-unknown-fields"],
            json!(true)
        );
        assert_eq!(schema["status"].get("required"), None);
        assert_eq!(
            schema["status"]["properties"]["state"]["enum"]
                .as_array()
                .unwrap()
                .len(),
            7
        );
        assert_eq!(
            schema["status"]["anyOf"][1]["required"],
            json!(["completionTime"])
        );
    }

    #[test]
    fn kubectl_knows_every_format_and_nothing_is_filled_in() {
        let text = serde_json::to_string(&build_prowjob_crd()).unwrap();
        assert!(!text.contains("uint64") && !text.contains("\"default\":"));
    }

    #[test]
    fn fits_a_client_side_apply() {
        assert!(serde_json::to_string(&build_prowjob_crd()).unwrap().len() < 40_000);
    }
}
