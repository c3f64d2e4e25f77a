use proptest::prelude::*;
use serde_json::json;

use super::*;

fn redacted(mut object: Value) -> Value {
    redact_secrets(&mut object);
    object
}

#[test]
fn what_is_secret_is_replaced_and_the_rest_stays() {
    let object = json!({
        "metadata": {"name": "1", "annotations": {
            LAST_APPLIED: "{\"a\": \"s3cr3t-value\"}", "api-token": "abc", "note": "kept"}},
        "spec": {
            "refs": {"clone_uri": "https://me:hunter22@host/o/r"},
            "unknown": {"deep": [1, null, "s3cr3t-value inside"]},
            "pod_spec": {"containers": [{
                "name": "test",
                "command": ["sh", "-c", "run --token=s3cr3t-value"],
                "args": ["--password", "two words", "--key=a b", "-v", "--token-file=/t"],
                "env": [
                    {"name": "GH_PAT", "value": "s3cr3t-value"},
                    {"name": "DB_PASS", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pass"}}},
                    {"name": "TOKEN_PATH", "value": "/etc/token"},
                    {"name": "OPTIONS", "value": "{\"args\": [\"--token\", \"x\"], \"n\": 1}"},
                ],
            }]},
        },
        "status": {"description": "failed: s3cr3t-value"},
    });
    let expected = json!({
        "metadata": {"name": "1", "annotations": {"api-token": REDACTED, "note": "kept"}},
        "spec": {
            "refs": {"clone_uri": "https://REDACTED:REDACTED@host/o/r"},
            "unknown": {"deep": [1, null, "REDACTED inside"]},
            "pod_spec": {"containers": [{
                "name": "test",
                "command": ["sh", "-c", "run --token=REDACTED"],
                "args": ["--password", REDACTED, "--key=REDACTED", "-v", "--token-file=/t"],
                "env": [
                    {"name": "GH_PAT", "value": REDACTED},
                    {"name": "DB_PASS", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pass"}}},
                    {"name": "TOKEN_PATH", "value": "/etc/token"},
                    {"name": "OPTIONS", "value": "{\"args\":[\"--token\",\"REDACTED\"],\"n\":1}"},
                ],
            }]},
        },
        "status": {"description": "failed: REDACTED"},
    });
    assert_eq!(redacted(object), expected);
}

#[test]
fn what_a_container_said_at_its_end_is_taken_out() {
    let ended = |message: Value| {
        let state = json!({"terminated": {"exitCode": 1, "message": message}});
        json!({"pod": {"status": {"containerStatuses": [{"name": "test", "state": state}]}}})
    };
    let mut expected = ended(Value::Null);
    let state = &mut expected["pod"]["status"]["containerStatuses"][0]["state"]["terminated"];
    state.as_object_mut().unwrap().remove("message");
    assert_eq!(redacted(ended("the last lines".into())), expected);
}

#[test]
fn the_data_of_a_secret_is_replaced() {
    let secret = json!({"kind": "Secret", "data": {"token": "YWJj"}, "type": "Opaque"});
    assert_eq!(
        redacted(secret),
        json!({"kind": "Secret", "data": {"token": REDACTED}, "type": "Opaque"})
    );
}

#[test]
fn what_is_no_json_is_not_guessed_at() {
    assert_eq!(redact_json(b"GH_PAT=x"), None);
    assert_eq!(
        redact_json(b"{\"a\": \"x\"}").unwrap(),
        b"{\n  \"a\": \"x\"\n}\n"
    );
}

/// Long enough to be searched for elsewhere; `REDACTED` itself would certainly be found.
fn secret() -> impl Strategy<Value = String> {
    "[!-~]{4,20}[ -~é\n]{4,20}[!-~]{1,4}".prop_filter("no variable", |text| !text.starts_with('$'))
}

/// Any JSON whose strings are too short to contain a secret.
fn unknown() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[f-j]{1,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Wherever else a secret is: JSON stays JSON, YAML stays YAML, unknown fields stay.
    #[test]
    fn what_is_redacted_is_found_nowhere(secret in secret(), unknown in unknown(), word in "[a-zA-Z0-9]{8,20}") {
        let options = json!({"entries": [{"args": ["--token", &secret]}], "text": &secret}).to_string();
        let object = json!({
            "metadata": {"name": "n", "annotations": {"note": format!("<{secret}>")}},
            "spec": {"pod_spec": {"containers": [{
                "env": [
                    {"name": "GH_PAT", "value": &secret},
                    {"name": "PLAIN", "value": format!("a{secret}b")},
                    {"name": "OPTIONS", "value": options},
                ],
                "args": [format!("--token={secret}"), "--db-pass", &secret, format!("curl https://u:{word}@h/")],
            }]}},
            "status": {"description": format!("{secret} {word}")},
            "unknown": &unknown,
        });
        let out = redact_json(&serde_json::to_vec(&object).unwrap()).unwrap();
        let back: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&back["unknown"], &unknown);
        prop_assert_eq!(&back["metadata"]["name"], "n");
        let yaml = serde_saphyr::to_string(&back).unwrap();
        let reread: Value = serde_saphyr::from_str(&yaml).unwrap();
        prop_assert_eq!(&reread, &back);
        for secret in [&secret, &word] {
            let escaped = Value::from(secret.as_str()).to_string();
            let strings = strings(&back);
            prop_assert!(!strings.contains(secret.as_str()), "{} in {}", secret, strings);
            prop_assert!(!strings.contains(&escaped[1..escaped.len() - 1]), "{} in {}", escaped, strings);
            prop_assert!(!yaml.contains(secret.as_str()));
        }
    }

    #[test]
    fn any_text_is_taken(text in any::<String>()) {
        let mut object = json!({"args": [&text, &text], "text": &text, "env": [{"name": &text, "value": &text}]});
        redact_secrets(&mut object);
        redact_text(&text);
        redact_json(text.as_bytes());
    }
}

/// All strings of an object, one per line.
fn strings(any: &Value) -> String {
    match any {
        Value::String(text) => format!("{text}\n"),
        Value::Array(list) => list.iter().map(strings).collect(),
        Value::Object(map) => map.values().map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
