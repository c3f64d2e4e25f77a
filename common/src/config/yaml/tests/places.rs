//! Each scalar at each place of Prow's types, with the result of Prow's own parser (at a619408):
//! `zero` is an empty value, `error` a refusal.

use serde_json::json;

use super::*;
use crate::config::{
    ProwConfig,
    job::{InRepoFile, JobFile},
    plugins::PluginConfiguration,
};

const JOBS: [&str; 4] = ["presets", "presubmits", "postsubmits", "periodics"];

/// Quantities and durations, which Prow normalises: only whether they are accepted is compared.
const NORMALISED: [&str; 11] = [
    "cpu",
    "default_job_timeout",
    "default_memory_request",
    "divisor",
    "max_prowjob_age",
    "memory",
    "pod_pending_timeout",
    "sizeLimit",
    "sync_period",
    "tide_update_period",
    "timeout",
];

/// The document with a scalar at a place: `-` is a list's only element.
fn document(place: &[&str], scalar: &str) -> String {
    match place {
        [] => scalar.to_owned(),
        ["-", rest @ ..] => format!("[{}]", document(rest, scalar)),
        [key, rest @ ..] => format!("{{{key:?}: {}}}", document(rest, scalar)),
    }
}

fn found<T>(text: &str, go_type: GoType, place: &[&str]) -> Option<Value>
where
    T: DeserializeOwned + Default + JsonSchema + 'static,
{
    let tree = parse_tree("f", text, DocumentTrust::Operator).ok()?;
    deserialize_tree::<T>("f", tree.as_ref(), go_type, DocumentTrust::Operator).ok()?;
    let fitted = coerce_tree::<T>("f", tree.as_ref(), go_type, DocumentTrust::Operator).ok()?;
    let pointer: String = place
        .iter()
        .map(|step| {
            format!(
                "/{}",
                if *step == "-" { "0" } else { step }.replace('/', "~1")
            )
        })
        .collect();
    Some(fitted.value.pointer(&pointer).cloned().unwrap_or_default())
}

fn is_zero(value: &Value) -> bool {
    [json!(null), json!(""), json!(0), json!(false), json!("0")].contains(value)
}

#[test]
fn scalars_are_taken_where_upstream_takes_them() {
    let mut lines = include_str!("../go_scalars.tsv").lines();
    let scalars: Vec<&str> = lines.next().unwrap().split('\t').skip(1).collect();
    let mut differences = Vec::new();
    for line in lines {
        let mut cells = line.split('\t');
        let words: Vec<&str> = cells.next().unwrap().split(' ').collect();
        let (root, place) = (words[0], &words[1..]);
        for (scalar, expected) in scalars.iter().zip(cells) {
            let text = document(place, scalar);
            let ours = match root {
                // Each half of `config.yaml` is parsed by itself.
                "Config" if JOBS.contains(&place[0]) => {
                    found::<JobFile>(&text, GoType::Config, place)
                }
                "Config" => found::<ProwConfig>(&text, GoType::Config, place),
                "ProwConfig" => found::<ProwConfig>(&text, GoType::ProwConfig, place),
                "JobConfig" => found::<JobFile>(&text, GoType::JobConfig, place),
                "ProwYaml" => found::<InRepoFile>(&text, GoType::ProwYaml, place),
                _ => found::<PluginConfiguration>(&text, GoType::Plugins, place),
            };
            let agrees = match (&ours, expected) {
                (None, expected) => expected == "error",
                (Some(_), expected) if place.last().is_some_and(|it| NORMALISED.contains(it)) => {
                    expected != "error"
                }
                (Some(value), "zero") => is_zero(value),
                (Some(value), expected) => {
                    serde_json::from_str(expected).ok().as_ref() == Some(value)
                }
            };
            if !agrees {
                let ours = ours.map_or("error".to_owned(), |it| it.to_string());
                differences.push(format!(
                    "{} {scalar}: {ours}, upstream {expected}",
                    words.join(" ")
                ));
            }
        }
    }
    assert_eq!(differences.join("\n"), "");
}
