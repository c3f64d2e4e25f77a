//! Presets and the jobs that use them: labels that match or not, collisions, one or more
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
    "[{name: A, value: w}]",
];
const VOLUMES: [&str; 6] = [
    "[{name: v, emptyDir: {}}]",
    "[{name: w, secret: {secretName: s, defaultMode: 256}}]",
    "[{name: v, hostPath: {path: /h}}, {name: x, configMap: {name: m}}]",
    "[]",
    "null",
    "[{name: z, projected: {sources: [{secret: {name: s}}]}}]",
];
const MOUNTS: [&str; 6] = [
    "[{name: v, mountPath: /v}]",
    "[{name: w, mountPath: /w, readOnly: true}]",
    "[{name: v, mountPath: /v, subPath: s}, {name: x, mountPath: /x}]",
    "[]",
    "null",
    "[{name: z, mountPath: /v}]",
];

/// A list of variables in half of the cases.
fn env(seed: &mut Seed) -> String {
    match seed.once_in(2) {
        true => format!(", env: {}", seed.pick(&ENV)),
        false => String::new(),
    }
}

/// Volumes and their mounts, which match except in rare cases.
fn volumes_and_mounts(seed: &mut Seed) -> (String, String) {
    if seed.once_in(2) {
        return (String::new(), String::new());
    }
    let at = seed.below(VOLUMES.len());
    let mounts = match seed.once_in(6) {
        true => *seed.pick(&MOUNTS),
        false => MOUNTS[at],
    };
    (
        format!(", volumes: {}", VOLUMES[at]),
        format!(", volumeMounts: {mounts}"),
    )
}

fn preset(labels: &str, seed: &mut Seed) -> String {
    let (volumes, mounts) = volumes_and_mounts(seed);
    format!("{{labels: {labels}{}{volumes}{mounts}}}", env(seed))
}

/// Presets whose labels differ except in rare cases.
fn presets(seed: &mut Seed) -> String {
    let start = seed.below(LABELS.len());
    let presets: Vec<String> = (0..seed.below(3))
        .map(|index| {
            let at = if seed.once_in(8) {
                start
            } else {
                start + 2 * index
            };
            preset(LABELS[at % LABELS.len()], seed)
        })
        .collect();
    format!("[{}]", presets.join(", "))
}

fn container(name: &str, mounts: &str, seed: &mut Seed) -> String {
    format!(
        "{{name: {name}, image: i, command: [sh]{mounts}{}}}",
        env(seed)
    )
}

fn job(seed: &mut Seed) -> String {
    let (volumes, mounts) = volumes_and_mounts(seed);
    let decorate = seed.once_in(2);
    let mut containers = container("a", &mounts, seed);
    if seed.once_in(if decorate { 3 } else { 20 }) {
        containers += &format!(", {}", container("b", "", seed));
    }
    let mut spec = format!("containers: [{containers}]{volumes}");
    if seed.once_in(12) {
        spec += &format!(", initContainers: [{}]", container("c", "", seed));
    }
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
