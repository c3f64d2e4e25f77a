//! Tolerates malformed objects, as [`kube::core::DeserializeGuard`] does. That one makes a tree of
//! every object and a copy of the tree; this one parses only malformed objects a second time.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::{PartialObjectMeta, error_boundary::InvalidObject},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::value::RawValue;

/// An object of a list or a watch, or the metadata of a malformed one; without `managedFields`. It
/// can be deserialized from JSON text only.
#[derive(Debug, Clone)]
pub struct DeserializeGuard<K>(pub Result<K, InvalidObject>);

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for DeserializeGuard<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let text = without_managed_fields(text.get());
        let error = match serde_json::from_str(&text) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let PartialObjectMeta::<K> { metadata, .. } =
            serde_json::from_str(&text).map_err(D::Error::custom)?;
        Ok(Self(Err(InvalidObject { error, metadata })))
    }
}

/// The object without `managedFields`: many small maps that no service reads.
fn without_managed_fields(object: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct ObjectWithManagedFields<'a> {
        #[serde(borrow)]
        metadata: ManagedFieldsMetadata<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ManagedFieldsMetadata<'a> {
        #[serde(borrow)]
        managed_fields: &'a RawValue,
    }
    let Ok(ObjectWithManagedFields { metadata }) = serde_json::from_str(object) else {
        return object.into();
    };
    let fields = metadata.managed_fields.get();
    // The field's text is a part of the object's text.
    let start = fields.as_ptr().addr() - object.as_ptr().addr();
    let (before, after) = (&object[..start], &object[start + fields.len()..]);
    format!("{before}null{after}").into()
}

impl<K: Resource> Resource for DeserializeGuard<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::{ObjectList, WatchEvent};

    use super::*;

    const GOOD: &str = r#"{"metadata":{"name":"good"},"spec":{"containers":[]}}"#;
    const BAD: &str = r#"{"metadata":{"name":"bad"},"spec":{"containers":"none"}}"#;

    fn read(guard: &DeserializeGuard<Pod>) -> (Option<&str>, bool) {
        (guard.meta().name.as_deref(), guard.0.is_ok())
    }

    #[test]
    fn a_malformed_object_spoils_no_list() {
        let list = format!(r#"{{"metadata":{{}},"items":[{BAD},{GOOD}]}}"#);
        let list: ObjectList<DeserializeGuard<Pod>> = serde_json::from_str(&list).unwrap();
        let all: Vec<_> = list.items.iter().map(read).collect();
        assert_eq!(all, [(Some("bad"), false), (Some("good"), true)]);
    }

    #[test]
    fn a_malformed_object_ends_no_watch() {
        for (object, expected) in [(GOOD, (Some("good"), true)), (BAD, (Some("bad"), false))] {
            let line = format!(r#"{{"type":"ADDED","object":{object}}}"#);
            match serde_json::from_str(&line).unwrap() {
                WatchEvent::Added(guard) => assert_eq!(read(&guard), expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn nobody_reads_who_wrote_which_field() {
        let text = r#"{"spec":{"managedFields":"é"},"metadata":{"name":"é","managedFields":[{"a":"}"}],"uid":"u"}}"#;
        let expected = r#"{"spec":{"managedFields":"é"},"metadata":{"name":"é","managedFields":null,"uid":"u"}}"#;
        assert_eq!(without_managed_fields(text), expected);
        assert_eq!(without_managed_fields(GOOD), GOOD);
    }

    #[test]
    fn what_has_no_metadata_is_an_error() {
        serde_json::from_str::<DeserializeGuard<Pod>>(r#"{"metadata":[]}"#).unwrap_err();
    }
}
