use serde_json::json;

use super::*;

fn base() -> Value {
    json!({
        "metadata": {"labels": {"a": "1"}, "finalizers": ["x"]},
        "spec": {
            "containers": [{"name": "one", "image": "a", "args": ["x", "y"]}, {"name": "two", "image": "b"}],
            "tolerations": [{"key": "k"}],
            "ports": [{"port": 80, "nodePort": 30001}],
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        },
    })
}

/// Applies a patch of the spec and returns what is at a path in it.
fn patched(spec: Value, at: &str) -> Value {
    let body = Bytes::from(json!({"spec": spec}).to_string());
    let patched = strategic_merge_patch(&base(), &body).unwrap();
    patched["spec"].pointer(at).cloned().unwrap_or_default()
}

#[test]
fn keyed_lists_are_merged_by_their_key() {
    let merged = patched(
        json!({"containers": [{"name": "two", "image": "c"}]}),
        "/containers",
    );
    let one = json!({"name": "one", "image": "a", "args": ["x", "y"]});
    assert_eq!(merged, json!([one, {"name": "two", "image": "c"}]));

    let added = patched(json!({"containers": [{"name": "three"}]}), "/containers/2");
    assert_eq!(added, json!({"name": "three"}));

    let deleted = patched(
        json!({"containers": [{"name": "one", "$patch": "delete"}]}),
        "/containers",
    );
    assert_eq!(deleted, json!([{"name": "two", "image": "b"}]));

    let replaced = patched(
        json!({"containers": [{"$patch": "replace"}, {"name": "x"}]}),
        "/containers",
    );
    assert_eq!(replaced, json!([{"name": "x"}]));

    let order = json!([{"name": "two"}, {"name": "one"}]);
    let ordered = patched(
        json!({"$setElementOrder/containers": order}),
        "/containers/0/name",
    );
    assert_eq!(ordered, "two");

    let port = patched(json!({"ports": [{"port": 80, "name": "http"}]}), "/ports");
    assert_eq!(
        port,
        json!([{"port": 80, "nodePort": 30001, "name": "http"}])
    );
}

#[test]
fn other_lists_are_replaced() {
    let args = patched(
        json!({"containers": [{"name": "one", "args": ["z"]}]}),
        "/containers/0/args",
    );
    assert_eq!(args, json!(["z"]));
    let tolerations = patched(json!({"tolerations": [{"key": "n"}]}), "/tolerations");
    assert_eq!(tolerations, json!([{"key": "n"}]));
}

#[test]
fn maps_obey_their_directives() {
    let retained = patched(
        json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        "/strategy",
    );
    assert_eq!(retained, json!({"type": "Recreate"}));
    let replaced = patched(
        json!({"strategy": {"$patch": "replace", "type": "Recreate"}}),
        "/strategy",
    );
    assert_eq!(replaced, json!({"type": "Recreate"}));
    assert_eq!(
        patched(json!({"strategy": {"$patch": "delete"}}), "/strategy"),
        Value::Null
    );
    assert_eq!(patched(json!({"strategy": null}), "/strategy"), Value::Null);
}

#[test]
fn sets_are_joined_and_left() {
    let finalizers = |patch: Value| {
        let body = Bytes::from(json!({"metadata": patch}).to_string());
        strategic_merge_patch(&base(), &body).unwrap()["metadata"]["finalizers"].clone()
    };
    assert_eq!(
        finalizers(json!({"finalizers": ["y", "x"]})),
        json!(["x", "y"])
    );
    assert_eq!(
        finalizers(json!({"$deleteFromPrimitiveList/finalizers": ["x"]})),
        json!([])
    );
}

#[test]
fn wrong_patches_are_refused() {
    for wrong in [
        json!({"spec": {"containers": [{"image": "no key"}]}}),
        json!({"spec": {"$patch": "explode"}}),
        json!([]),
    ] {
        assert!(
            strategic_merge_patch(&base(), &Bytes::from(wrong.to_string())).is_err(),
            "{wrong}"
        );
    }
}
