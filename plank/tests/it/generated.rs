//! Some ten thousand small configurations, compared with what upstream's own code makes of them:
//! whether its loader accepts them, and if so the `ProwJob`s, the pods and the answers to events.
//!
//! The inputs are generated in each run, always the same. `answers.txt` has a line for each input:
//! the start of the SHA-256 of the normal form of upstream's answer, or `error`. Its first line is
//! the SHA-256 of the inputs. When the inputs change, upstream is asked again:
//!
//! ```text
//! PROW_GENERATED_INPUTS=in.jsonl cargo test … generated     # writes the inputs
//! driver <in.jsonl >out.jsonl                               # upstream's packages at a619408
//! PROW_GENERATED_ANSWERS=out.jsonl cargo test … generated   # compares in full, says where
//! ```
//!
//! With `PROW_UPDATE=1` in addition, the table is written. `PROW_GENERATED_SEED=7` with the first
//! and the last command tries other inputs. `fields.tsv` has upstream's fields, found by
//! reflection: field, place and Go type.

mod answer;
mod differences;
mod fields;
mod jobs;
mod merges;
mod node;
mod presets;
mod seed;

#[path = "../corpus/normal.rs"]
mod normal;
#[path = "../corpus/quantity.rs"]
mod quantity;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    thread,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use node::Node;
use seed::Seed;

/// One input: `config.yaml`, and unless they are empty a job file, a repository's `.prow.yaml`, or,
/// instead of all these, `plugins.yaml`.
#[derive(Clone, Debug, Default, Serialize)]
struct Input {
    #[serde(skip)]
    kind: &'static str,
    config: String,
    jobs: String,
    in_repo: String,
    plugins: String,
}

/// The normal form of an answer that is an error.
const ERROR: &str = "error";
/// Characters of a hash that are kept.
const KEPT: usize = 8;
/// The seed of the inputs whose answers are in `answers.txt`.
const SEED: u64 = 13;
/// How many differences are shown.
const SHOWN: usize = 4000;

fn given_seed() -> Option<u64> {
    let text = env::var("PROW_GENERATED_SEED").ok()?;
    Some(text.parse().expect("a number"))
}

fn inputs() -> Vec<Input> {
    let mut seed = Seed(given_seed().unwrap_or(SEED));
    [
        fields::inputs(&mut seed),
        merges::inputs(&mut seed),
        presets::inputs(&mut seed),
        jobs::inputs(&mut seed),
    ]
    .concat()
}

/// A configuration with what decoration needs.
fn base_config() -> Node {
    Node::of(
        &json!({"plank": {"default_decoration_config_entries": [{"config": {
            "utility_images":
                {"clonerefs": "c", "initupload": "i", "entrypoint": "e", "sidecar": "s"},
            "gcs_configuration": {"bucket": "b", "path_strategy": "explicit"},
            "gcs_credentials_secret": "g",
        }}]}}),
    )
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    #[serde(default)]
    jobs: Value,
}

/// The normal form of an answer.
fn normal_form(answer: Result<Value, String>) -> String {
    answer.map_or_else(|_| ERROR.to_owned(), normal::write)
}

fn short(form: &str) -> String {
    match form {
        ERROR => form.to_owned(),
        form => sha256(form)[..KEPT].to_owned(),
    }
}

fn sha256(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Our answers, in the order of the inputs.
fn ours(inputs: &[Input]) -> Vec<Result<Value, String>> {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let parts = inputs.chunks(inputs.len().div_ceil(workers));
    thread::scope(|scope| {
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(|| answer::answers(part)))
            .collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        parts.flatten().collect()
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/generated")
}

fn upstreams() -> Option<Vec<Result<Value, String>>> {
    let path = env::var_os("PROW_GENERATED_ANSWERS")?;
    let text = fs::read_to_string(path).unwrap();
    let answers = text.lines().map(|line| {
        let answer: Answer = serde_json::from_str(line).unwrap();
        match answer.error.as_str() {
            "" if answer.jobs.is_null() => Ok(json!({})),
            "" => Ok(answer.jobs),
            error => Err(error.to_owned()),
        }
    });
    Some(answers.collect())
}

#[test]
fn every_input_is_what_upstream_makes_of_it() {
    let inputs = inputs();
    let lines: Vec<String> = inputs
        .iter()
        .map(|input| serde_json::to_string(input).unwrap() + "\n")
        .collect();
    let lines = lines.concat();
    if let Some(path) = env::var_os("PROW_GENERATED_INPUTS") {
        fs::write(path, lines).unwrap();
        return;
    }
    let ours = ours(&inputs);
    let table = folder().join("answers.txt");
    let upstreams = upstreams();
    let expected: Vec<String> = match &upstreams {
        Some(answers) => answers
            .iter()
            .map(|answer| short(&normal_form(answer.clone())))
            .collect(),
        None => {
            let text = fs::read_to_string(&table).unwrap();
            let mut rows = text.lines();
            let hash = rows.next();
            assert_eq!(hash, Some(&*sha256(&lines)), "the inputs are other ones");
            rows.map(str::to_owned).collect()
        }
    };
    assert_eq!(expected.len(), inputs.len());
    if upstreams.is_some() && env::var_os("PROW_UPDATE").is_some() {
        fs::write(table, sha256(&lines) + "\n" + &expected.join("\n") + "\n").unwrap();
    }

    let mut found = Vec::new();
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (index, (input, expected)) in inputs.iter().zip(&expected).enumerate() {
        counts.entry(input.kind).or_default()[usize::from(expected == ERROR)] += 1;
        let form = normal_form(ours[index].clone());
        if short(&form) == *expected {
            continue;
        }
        if let Some(reason) = differences::reason(input, &ours[index]) {
            *explained.entry(reason).or_default() += 1;
            continue;
        }
        let theirs = upstreams.as_ref().map(|all| all[index].clone());
        found.push(format!("{index} {}", told(input, &ours[index], theirs)));
    }
    print(&counts, &explained);
    let shown = found[..found.len().min(SHOWN)].join("\n\n");
    assert!(found.is_empty(), "{} differ:\n{shown}", found.len());
    if given_seed().is_none() {
        assert_eq!(
            explained.len(),
            differences::REASONS,
            "a reason is out of date"
        );
    }
}

/// For the person who asks upstream again.
#[expect(clippy::print_stdout, reason = "a person reads it")]
fn print(counts: &BTreeMap<&str, [usize; 2]>, explained: &BTreeMap<&str, usize>) {
    for (kind, [taken, refused]) in counts {
        println!("{kind}: {taken} taken, {refused} refused");
    }
    for (reason, count) in explained {
        println!("differs {count} times: {reason}");
    }
}

fn told(
    input: &Input,
    ours: &Result<Value, String>,
    theirs: Option<Result<Value, String>>,
) -> String {
    let difference = match (ours, theirs) {
        (Ok(_), None) => "taken here".to_owned(),
        (Err(error), None) => format!("refused here: {error}"),
        (Ok(_), Some(Err(error))) => format!("taken here, upstream: {error}"),
        (Err(error), Some(_)) => format!("refused here only: {error}"),
        (Ok(ours), Some(Ok(theirs))) => {
            let form = |it: &Value| normal::write(it.clone());
            normal::first_difference(&form(ours), &form(&theirs))
        }
    };
    let texts = [
        ("config", &input.config),
        ("jobs", &input.jobs),
        ("in-repo", &input.in_repo),
        ("plugins", &input.plugins),
    ];
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let texts: Vec<String> = texts
        .map(|(name, text)| format!("  {name}: {text}"))
        .collect();
    format!("{difference}\n{}", texts.join("\n"))
}

#[test]
fn every_field_and_every_kind_of_scalar_occurs() {
    let inputs = inputs();
    let texts = || {
        let all = inputs.iter();
        all.flat_map(|it| [&it.config, &it.jobs, &it.in_repo, &it.plugins])
    };
    for scalar in fields::SCALARS {
        let written = format!(": {scalar}");
        assert!(
            texts().any(|text| text.contains(&written)),
            "{scalar} occurs nowhere"
        );
    }
    let keys: BTreeSet<&str> = texts()
        .flat_map(|text| text.split("\": "))
        .filter_map(|before| before.rsplit('"').next())
        .collect();
    for field in fields::fields() {
        let mut names = field
            .place
            .iter()
            .rev()
            .filter(|it| !["-", "*"].contains(it));
        let name = names.next().expect("a field has a name");
        assert!(keys.contains(name), "{name} occurs nowhere");
    }
}
