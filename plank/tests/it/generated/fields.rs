//! Each field of upstream's types, with values of its type and with values of other types.

use serde_json::json;

use super::{Input, Node, Seed, base_config};

/// A field of upstream's types.
pub(super) struct Field {
    /// `-` stands for a list's element, `*` for a map's key.
    pub(super) place: Vec<&'static str>,
    root: &'static str,
    pub(super) go_type: &'static str,
}

pub(super) fn fields() -> impl Iterator<Item = Field> {
    include_str!("fields.tsv").lines().map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let mut words = cells[1].split(' ');
        Field {
            root: words.next().expect("a root"),
            place: words.collect(),
            go_type: cells[2],
        }
    })
}

/// Every way to write a scalar that some reader takes for another type, and what is no scalar.
pub(super) const SCALARS: [&str; 45] = [
    "5",
    "-5",
    "+5",
    "5.0",
    "1.5",
    "1.20",
    "010",
    "0o10",
    "0x1F",
    "0b11",
    "1_000",
    "1e3",
    "1e21",
    ".5",
    ".inf",
    "-.inf",
    ".nan",
    "18446744073709551615",
    "9223372036854775807",
    "4294967296",
    "yes",
    "y",
    "on",
    "no",
    "true",
    "True",
    "~",
    "null",
    "''",
    "'5'",
    "\"yes\"",
    "!!str 5",
    "!!str true",
    "2026-01-01",
    "12:30:00",
    "500m",
    "4Gi",
    "abc",
    "1h",
    "-1h",
    "[]",
    "{}",
    "[x]",
    "{x: y}",
    "[~]",
];

/// Values of a field's own type.
pub(super) fn values(go_type: &str) -> &'static [&'static str] {
    match go_type {
        "bool" => &["true", "false"],
        "int" | "int32" | "int64" | "uint" => &["1", "7", "0"],
        "float64" => &["0.5"],
        "resource.Quantity" => &["500m", "1Gi", "'2'", "3"],
        "v1.Duration" => &["1h", "90s"],
        "intstr.IntOrString" => &["80", "http"],
        "v1.Time" | "time.Time" => &["2026-01-01T00:00:00Z"],
        "v1.FieldsV1" | "json.RawMessage" | "runtime.RawExtension" => &["{x: y}"],
        "plugins.Plugins" => &["[trigger]", "{plugins: [trigger]}"],
        _ => &["abc", "x-1"],
    }
}

/// How many values of any type a field gets.
const ANY: usize = 3;

pub(super) fn inputs(seed: &mut Seed) -> Vec<Input> {
    let mut inputs = Vec::new();
    for field in fields() {
        let mut texts = vec![*seed.pick(values(field.go_type))];
        texts.extend((0..ANY).map(|_| *seed.pick(&SCALARS)));
        for text in texts {
            inputs.push(input(&field, text, seed));
            let shared = field.root == "Config" && field.place.starts_with(&["presubmits"]);
            if shared && seed.once_in(2) {
                inputs.push(in_repo(&field, text, seed));
            }
            if shared && seed.once_in(4) {
                inputs.push(of_other_kind(&field, text, seed));
            }
        }
    }
    inputs
}

/// A job of each kind.
pub(super) fn job(kind: &str, seed: &mut Seed) -> Node {
    let mut job = json!({"name": "j", "spec": {"containers": [{"image": "i"}]}});
    if kind == "periodics" {
        job["interval"] = json!("1h");
    }
    if seed.once_in(2) {
        job["decorate"] = json!(true);
        job["spec"]["containers"][0]["command"] = json!(["sh"]);
    }
    Node::of(&job)
}

fn with_job(config: &mut Node, place: &[&str], job: &Node) {
    config.put(place, &job.to_string());
}

/// The jobs stay [`Node`]s, so that a field can be put into them.
fn document(kind: &str, seed: &mut Seed) -> Node {
    let job = job(kind, seed);
    let list = Node::List(vec![job]);
    match kind {
        "periodics" => Node::Map(vec![(kind.to_owned(), list)]),
        _ => Node::Map(vec![(
            kind.to_owned(),
            Node::Map(vec![("o/r".to_owned(), list)]),
        )]),
    }
}

fn input(field: &Field, text: &str, seed: &mut Seed) -> Input {
    let kind = "a field";
    if field.root == "Plugins" {
        let mut plugins = Node::of(&json!({"plugins": {"o/r": {"plugins": ["trigger"]}}}));
        plugins.put(&field.place, text);
        return Input {
            kind: "a field of plugins.yaml",
            plugins: plugins.to_string(),
            ..Input::default()
        };
    }
    let mut config = base_config();
    match field.place[0] {
        section @ ("presubmits" | "postsubmits" | "periodics") => {
            let mut jobs = document(section, seed);
            if ["cron", "minimum_interval"].contains(&field.place[2]) {
                jobs.put(&[section, "-", "interval"], "''");
            }
            jobs.put(&field.place, text);
            if seed.once_in(2) {
                return Input {
                    kind,
                    config: config.to_string(),
                    jobs: jobs.to_string(),
                    ..Input::default()
                };
            }
            let (Node::Map(config), Node::Map(jobs)) = (&mut config, jobs) else {
                unreachable!("both are maps");
            };
            config.extend(jobs);
        }
        "presets" => {
            config.put(&["presets", "-", "labels", "preset-a"], "'true'");
            config.put(&field.place, text);
            let mut job = job("presubmits", seed);
            job.put(&["labels", "preset-a"], "'true'");
            with_job(&mut config, &["presubmits", "o/r", "-"], &job);
        }
        _ => {
            let job = job("presubmits", seed);
            with_job(&mut config, &["presubmits", "o/r", "-"], &job);
            config.put(&field.place, text);
        }
    }
    Input {
        kind,
        config: config.to_string(),
        ..Input::default()
    }
}

/// The same field of a presubmit or a postsubmit in a repository's own file.
fn in_repo(field: &Field, text: &str, seed: &mut Seed) -> Input {
    let section = *seed.pick(&["presubmits", "postsubmits"]);
    let mut own = Node::Map(vec![(
        section.to_owned(),
        Node::List(vec![job(section, seed)]),
    )]);
    let place = [&[section], &field.place[2..]].concat();
    own.put(&place, text);
    Input {
        kind: "a field in a repository",
        config: base_config().to_string(),
        in_repo: own.to_string(),
        ..Input::default()
    }
}

/// The same field of a postsubmit or a periodic.
fn of_other_kind(field: &Field, text: &str, seed: &mut Seed) -> Input {
    let section = *seed.pick(&["postsubmits", "periodics"]);
    let mut jobs = document(section, seed);
    let place = match section {
        "periodics" => [&[section], &field.place[2..]].concat(),
        _ => [&[section], &field.place[1..]].concat(),
    };
    jobs.put(&place, text);
    Input {
        kind: "a field of another kind of job",
        config: base_config().to_string(),
        jobs: jobs.to_string(),
        ..Input::default()
    }
}
