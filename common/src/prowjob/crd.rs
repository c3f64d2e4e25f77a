//! The `CustomResourceDefinition` that `k8s/crd.yaml` is made of.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::ProwJob;

/// Kubernetes serves a kind of a `k8s.io` group only where it is told who agreed to it.
const APPROVED: (&str, &str) = (
    "api-approved.kubernetes.io",
    "https://github.com/kubernetes/test-infra/pull/8669",
);

/// The CRD with Prow's rules: no status subresource, and a finished state needs its
/// `completionTime` (`aborted` may lack it: its pod may still be ending).
///
/// Pod specs are not described field by field: upstream inlines their schema, 10,488 lines that
/// plain `kubectl apply` cannot take.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(ProwJob::crd()).expect("a CRD is JSON");
    crd["metadata"]["annotations"] = json!({APPROVED.0: APPROVED.1});
    let version = &mut crd["spec"]["versions"][0];
    if let Value::Object(version) = &mut *version {
        version.remove("subresources");
    }
    let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
    status["anyOf"] = json!([
        { "not": { "properties": { "state": { "enum": ["success", "failure", "error"] } } } },
        { "required": ["completionTime"] },
    ]);
    serde_json::from_value(crd).expect("the edited CRD is still one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_prows_rules_and_no_status_subresource() {
        let crd = serde_json::to_value(crd()).unwrap();
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version.get("subresources"), None);
        let schema = &version["schema"]["openAPIV3Schema"]["properties"];
        assert_eq!(schema["spec"]["required"], json!(["job", "type"]));
        assert_eq!(
            schema["spec"]["properties"]["type"]["enum"],
            json!(["presubmit", "postsubmit", "periodic", "batch"])
        );
        assert_eq!(
            schema["spec"]["properties"]["pod_spec"]["x-kubernetes-preserve-unknown-fields"],
            json!(true)
        );
        assert_eq!(schema["status"]["required"], json!(["state"]));
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
    fn fits_a_client_side_apply() {
        assert!(serde_json::to_string(&crd()).unwrap().len() < 40_000);
    }
}
