//! Presets and the jobs that ask for them: labels that fit or not, what collides, one or more
//! containers, central and in a repository.

use super::{Input, Node, Seed, base_config};

const COUNT: usize = 900;

const LABELS: [&str; 6] = ["{p: a}", "{p: a, q: b}", "{q: b}", "{}", "null", "{p: ''}"];
const ENV: [&str; 6] = [
    "[{name: A, value: x}]",
    "[{name: B, value: '1'}, {name: C}]",
    "[{name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
    "[]",
    "null",
    "[{name: A, value: y}]",
];
const VOLUMES: [&str; 6] = [
    "[{name: v, emptyDir: {}}]",
    "[{name: w, secret: {secretName: s, defaultMode: 256}}]",
    "[{name: v, hostPath: {path: /h}}, {name: x, configMap: {name: m}}]",
    "[]",
    "null",
    "[{name: y, projected: {sources: [{secret: {name: s}}]}}]",
];
const MOUNTS: [&str; 6] = [
    "[{name: v, mountPath: /v}]",
    "[{name: w, mountPath: /w, readOnly: true}]",
    "[{name: v, mountPath: /v, subPath: s}, {name: x, mountPath: /x}]",
    "[]",
    "null",
    "[{name: y, mountPath: /v}]",
];

/// The keys of a container that presets write to, each now and then.
fn parts(seed: &mut Seed, keys: &[(&str, &[&str])]) -> String {
    let mut text = String::new();
    for (key, values) in keys {
        if seed.once_in(2) {
            text += &format!(", {key}: {}", seed.pick(values));
        }
    }
    text
}

fn preset(seed: &mut Seed) -> String {
    let keys: [(&str, &[&str]); 3] = [
        ("env", &ENV),
        ("volumes", &VOLUMES),
        ("volumeMounts", &MOUNTS),
    ];
    let labels = *seed.pick(&LABELS);
    format!("{{labels: {labels}{}}}", parts(seed, &keys))
}

fn presets(seed: &mut Seed) -> String {
    let presets: Vec<String> = (0..seed.below(4)).map(|_| preset(seed)).collect();
    format!("[{}]", presets.join(", "))
}

fn container(name: &str, seed: &mut Seed) -> String {
    let keys: [(&str, &[&str]); 2] = [("env", &ENV), ("volumeMounts", &MOUNTS)];
    format!(
        "{{name: {name}, image: i, command: [sh]{}}}",
        parts(seed, &keys)
    )
}

fn job(seed: &mut Seed) -> String {
    let mut containers = container("a", seed);
    if seed.once_in(4) {
        containers += &format!(", {}", container("b", seed));
    }
    let mut spec = format!("containers: [{containers}]");
    if seed.once_in(4) {
        spec += &format!(", initContainers: [{}]", container("c", seed));
    }
    if seed.once_in(2) {
        spec += &format!(", volumes: {}", seed.pick(&VOLUMES));
    }
    let decorate = seed.once_in(2);
    let labels = *seed.pick(&LABELS);
    format!("{{name: j, labels: {labels}, decorate: {decorate}, spec: {{{spec}}}}}")
}

pub(super) fn inputs(seed: &mut Seed) -> Vec<Input> {
    (0..COUNT).map(|_| input(seed)).collect()
}

fn input(seed: &mut Seed) -> Input {
    let mut config = base_config();
    let mut input = Input {
        kind: "presets",
        ..Input::default()
    };
    if seed.once_in(2) {
        config.put(&["presets"], &presets(seed));
    }
    match seed.below(3) {
        0 => {
            let (presets, job) = (presets(seed), job(seed));
            input.jobs = format!("{{presets: {presets}, presubmits: {{o/r: [{job}]}}}}");
        }
        1 => {
            let periodic = job(seed).replacen("name: j", "name: j, interval: 1h", 1);
            config.put(
                &["periodics"],
                &Node::List(vec![Node::Scalar(periodic)]).to_string(),
            );
        }
        _ => {
            input.kind = "presets in a repository";
            let (presets, job) = (presets(seed), job(seed));
            input.in_repo = format!("{{presets: {presets}, postsubmits: [{job}]}}");
        }
    }
    input.config = config.to_string();
    input
}
