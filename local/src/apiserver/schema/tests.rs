use serde_json::{Value, json};

use super::StructuralSchema;

fn schema() -> StructuralSchema {
    StructuralSchema::parse_schema(&json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["job"],
                "properties": {
                    "job": {"type": "string", "minLength": 1, "pattern": "^[a-z-]+$"},
                    "type": {"type": "string", "enum": ["presubmit", "periodic"]},
                    "max_concurrency": {"type": "integer", "minimum": 0},
                    "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "pod_spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "refs": {"type": "array", "items": {"type": "object", "properties": {"org": {"type": "string"}}}},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "replicas": {"type": "integer", "default": 1},
                    "gone": {"type": "string", "nullable": true},
                },
            },
            "status": {
                "type": "object",
                "properties": {"state": {"type": "string"}, "at": {"type": "string", "format": "date-time"}},
                "anyOf": [
                    {"not": {"properties": {"state": {"enum": ["success"]}}}},
                    {"required": ["at"]},
                ],
            },
        },
    }))
}

#[test]
fn what_breaks_the_schema_is_told_by_field() {
    let cases: &[(&str, Value, &[&str])] = &[
        ("nothing wrong", json!({"spec": {"job": "a"}}), &[]),
        ("required", json!({"spec": {}}), &["spec.job"]),
        ("type", json!({"spec": {"job": 1}}), &["spec.job"]),
        (
            "too short and no match",
            json!({"spec": {"job": ""}}),
            &["spec.job", "spec.job"],
        ),
        (
            "enum",
            json!({"spec": {"job": "a", "type": "x"}}),
            &["spec.type"],
        ),
        (
            "minimum",
            json!({"spec": {"job": "a", "max_concurrency": -1}}),
            &["spec.max_concurrency"],
        ),
        (
            "whole number",
            json!({"spec": {"job": "a", "max_concurrency": 1.5}}),
            &["spec.max_concurrency"],
        ),
        (
            "int or string: int",
            json!({"spec": {"job": "a", "port": 1}}),
            &[],
        ),
        (
            "int or string: string",
            json!({"spec": {"job": "a", "port": "http"}}),
            &[],
        ),
        (
            "int or string: list",
            json!({"spec": {"job": "a", "port": []}}),
            &["spec.port"],
        ),
        (
            "inside a list",
            json!({"spec": {"job": "a", "refs": [{"org": 1}]}}),
            &["spec.refs[0].org"],
        ),
        (
            "map values",
            json!({"spec": {"job": "a", "labels": {"x": 1}}}),
            &["spec.labels.x"],
        ),
        (
            "null where allowed",
            json!({"spec": {"job": "a", "gone": null}}),
            &[],
        ),
        (
            "null where not",
            json!({"spec": {"job": null}}),
            &["spec.job"],
        ),
        (
            "anyOf holds by required",
            json!({"status": {"state": "success", "at": "2026-01-01T00:00:00Z"}}),
            &[],
        ),
        (
            "anyOf broken",
            json!({"status": {"state": "success"}}),
            &["status"],
        ),
        (
            "date-time",
            json!({"status": {"at": "noon"}}),
            &["status.at"],
        ),
    ];
    for (name, object, expected) in cases {
        let fields: Vec<String> = schema()
            .validate_value(object)
            .into_iter()
            .map(|cause| cause.field)
            .collect();
        assert_eq!(&fields, expected, "{name}");
    }
}

#[test]
fn unknown_fields_fall_away_unless_preserved() {
    let mut object = json!({
        "apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "stray": 1,
        "spec": {
            "job": "a", "unknown": 1,
            "pod_spec": {"containers": [{"image": "x"}]},
            "refs": [{"org": "o", "extra": true}],
            "labels": {"any": "thing"},
        },
    });
    let dropped = schema().prune_unknown_fields(&mut object);
    assert_eq!(dropped, ["stray", "spec.unknown", "spec.refs[0].extra"]);
    assert_eq!(object["spec"]["pod_spec"]["containers"][0]["image"], "x");
    assert_eq!(object["spec"]["labels"]["any"], "thing");
    assert_eq!(object["metadata"]["name"], "a");
}

#[test]
fn defaults_are_filled_in() {
    let mut object = json!({"spec": {"job": "a"}});
    schema().fill_defaults(&mut object);
    assert_eq!(object, json!({"spec": {"job": "a", "replicas": 1}}));
    let mut object = json!({"spec": {"job": "a", "replicas": null}});
    schema().fill_defaults(&mut object);
    assert_eq!(object["spec"]["replicas"], 1);
}
