//! Snapshots of whole pods; and what is refused.

mod containers;
mod secrets;
mod untrusted_text;

use common::prowjob::{ProwJob, ProwJobState, new_prowjob};
use serde_json::{Value, json};

use super::{DecorateError, PodTarget, build_pod};

fn job(spec: Value) -> ProwJob {
    let spec = serde_json::from_value(spec).unwrap();
    new_prowjob(
        "pj".into(),
        "prow",
        spec,
        &[("event-GUID".to_owned(), "guid".to_owned())].into(),
        &Default::default(),
        ProwJobState::Triggered,
        "2026-08-01T00:00:00Z".parse().unwrap(),
    )
}

fn make(spec: Value) -> Result<Value, DecorateError> {
    let target = PodTarget {
        namespace: "test-pods",
        version: "v1",
    };
    build_pod(&job(spec), "1830000000000000000", &target)
}

fn presubmit(pod_spec: Value) -> Value {
    json!({
        "type": "presubmit", "agent": "kubernetes", "job": "unit", "context": "unit",
        "cluster": "default", "report": true, "rerun_command": "/test unit",
        "refs": {
            "org": "o", "repo": "r", "base_ref": "main", "base_sha": "abc",
            "pulls": [{"number": 7, "author": "a", "sha": "def", "head_ref": "topic", "title": "<&>"}],
        },
        "pod_spec": pod_spec,
    })
}

fn decoration(extra: Value) -> Value {
    let mut config = json!({
        "timeout": "2h", "grace_period": "15s",
        "utility_images": {"clonerefs": "C", "initupload": "I", "entrypoint": "E", "sidecar": "S"},
        "gcs_configuration": {"bucket": "b", "path_strategy": "explicit"},
    });
    for (key, value) in extra.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn decorated(pod_spec: Value, extra: Value) -> Value {
    let mut spec = presubmit(pod_spec);
    spec["decoration_config"] = decoration(extra);
    spec
}

/// Keys are sorted: their order means nothing, and depends on who else uses `serde_json`.
fn snapshot(name: &str, spec: Value) {
    let mut pod = make(spec).unwrap();
    pod.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&pod).unwrap();
    text.push('\n');
    insta::assert_snapshot!(name, text);
}

#[test]
fn an_undecorated_presubmit() {
    snapshot(
        "undecorated",
        presubmit(json!({
            "containers": [{
                "name": "x", "image": "golang", "command": ["make"],
                "env": [{"name": "MINE", "value": "1"}],
                "someFieldOfTheFuture": {"kept": true},
            }],
        })),
    );
}

#[test]
fn a_decorated_presubmit() {
    snapshot(
        "decorated",
        decorated(
            json!({"containers": [{"image": "golang", "command": ["sh"], "args": ["-c", "make"]}]}),
            json!({}),
        ),
    );
}

#[test]
fn a_decorated_job_with_every_credential() {
    snapshot(
        "credentials",
        decorated(
            json!({"containers": [{"image": "golang", "command": ["make"]}]}),
            json!({
                "gcs_credentials_secret": "gcs", "s3_credentials_secret": "s3",
                "ssh_key_secrets": ["key-1", "key-2"], "ssh_host_fingerprints": ["host ssh-rsa x"],
                "cookiefile_secret": "cookies/jar",
                "github_app_id": "12",
                "github_app_private_key_secret": {"name": "app", "key": "pem"},
                "github_api_endpoints": ["http://ghproxy", "https://api.github.com"],
            }),
        ),
    );
}

#[test]
fn two_containers_that_share_a_secret() {
    snapshot(
        "two_containers",
        decorated(
            json!({
                "volumes": [
                    {"name": "creds", "secret": {"secretName": "creds"}},
                    {"name": "scratch", "emptyDir": {}},
                ],
                "containers": [
                    {"name": "a", "image": "i", "command": ["a"], "volumeMounts": [
                        {"name": "creds", "mountPath": "/creds"}, {"name": "scratch", "mountPath": "/s"}]},
                    {"name": "b", "image": "i", "args": ["b"], "volumeMounts": [
                        {"name": "creds", "mountPath": "/creds"}]},
                ],
            }),
            json!({
                "censor_secrets": true, "censoring_options": {"censoring_concurrency": 5},
                "upload_ignores_interrupts": true, "skip_cloning": true,
            }),
        ),
    );
}

#[test]
fn a_periodic_with_results_in_decks_storage_and_every_default() {
    let mut spec = decorated(
        json!({"containers": [{"image": "i", "command": ["make"],
            "resources": {"requests": {"cpu": "1"}}}]}),
        json!({
            "gcs_configuration": {"bucket": "http://deck.prow/storage", "path_strategy": "explicit"},
            "default_memory_request": "1Gi", "set_limit_equals_memory_request": true,
            "run_as_user": 1000, "run_as_group": 1001, "fs_group": 1002,
            "default_service_account_name": "robot",
            "scheduling_options": {"affinity": {"x": 1}, "tolerations": [{"key": "ci"}]},
            "resources": {"sidecar": {"limits": {"cpu": "1"}}, "clonerefs": {"limits": {"cpu": "2"}}},
            "grace_period": "10s",
        }),
    );
    spec["type"] = "periodic".into();
    spec.as_object_mut().unwrap().remove("refs");
    spec["extra_refs"] = json!([
        {"org": "o", "repo": "r", "base_ref": "main"},
        {"org": "k", "repo": "t", "base_ref": "main", "path_alias": "k8s.io/t", "workdir": true},
    ]);
    snapshot("periodic_in_decks_storage", spec);
}

#[test]
fn what_can_have_no_pod_says_why() {
    let plain = json!({"containers": [{"name": "a", "image": "i", "command": ["x"]}]});
    let mut without_spec = presubmit(plain.clone());
    without_spec.as_object_mut().unwrap().remove("pod_spec");
    let mut without_pulls = presubmit(plain.clone());
    without_pulls["refs"]["pulls"] = json!([]);
    let storage = json!({"gcs_configuration": {"bucket": "https://deck/storage"}});
    let mut shared = plain.clone();
    shared["shareProcessNamespace"] = true.into();
    let mut reaching = plain.clone();
    reaching["containers"][0]["volumeMounts"] =
        json!([{"name": "storage-token", "mountPath": "/x"}]);
    let mut twice = plain.clone();
    twice["volumes"] = json!([{"name": "logs"}]);
    for (spec, error) in [
        (without_spec, "the job has no pod_spec"),
        (
            without_pulls,
            "a presubmit job needs a pull request in refs.pulls",
        ),
        (
            presubmit(json!({"containers": "x"})),
            "pod_spec.containers is not a list",
        ),
        (
            decorated(plain.clone(), json!({"utility_images": {"clonerefs": "C"}})),
            "decoration_config.utility_images.initupload is required",
        ),
        (
            decorated(plain.clone(), json!({"gcs_configuration": null})),
            "decoration_config.gcs_configuration is required",
        ),
        (
            decorated(json!({"containers": [{"image": "i"}]}), json!({})),
            "container test has no command or args, so there is nothing to run in it",
        ),
        (
            decorated(shared, storage.clone()),
            "shareProcessNamespace is refused where results go to Deck's storage: the job could read the upload token",
        ),
        (
            decorated(reaching, storage),
            "container test mounts volume storage-token, which the pod_spec does not declare",
        ),
        (
            decorated(twice, json!({})),
            "volume name logs is taken twice",
        ),
    ] {
        assert_eq!(make(spec).unwrap_err().to_string(), error);
    }
}
