//! `kubectl explain`.

use serde_json::json;

use super::super::{CRDS, job_crd};
use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_kind_and_their_fields() {
    let scene = Scene::start().await;
    let mut crd = job_crd();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["description"] = json!("A job of an example.");
    schema["properties"]["spec"]["properties"]["job"]["description"] = json!("What it is called.");
    scene.cluster.create(CRDS, crd).await;
    for (what, parts) in [
        (
            "pod",
            &[
                "KIND:       Pod",
                "collection of containers",
                "spec\t<PodSpec>",
            ][..],
        ),
        (
            "pod.spec.containers",
            &[
                "FIELD: containers <[]Container>",
                "command\t<[]string>",
                "name\t<string> -required-",
            ],
        ),
        (
            "pods.spec.containers.resources.limits",
            &["FIELD: limits <map[string]Quantity>"],
        ),
        ("pod.metadata.ownerReferences.uid", &["FIELD: uid <string>"]),
        (
            "node.status.nodeInfo",
            &["FIELD: nodeInfo <NodeSystemInfo>", "kernelVersion"],
        ),
        ("event", &["involvedObject\t<ObjectReference> -required-"]),
        (
            "deploy.spec.template.spec.volumes",
            &["FIELD: volumes <[]Volume>"],
        ),
        (
            "crd.spec.versions.schema.openAPIV3Schema",
            &["JSONSchemaProps"],
        ),
        (
            "ej",
            &[
                "GROUP:      example.com",
                "KIND:       ExampleJob",
                "A job of an example.",
                "metadata\t<ObjectMeta>",
            ],
        ),
        (
            "examplejob.spec",
            &[
                "FIELD: spec <Object>",
                "job\t<string> -required-",
                "enum: presubmit, periodic",
            ],
        ),
        ("ej.spec.job", &["What it is called."]),
        ("ej.metadata.labels", &["FIELD: labels <map[string]string>"]),
    ] {
        let told = scene.kubectl(&["explain", what]).await;
        for part in parts {
            assert!(told.contains(part), "{what} without {part:?}: {told}");
        }
    }
    let tree = scene.kubectl(&["explain", "ej", "--recursive"]).await;
    assert!(tree.contains("    count\t<integer>"), "{tree}");
    let unknown = scene.refused(&["explain", "pod.spec.colour"], None).await;
    assert!(
        unknown.contains("field \"colour\" does not exist"),
        "{unknown}"
    );
}
