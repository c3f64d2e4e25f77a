//! GitHub's own descriptions, and a check for what in a response or a webhook does not match them.
//!
//! `.ci/npm-schemas` puts them next to the checkout: npm's `@octokit/openapi` and
//! `@octokit/webhooks-schemas`.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::{Registry, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value, json};

const REST: &str = "https://schemas.test/rest";
const WEBHOOKS: &str = "https://schemas.test/webhooks";

static OPENAPI: LazyLock<Value> = LazyLock::new(|| {
    let mut description = load("openapi/api.github.com.json");
    accept_null(&mut description);
    // The description requires the account of a listed installation to be a user and an enterprise
    // at once. Its description of a single installation is right.
    let listed =
        "/paths/~1app~1installations/get/responses/200/content/application~1json/schema/items";
    let listed = description
        .pointer_mut(listed)
        .expect("installations are listed");
    *listed = json!({"$ref": "#/components/schemas/installation"});
    description
});

static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let registry = Registry::new().draft(jsonschema::Draft::Draft7);
    let registry = registry.add(REST, &*OPENAPI).expect("an address");
    let registry = registry
        .add(WEBHOOKS, load("webhooks/schema.json"))
        .expect("an address");
    registry
        .prepare()
        .expect("GitHub's descriptions are schemas")
});

fn load(name: &str) -> Value {
    let cache = std::env::var_os("PROW_TEST_CACHE")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache/prow-test")));
    let path = cache.expect("HOME or PROW_TEST_CACHE is set").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run .ci/npm-schemas first", path.display()));
    serde_json::from_str(&text).expect("a schema is JSON")
}

/// `OpenAPI` 3.0 has `nullable: true` where JSON Schema lists `null` among the types.
fn accept_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(accept_null),
        Value::Object(object) => {
            object.values_mut().for_each(accept_null);
            if object.get("nullable") == Some(&Value::Bool(true)) {
                object.remove("nullable");
                let schema = std::mem::take(object);
                object.insert("anyOf".to_owned(), json!([{"type": "null"}, schema]));
            }
        }
        _ => {}
    }
}

/// Caches validators: building one takes longer than using it.
fn validator(address: &str) -> Arc<Validator> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let build = || {
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft7)
            .with_registry(&REGISTRY)
            .build(&json!({ "$ref": address }))
            .unwrap_or_else(|error| panic!("{address}: {error}"))
    };
    Arc::clone(
        known
            .entry(address.to_owned())
            .or_insert_with(|| Arc::new(build())),
    )
}

fn complaints(what: &str, address: &str, value: &Value) -> Vec<String> {
    let validator = validator(address);
    let mut found = Vec::new();
    for error in validator.iter_errors(value) {
        explain(what, &error, &mut found);
    }
    found
}

/// If several schemas were possible, explains why each of them does not match.
fn explain(what: &str, error: &ValidationError<'_>, found: &mut Vec<String>) {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        error.kind()
    else {
        let text: String = error.to_string().chars().take(300).collect();
        found.push(format!("{what}: {text} at {}", error.instance_path()));
        return;
    };
    for inner in context.iter().flatten() {
        explain(
            &format!("{what}: one of {}", error.instance_path()),
            inner,
            found,
        );
    }
}

/// Escapes one segment of a JSON pointer.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// Explains why GitHub would not send this webhook.
pub(crate) fn webhook_complaints(event: &str, payload: &Value) -> Vec<String> {
    let kind = payload["action"].as_str().unwrap_or("event");
    complaints(
        event,
        &format!("{WEBHOOKS}#/definitions/{event}${kind}"),
        payload,
    )
}

/// Explains why GitHub would not answer so.
pub(crate) fn answer_complaints(
    method: &str,
    path: &str,
    status: u16,
    body: &Value,
) -> Vec<String> {
    let path = path.split('?').next().unwrap_or(path);
    let Some(template) = template(path) else {
        // GitHub does not have the path, so it could answer only with an error.
        return if status >= 400 {
            Vec::new()
        } else {
            vec![format!("GitHub has no {path}")]
        };
    };
    let what = format!("{method} {template} → {status}");
    let pointer = format!(
        "/paths/{}/{}/responses",
        escape(template),
        method.to_lowercase()
    );
    let Some(responses) = OPENAPI.pointer(&pointer) else {
        return if status >= 400 {
            Vec::new()
        } else {
            vec![format!("GitHub has no {method} {template}")]
        };
    };
    match responses.get(status.to_string()) {
        // Errors of authentication, permissions and limits are possible on every route, but few
        // list them.
        None if matches!(status, 400 | 401 | 403 | 404 | 422) => complaints(
            &what,
            &format!("{REST}#/components/schemas/basic-error"),
            body,
        ),
        None if status == 501 => Vec::new(),
        None => vec![format!("{what}: GitHub does not answer with this status")],
        Some(response) => {
            let (pointer, response) = match response["$ref"].as_str() {
                Some(reference) => {
                    let target = reference.trim_start_matches('#').to_owned();
                    let response = OPENAPI
                        .pointer(&target)
                        .expect("a reference leads somewhere");
                    (target, response)
                }
                None => (format!("{pointer}/{status}"), response),
            };
            if response["content"]["application/json"]["schema"].is_null() {
                return Vec::new();
            }
            let address = format!(
                "{REST}#{}/content/application~1json/schema",
                encode(&pointer)
            );
            complaints(&what, &address, body)
        }
    }
}

/// Encodes a JSON pointer for the fragment of a URL.
fn encode(pointer: &str) -> String {
    pointer.replace('{', "%7B").replace('}', "%7D")
}

/// The path of the description that matches; the most literal one if several do.
fn template(path: &str) -> Option<&'static str> {
    let paths = OPENAPI["paths"]
        .as_object()
        .expect("the description has paths");
    let fitting = paths.keys().filter(|template| fits(template, path));
    fitting
        .min_by_key(|template| {
            (
                template.matches('{').count(),
                std::cmp::Reverse(template.len()),
            )
        })
        .map(String::as_str)
}

/// A last parameter takes the rest of the path, since files and refs have slashes.
fn fits(template: &str, path: &str) -> bool {
    let template: Vec<&str> = template.split('/').collect();
    let mut path = path.splitn(template.len(), '/');
    let is_parameter = |segment: &str| segment.starts_with('{');
    let greedy = ["{path}", "{ref}", "{branch}", "{basehead}"];
    template.iter().all(|wanted| {
        path.next().is_some_and(|have| {
            let one = !have.contains('/') || greedy.contains(wanted);
            (is_parameter(wanted) && one && (!have.is_empty() || greedy.contains(wanted)))
                || have == *wanted
        })
    }) && path.next().is_none()
}
