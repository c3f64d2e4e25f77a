//! The JSON Schemas of job files, with which editors complete and check them.
//!
//! They are made from the types that parse the files, as draft 7, which the YAML language server
//! supports best. Like the parser, they allow a field to be empty. A field that the parser does
//! not know is refused, so that an editor underlines a misspelt one.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::job::{InRepoFile, JobFile};

/// The schema of `prow-jobs.yaml`, `.prow.yaml` and the files below `.prow/`, in both their forms:
/// lists of jobs, and lists by repository.
pub fn prow_jobs_schema() -> Value {
    let mut schema = build_schema::<InRepoFile>(
        "urn:prow:schema:prow-jobs",
        "The jobs of a repository (prow-jobs.yaml, .prow.yaml, .prow/*.yaml)",
    );
    for section in ["presubmits", "postsubmits"] {
        let field = &mut schema["properties"][section];
        let mut list = field.take();
        let description = list
            .as_object_mut()
            .and_then(|list| list.remove("description"))
            .unwrap_or_default();
        *field = json!({
            "description": description,
            "anyOf": [list, {"type": ["object", "null"], "additionalProperties": list}],
        });
    }
    schema
}

/// The schema of the files below `--job-config-path`.
pub fn job_file_schema() -> Value {
    build_schema::<JobFile>("urn:prow:schema:jobs", "Jobs of an installation")
}

fn build_schema<T: JsonSchema>(id: &str, title: &str) -> Value {
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    adapt_schema(&mut schema);
    // A job's only container needs no name.
    if let Some(container) = schema["definitions"]["io.k8s.api.core.v1.Container"].as_object_mut() {
        container.remove("required");
    }
    widen_presets(&mut schema["definitions"]);
    schema["$id"] = id.into();
    schema["title"] = title.into();
    schema
}

/// Adapts this schema and all below it from what serde accepts to what a file may contain.
fn adapt_schema(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    // The defaults of the parsed types are empty values, which would only be in the way.
    schema.remove("default");
    if schema.contains_key("properties") {
        schema.entry("additionalProperties").or_insert(false.into());
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        schema.remove("type");
        schema.remove("anyOf");
        schema.insert("type".into(), json!(["string", "number", "null"]));
    } else if !schema.contains_key("enum") && !schema.contains_key("const") {
        allow_null(schema);
    }
    for keyword in ["properties", "definitions"] {
        let below = schema.get_mut(keyword).and_then(Value::as_object_mut);
        below
            .into_iter()
            .flatten()
            .for_each(|(_, below)| adapt_schema(below));
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let below = schema.get_mut(keyword).and_then(Value::as_array_mut);
        below.into_iter().flatten().for_each(adapt_schema);
    }
    for keyword in ["items", "additionalProperties"] {
        schema.get_mut(keyword).into_iter().for_each(adapt_schema);
    }
}

/// The labels and variables of a preset may be numbers, as Prow reads them there.
fn widen_presets(definitions: &mut Value) {
    let scalar = json!(["string", "number", "boolean", "null"]);
    let mut variable = definitions["io.k8s.api.core.v1.EnvVar"].clone();
    variable["properties"]["value"]["type"] = scalar.clone();
    definitions["PresetEnvVar"] = variable;
    let preset = &mut definitions["Preset"]["properties"];
    preset["labels"]["additionalProperties"]["type"] = scalar;
    preset["env"]["items"] = json!({"$ref": "#/definitions/PresetEnvVar"});
}

/// Every field may be empty.
fn allow_null(schema: &mut serde_json::Map<String, Value>) {
    let mut kinds: Vec<Value> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str().into()],
        Some(Value::Array(kinds)) => kinds.clone(),
        _ => return,
    };
    let null = json!("null");
    if !kinds.contains(&null) {
        kinds.push(null);
    }
    schema.insert("type".into(), kinds.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(schema: &Value, file: Value) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).unwrap();
        validator
            .iter_errors(&file)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    fn job() -> Value {
        json!({
            "name": "unit",
            "labels": {"preset-x": "true"},
            "always_run": true,
            "branches": ["main"],
            "spec": {"containers": [{
                "image": "golang",
                "env": [{"name": "N", "value": "5"}],
                "resources": {"limits": {"cpu": 2, "memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
            }]},
        })
    }

    #[test]
    fn the_forms_of_a_repositorys_file_are_accepted() {
        let schema = prow_jobs_schema();
        for file in [
            json!({"presubmits": [job()], "presets": [{"labels": {"a": "b"}}]}),
            json!({"presubmits": {"o/r": [job()]}, "postsubmits": null}),
        ] {
            assert_eq!(errors(&schema, file), Vec::<String>::new());
        }
        let preset = json!({"labels": {"a": true}, "env": [{"name": "N", "value": 5}]});
        assert_eq!(
            errors(&schema, json!({"presets": [preset]})),
            Vec::<String>::new()
        );
        let periodics = json!({"periodics": [{"name": "nightly"}]});
        assert_eq!(errors(&schema, periodics).len(), 1);
    }

    #[test]
    fn a_misspelt_field_is_not() {
        let schema = job_file_schema();
        let file = |job: Value| json!({"presubmits": {"o/r": [job]}});
        assert_eq!(errors(&schema, file(job())), Vec::<String>::new());
        for (at, name, value) in [
            ("", "alway_run", json!(true)),
            ("/spec", "container", json!([])),
            ("/spec/containers/0", "imag", json!("x")),
            ("", "branches", json!("main")),
            ("", "max_concurrency", json!("many")),
            ("/spec/containers/0/env/0", "value", json!(5)),
        ] {
            let mut job = job();
            job.pointer_mut(at).unwrap()[name] = value;
            assert!(!errors(&schema, file(job)).is_empty(), "{at} {name}");
        }
    }

    #[test]
    fn every_field_of_a_job_is_described() {
        for schema in [prow_jobs_schema(), job_file_schema()] {
            let definitions = schema["definitions"].as_object().unwrap();
            let jobs = definitions.iter().filter(|(_, definition)| {
                definition["properties"].get("max_concurrency").is_some()
            });
            for (name, job) in jobs {
                for (field, schema) in job["properties"].as_object().unwrap() {
                    assert!(schema.get("description").is_some(), "{name}.{field}");
                }
            }
        }
    }
}
