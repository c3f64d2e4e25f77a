//! Which Secrets reach which of the containers that decoration adds.

use podutils::{initupload, sidecar};

use super::containers::containers;
use super::*;

/// Every way in which a Secret reaches a container.
fn every_way() -> Value {
    json!({
        "volumes": [
            {"name": "censor-1", "secret": {"secretName": "volume", "optional": true}},
            {"name": "one-key", "secret": {"secretName": "item", "items": [{"key": "k", "path": "sub/p"}]}},
            {"name": "mix", "projected": {"sources": [
                {"secret": {"name": "projected"}}, {"configMap": {"name": "map"}},
                {"serviceAccountToken": {"path": "token"}},
            ]}},
            {"name": "unused", "secret": {"secretName": "unused"}},
        ],
        "initContainers": [
            {"name": "setup", "image": "i", "envFrom": [{"secretRef": {"name": "setup", "optional": true}}]},
            {"name": "native", "image": "i", "restartPolicy": "Always", "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "native", "key": "a"}}}]},
        ],
        "containers": [
            {"name": "test", "image": "i", "command": ["make"],
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "a"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env", "key": "b", "optional": true}}},
                ],
                "volumeMounts": [
                    {"name": "censor-1", "mountPath": "/logs/secrets"},
                    {"name": "one-key", "mountPath": "/one", "subPath": "sub"},
                    {"name": "mix", "mountPath": "/secrets/censor/env"},
                    {"name": "gcs-credentials", "mountPath": "/own"},
                ]},
            {"name": "proxy", "image": "i", "command": ["proxy"], "envFrom": [
                {"prefix": "X_", "secretRef": {"name": "volume"}}]},
        ],
    })
}

fn with_clone_secrets(censor: bool) -> Value {
    json!({
        "censor_secrets": censor, "gcs_credentials_secret": "results",
        "ssh_key_secrets": ["ssh"], "cookiefile_secret": "cookies/jar",
        "github_app_id": "1", "github_app_private_key_secret": {"name": "app", "key": "pem"},
    })
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let found = containers(pod).find(|(it, _)| *it == name);
    found.unwrap_or_else(|| panic!("{name}")).1
}

fn options_of<T: serde::de::DeserializeOwned>(pod: &Value, name: &str, variable: &str) -> T {
    let variables = container(pod, name)["env"].as_array().unwrap();
    let found = variables.iter().find(|it| it["name"] == variable).unwrap();
    serde_json::from_str(found["value"].as_str().unwrap()).unwrap()
}

/// The volumes of the folders that the options of a container name, each with its folder.
fn mounted(pod: &Value, name: &str, folders: &[String]) -> Vec<(String, Value)> {
    let mounts = container(pod, name)["volumeMounts"].as_array().unwrap();
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let volume = |folder: &String| {
        let mount = mounts
            .iter()
            .find(|mount| mount["mountPath"] == *folder)
            .unwrap();
        let mut volume = volumes
            .iter()
            .find(|it| it["name"] == mount["name"])
            .unwrap()
            .clone();
        volume.as_object_mut().unwrap().remove("name");
        (folder.clone(), volume)
    };
    folders.iter().map(volume).collect()
}

#[test]
fn the_sidecar_gets_every_secret_of_the_pods_containers() {
    let pod = make(decorated(every_way(), with_clone_secrets(true))).unwrap();
    let options: sidecar::SidecarOptions =
        options_of(&pod, "sidecar", sidecar::SidecarOptions::ENV);
    assert!(options.censoring_options.every_secret);
    let folders = options.censoring_options.secret_directories;
    let sources = |secrets: Value| json!({"projected": {"sources": secrets}});
    let whole = |name: &str| sources(json!([{"secret": {"name": name}}]));
    let expected = [
        (
            "env",
            sources(json!([
                {"secret": {"name": "env", "items": [{"key": "a", "path": "a"}]}},
                {"secret": {"name": "env", "items": [{"key": "b", "path": "b"}], "optional": true}},
            ])),
        ),
        (
            "item",
            sources(json!([{"secret": {"name": "item", "items": [{"key": "k", "path": "k"}]}}])),
        ),
        (
            "native",
            sources(json!([{"secret": {"name": "native", "items": [{"key": "a", "path": "a"}]}}])),
        ),
        ("projected", whole("projected")),
        ("results", whole("results")),
        (
            "setup",
            sources(json!([{"secret": {"name": "setup", "optional": true}}])),
        ),
        ("volume", whole("volume")),
    ];
    let expected = expected.map(|(name, volume)| (format!("/secrets/censor/{name}"), volume));
    assert_eq!(mounted(&pod, "sidecar", &folders), expected);

    let names = |items: &Value, field: &str| -> Vec<String> {
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| item[field].as_str().unwrap().to_owned())
            .collect()
    };
    let sidecar = &container(&pod, "sidecar")["volumeMounts"];
    for mut names in [
        names(&pod["spec"]["volumes"], "name"),
        names(sidecar, "mountPath"),
    ] {
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}

#[test]
fn the_secrets_of_clonerefs_go_to_initupload_only() {
    let plain = json!({"containers": [{"name": "test", "image": "i", "command": ["make"]}]});
    let pod = make(decorated(plain, with_clone_secrets(true))).unwrap();
    let options: initupload::InituploadOptions =
        options_of(&pod, "initupload", initupload::InituploadOptions::ENV);
    let censoring = options.censoring_options.unwrap();
    let secret = |volume: &Value| volume["secret"]["secretName"].as_str().unwrap().to_owned();
    let known: Vec<String> = mounted(&pod, "initupload", &censoring.secret_directories)
        .iter()
        .map(|(_, volume)| secret(volume))
        .collect();
    assert_eq!(known, ["ssh", "app", "cookies", "results"]);

    for (name, container) in containers(&pod) {
        let has = |volume: &str| container["volumeMounts"].to_string().contains(volume);
        let may = ["clonerefs", "initupload"].contains(&name);
        for volume in ["ssh-keys-ssh", "\"app\"", "cookiefile"] {
            assert_eq!(has(volume), may, "{name} {volume}");
        }
    }
    let options: sidecar::SidecarOptions =
        options_of(&pod, "sidecar", sidecar::SidecarOptions::ENV);
    assert!(options.censoring_options.every_secret);
    assert_eq!(options.censoring_options.secret_directories, [""; 0]);
}

#[test]
fn without_being_asked_the_pod_is_prows() {
    for config in [json!({}), json!({"censor_secrets": false})] {
        let mut of_clone = with_clone_secrets(false);
        of_clone.as_object_mut().unwrap().remove("censor_secrets");
        of_clone
            .as_object_mut()
            .unwrap()
            .extend(config.as_object().unwrap().clone());
        let pod = make(decorated(every_way(), of_clone)).unwrap();
        let options: sidecar::SidecarOptions =
            options_of(&pod, "sidecar", sidecar::SidecarOptions::ENV);
        assert_eq!(
            options.censoring_options,
            sidecar::SidecarCensoringOptions::default()
        );
        let text = pod.to_string();
        assert!(
            !text.contains("every_secret") && !text.contains("censor-0"),
            "{text}"
        );
        let mounts = |name: &str| -> Vec<&str> {
            let mounts = container(&pod, name)["volumeMounts"].as_array().unwrap();
            mounts
                .iter()
                .map(|mount| mount["name"].as_str().unwrap())
                .collect()
        };
        assert_eq!(mounts("sidecar"), ["logs", "gcs-credentials"]);
        assert_eq!(mounts("initupload"), ["logs", "gcs-credentials"]);
    }
}

#[test]
fn a_spec_that_hides_its_secrets_has_no_pod() {
    let odd = json!({"containers": [{"name": "test", "image": "i", "command": ["make"],
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": 7}}]}]});
    assert!(make(decorated(odd.clone(), json!({}))).is_ok());
    let error = make(decorated(odd, json!({"censor_secrets": true}))).unwrap_err();
    assert!(matches!(error, DecorateError::Unreadable(_)), "{error}");
}
