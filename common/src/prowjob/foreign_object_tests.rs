//! Objects that other programs made: a missing field has Go's default, and hides no object.

use serde_json::{Value, json};

use super::{PathStrategy, ProwJob, ProwJobState, ProwJobType, build_prowjob_crd};

fn parse_prowjob(object: Value) -> ProwJob {
    serde_json::from_value(object).unwrap()
}

#[test]
fn what_is_missing_hides_no_object() {
    for (what, object) in [
        ("no status", json!({"metadata": {}, "spec": {}})),
        (
            "an empty one",
            json!({"metadata": {}, "spec": {}, "status": {}}),
        ),
        (
            "nulls",
            json!({
                "metadata": {},
                "spec": {"job": null, "agent": null, "refs": null, "pod_spec": null},
                "status": {"state": null, "startTime": null, "prev_report_states": null},
            }),
        ),
    ] {
        let job = parse_prowjob(object);
        assert_eq!(job.spec.job_type, ProwJobType::Unset, "{what}");
        assert_eq!(job.state(), ProwJobState::Triggered, "{what}");
        assert!(!job.is_complete(), "{what}");
        assert!(!job.spec.agent.is_kubernetes(), "{what}");
        let written = serde_json::to_value(&job).unwrap();
        assert_eq!(written["spec"], json!({}), "{what}");
    }
}

#[test]
fn what_nobody_knows_hides_no_object() {
    let job = parse_prowjob(json!({
        "metadata": {},
        "spec": {
            "type": "presubmit",
            "job": "unit",
            "refs": {"pulls": [{"number": -1}, {"number": 7}, {}]},
            "reporter_config": {"slack": {"job_states_to_report": ["failure", "lost"]}},
            "decoration_config": {
                "default_memory_request": 1024,
                "gcs_configuration": {"path_strategy": ""},
            },
        },
        "status": {"prev_report_states": {"a": "success", "b": "lost"}},
    }));
    let numbers = job.spec.refs.unwrap().pulls;
    let numbers: Vec<u64> = numbers.iter().map(|pull| pull.number).collect();
    assert_eq!(numbers, [0, 7, 0]);
    let slack = job.spec.reporter_config.unwrap().slack.unwrap();
    assert_eq!(
        slack.job_states_to_report,
        Some(vec!["failure".to_owned(), "lost".to_owned()])
    );
    let decoration = job.spec.decoration_config.unwrap();
    assert_eq!(decoration.default_memory_request.as_deref(), Some("1024"));
    let strategy = decoration.gcs_configuration.unwrap().path_strategy;
    assert_eq!(strategy, None::<PathStrategy>);
    let told = job.status.unwrap().prev_report_states;
    assert_eq!(told, [("a".to_owned(), ProwJobState::Success)].into());
}

#[test]
fn the_crd_requires_a_spec_and_nothing_of_it() {
    let crd = serde_json::to_value(build_prowjob_crd()).unwrap();
    let object = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(object["required"], json!(["spec"]));
    let mut schemas: Vec<&Value> = object["properties"].as_object().unwrap().values().collect();
    while let Some(schema) = schemas.pop() {
        assert_eq!(schema.get("required"), None, "{schema}");
        schemas.extend(schema.get("items"));
        let fields = schema.get("properties").and_then(Value::as_object);
        schemas.extend(fields.into_iter().flat_map(|fields| fields.values()));
    }
}
