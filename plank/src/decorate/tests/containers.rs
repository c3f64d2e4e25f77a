//! What decoration sets on containers: users, mounts, messages.

use super::*;

/// The containers of the pod, by name.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = (&str, &Value)> {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|group| pod["spec"][group].as_array().unwrap())
        .map(|container| (container["name"].as_str().unwrap(), container))
}

#[test]
fn utilities_are_who_their_image_says_or_whom_the_pod_does() {
    let restricted = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
    });
    let mut nobody = restricted.clone();
    nobody["runAsUser"] = 65532.into();
    let as_upstream = Value::Null;
    for (name, context, config, expected) in [
        ("the image's user", json!({}), json!({}), &as_upstream),
        ("root", json!({"runAsUser": 0}), json!({}), &as_upstream),
        (
            "a group",
            json!({"runAsGroup": 7, "fsGroup": 7}),
            json!({}),
            &as_upstream,
        ),
        (
            "root by configuration",
            json!({}),
            json!({"run_as_user": 0}),
            &as_upstream,
        ),
        (
            "maybe root",
            json!({"runAsNonRoot": false}),
            json!({}),
            &as_upstream,
        ),
        (
            "never root",
            json!({"runAsNonRoot": true}),
            json!({}),
            &nobody,
        ),
        ("a user", json!({"runAsUser": 7}), json!({}), &restricted),
        (
            "a user, never root",
            json!({"runAsUser": 7, "runAsNonRoot": true}),
            json!({}),
            &restricted,
        ),
        (
            "the configured user",
            json!({}),
            json!({"run_as_user": 7}),
            &restricted,
        ),
        (
            "never root, the configured user",
            json!({"runAsNonRoot": true}),
            json!({"run_as_user": 7}),
            &restricted,
        ),
        (
            "the pod before the configuration",
            json!({"runAsUser": 0}),
            json!({"run_as_user": 7}),
            &as_upstream,
        ),
    ] {
        let spec = json!({
            "containers": [{"name": "a", "image": "i", "command": ["x"]}],
            "securityContext": context,
        });
        let pod = make(decorated(spec, config)).unwrap();
        for (container, value) in containers(&pod) {
            let expected = if container == "test" {
                &Value::Null
            } else {
                expected
            };
            assert_eq!(
                value.get("securityContext").unwrap_or(&Value::Null),
                expected,
                "{name}: {container}"
            );
        }
    }
}

#[test]
fn an_empty_termination_message_policy_is_none() {
    for (policy, expected) in [
        (json!(""), "FallbackToLogsOnError"),
        (json!(null), "FallbackToLogsOnError"),
        (json!("File"), "File"),
    ] {
        let pod = make(presubmit(json!({"containers": [
            {"name": "a", "image": "i", "terminationMessagePolicy": policy}]})));
        assert_eq!(
            pod.unwrap()["spec"]["containers"][0]["terminationMessagePolicy"],
            expected
        );
    }
}
