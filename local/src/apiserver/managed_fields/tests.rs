use serde_json::{Value, json};

use super::super::resource::ResourceRegistry;
use super::*;

fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "metadata": {"name": "d", "labels": {"app": "d"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    })
}

/// Applies to `old` and records the manager. `None` is an object that does not exist yet.
fn applied(old: Option<&Value>, name: &str, object: &Value, force: bool) -> StatusResult<Value> {
    let registry = ResourceRegistry::new(std::iter::empty());
    let resource = registry.by_id("deployments.apps").unwrap();
    let manager = FieldManager::for_apply(name, "", resource, object);
    let mut new = match old {
        Some(old) => server_side_apply(resource, old, object, &manager, force)?,
        None => object.clone(),
    };
    update_managed_fields(resource, old, &mut new, &manager, &json!("now"));
    Ok(new)
}

fn updated(old: &Value, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let registry = ResourceRegistry::new(std::iter::empty());
    let mut new = old.clone();
    change(&mut new);
    update_managed_fields(
        registry.by_id("deployments.apps").unwrap(),
        Some(old),
        &mut new,
        &FieldManager::for_update(name, ""),
        &json!("later"),
    );
    new
}

fn managers(object: &Value) -> Vec<String> {
    parse_entries(object)
        .into_iter()
        .map(|entry| format!("{}/{}", entry.manager, entry.operation))
        .collect()
}

#[test]
fn fields_have_the_form_of_kubernetes() {
    let object = applied(None, "me", &deployment(1, "a"), false).unwrap();
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!(
        entry["fieldsV1"],
        json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}},
            }}}},
        })
    );
    assert_eq!(
        (&entry["operation"], &entry["fieldsType"]),
        (&json!("Apply"), &json!("FieldsV1"))
    );
    assert_eq!(
        fields::to_fields_v1(&fields::parse_fields_v1(&entry["fieldsV1"])),
        entry["fieldsV1"]
    );
}

#[test]
fn another_ones_field_is_a_conflict_unless_forced() {
    let object = applied(None, "one", &deployment(1, "a"), false).unwrap();
    let conflict = applied(Some(&object), "two", &deployment(2, "a"), false)
        .unwrap_err()
        .to_status();
    assert_eq!(conflict["details"]["causes"][0]["field"], ".spec.replicas");
    assert_eq!(
        conflict["details"]["causes"].as_array().unwrap().len(),
        1,
        "equal values are shared: {conflict}"
    );
    let forced = applied(Some(&object), "two", &deployment(2, "a"), true).unwrap();
    assert_eq!(forced["spec"]["replicas"], 2);
    let back = applied(Some(&forced), "one", &deployment(1, "a"), false)
        .unwrap_err()
        .to_status();
    assert_eq!(back["code"], 409, "the field has changed hands");
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_owns_it() {
    let object = applied(None, "one", &deployment(1, "a"), false).unwrap();
    let shared = updated(&object, "scaler", |object| {
        object["spec"]["replicas"] = json!(5)
    });
    let mut less = deployment(1, "a");
    less["spec"].as_object_mut().unwrap().remove("replicas");
    less["metadata"].as_object_mut().unwrap().remove("labels");
    let after = applied(Some(&shared), "one", &less, false).unwrap();
    assert_eq!(after["spec"]["replicas"], 5, "it is the scaler's");
    assert_eq!(after["metadata"].get("labels"), None);
    assert_eq!(managers(&after), ["one/Apply", "scaler/Update"]);
}

#[test]
fn an_element_that_is_no_longer_applied_goes() {
    let mut two = deployment(1, "a");
    let containers = |object: &Value| object["spec"]["template"]["spec"]["containers"].clone();
    two["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "c", "image": "a"}, {"name": "d", "image": "b"}]);
    let object = applied(None, "one", &two, false).unwrap();
    let after = applied(Some(&object), "one", &deployment(1, "a"), false).unwrap();
    assert_eq!(containers(&after), json!([{"name": "c", "image": "a"}]));
}

#[test]
fn applying_twice_changes_nothing() {
    let once = applied(None, "one", &deployment(1, "a"), false).unwrap();
    let twice = applied(Some(&once), "one", &deployment(1, "a"), false).unwrap();
    assert_eq!(once, twice);
    let touched = updated(&once, "other", |_| ());
    assert_eq!(once, touched);
}
