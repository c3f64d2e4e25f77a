use std::collections::BTreeMap;

use common::expansion::expand_variables;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The variables of a container as the kubelet makes them. `secrets` has the values by key; if one
/// of them is empty, there is a Service.
fn kubelet(container: &Value, secrets: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    if secrets.values().any(String::is_empty) {
        env.insert("X_PORT".to_owned(), "tcp://10.0.0.1:80".to_owned());
    }
    if container["envFrom"].is_array() {
        env.extend(
            secrets
                .iter()
                .map(|(key, value)| (format!("FROM_{key}"), value.clone())),
        );
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = match variable["valueFrom"]["secretKeyRef"]["key"].as_str() {
            Some(key) => secrets.get(key).cloned(),
            None if variable["valueFrom"].is_object() => Some("10.0.0.1".to_owned()),
            None => Some(expand_variables(
                variable["value"].as_str().unwrap(),
                |name| env.get(name).cloned(),
            )),
        };
        if let Some(value) = value {
            env.insert(name, value);
        }
    }
    env
}

fn options(args: &[String]) -> EntrypointOptions {
    let json = json!({
        "timeout": 1, "grace_period": 1, "copy_dst": "/c", "args": args,
        "process_log": "/p", "marker_file": "/m", "metadata_file": "",
    });
    serde_json::from_value(json).unwrap()
}

/// The container with the variables that make its entrypoint run `args`.
fn wrapped(container: &Value, args: &[String]) -> Value {
    let mut wrapped = container.clone();
    let variables = VariableScope::from_container(container.as_object().unwrap())
        .entrypoint_env_vars(&options(args));
    let env = wrapped.as_object_mut().unwrap();
    super::super::json::list_mut(env, "env")
        .unwrap()
        .extend(variables);
    wrapped
}

/// The options that our entrypoint reads in it.
fn run(wrapped: &Value, secrets: &BTreeMap<String, String>) -> EntrypointOptions {
    let env = kubelet(wrapped, secrets);
    EntrypointOptions::from_env_or_args(|name| env.get(name).cloned(), &[]).unwrap()
}

fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

#[test]
fn words_are_written_as_upstream_where_they_arrive() {
    let container = json!({"env": [
        {"name": "BUILD_ID", "value": "7"},
        {"name": "NOTE", "value": "say \"hi\" for $$5"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]});
    let words = |args: &[&str]| {
        let wrapped = wrapped(&container, &owned(args));
        let added = &wrapped["env"].as_array().unwrap()[4..];
        let args = |text: &str| {
            text.split_once("\"args\":")
                .unwrap()
                .1
                .split_once(",\"process_log")
                .unwrap()
                .0
                .to_owned()
        };
        added
            .iter()
            .map(|variable| {
                let name = variable["name"].as_str().unwrap();
                let value = variable["value"].as_str().unwrap();
                match name.ends_with("_OPTIONS") {
                    true => format!("{name} {}", args(value)),
                    false => format!("{name} {value}"),
                }
            })
            .collect::<Vec<_>>()
    };
    for (args, written) in [
        (
            &["$(date) $(BUILD_ID) $$HOME $(IP) $HOME"][..],
            &[r#"ENTRYPOINT_OPTIONS ["$(date) $(BUILD_ID) $$HOME $(IP) $HOME"]"#][..],
        ),
        (
            &["$(NOTE) $(IP)", "$(date) $$x"],
            &[r#"ENTRYPOINT_OPTIONS ["say \"hi\" for $$5 $(IP)","$$(date) $$x"]"#],
        ),
        (
            &["a", "$(SECRET) $(NOTE)", "$(IP)"],
            &[
                "ENTRYPOINT_ARGUMENT_1 $(SECRET) $(NOTE)",
                r#"ENTRYPOINT_PLAIN_OPTIONS ["a","","$(IP)"]"#,
                r#"ENTRYPOINT_OPTIONS ["a","$(SECRET) say \"hi\" for $$5","$(IP)"]"#,
            ],
        ),
    ] {
        assert_eq!(words(args), written, "{args:?}");
    }
}

#[test]
fn the_job_of_the_report_prints_what_it_would_without_decoration() {
    let container = json!({"env": [{"name": "NOTE", "value": "say \"hi\""}]});
    let args = owned(&["echo", "$(NOTE)", "$$HOME", "$(UNKNOWN)"]);
    let run = run(&wrapped(&container, &args), &BTreeMap::new());
    assert_eq!(
        run.wrapper.args,
        ["echo", "say \"hi\"", "$HOME", "$(UNKNOWN)"]
    );
}

#[test]
fn a_variable_made_of_an_earlier_one_of_its_name_is_left_to_the_kubelet() {
    let container = json!({"env": [
        {"name": "X_PORT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "X_PORT", "value": "$(X_PORT)"},
    ]});
    let secrets = BTreeMap::from([("k".to_owned(), "\n".to_owned())]);
    let run = run(&wrapped(&container, &owned(&["$(X_PORT)"])), &secrets);
    assert_eq!(run.wrapper.args, ["\n"]);
}

#[test]
fn only_where_it_must_the_sidecar_is_told_otherwise() {
    for (json, expected) in [
        (r#"["$(date)","$HOME"]"#, r#"["$(date)","$HOME"]"#),
        (r#"["$(JOB_SPEC) $x"]"#, r#"["$$(JOB_SPEC) $$x"]"#),
        (r#"["$(A_SERVICE_HOST)"]"#, r#"["$$(A_SERVICE_HOST)"]"#),
        (r#"["a$$"]"#, r#"["a$$$$"]"#),
    ] {
        assert_eq!(literal_for(json, &["JOB_SPEC"]), expected);
    }
}

/// Texts full of references, quotes, line ends and what surrounds them in JSON.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-D]".prop_map(|name| format!("$({name})")),
        Just("$(FROM_k)".to_owned()),
        Just("$(FROM_j)".to_owned()),
        Just("$(X_PORT)".to_owned()),
        r#"[$()"\\,:a\n\[\]{}<]"#,
        Just("$$".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn variable() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        text().prop_map(|value| json!({"value": value})),
        "[kj]".prop_map(|key| json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": key, "optional": true}}})),
        Just(json!({"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})),
    ];
    ("[A-D]|X_PORT", value).prop_map(|(name, mut variable)| {
        variable["name"] = name.into();
        variable
    })
}

fn container() -> impl Strategy<Value = Value> {
    let env = prop::collection::vec(variable(), 0..5);
    (env, any::<bool>()).prop_map(|(env, from)| {
        let mut container = json!({"env": env});
        if from {
            container["envFrom"] = json!([{"prefix": "FROM_", "secretRef": {"name": "s"}}]);
        }
        container
    })
}

proptest! {
    #[test]
    fn words_mean_what_they_mean_without_decoration(
        container in container(),
        args in prop::collection::vec(text(), 1..4),
        k in text(),
        j in prop::option::of(text()),
    ) {
        let mut secrets = BTreeMap::from([("k".to_owned(), k)]);
        secrets.extend(j.map(|j| ("j".to_owned(), j)));
        let env = kubelet(&container, &secrets);
        let undecorated: Vec<_> = args.iter().map(|arg| expand_variables(arg, |name| env.get(name))).collect();
        let wrapped = wrapped(&container, &args);
        let ran = run(&wrapped, &secrets);
        prop_assert_eq!(&ran, &EntrypointOptions { wrapper: ran.wrapper.clone(), ..options(&[]) });
        prop_assert_eq!(&ran.wrapper.args, &undecorated);

        // Upstream's entrypoint reads only one variable, which suffices where all values are
        // literal (and no variable takes a Service's name after another has used that).
        let has_sources = container["envFrom"].is_array()
            || container["env"].as_array().unwrap().iter().any(|v| {
                v["valueFrom"]["secretKeyRef"].is_object() || v["name"] == "X_PORT"
            });
        if !has_sources {
            let env = kubelet(&wrapped, &secrets);
            let upstream: EntrypointOptions = serde_json::from_str(&env[OPTIONS_ENV]).unwrap();
            prop_assert_eq!(upstream.wrapper.args, undecorated);
            prop_assert!(!env.contains_key(PLAIN_OPTIONS_ENV));
        }
    }
}
