//! Which lists are keyed, which are sets, and which maps are atomic. Merging and field ownership
//! depend on it.

use serde_json::Value;

use super::super::resource::{ResourceSchema, ServedResource};
use super::super::schema::{ListType, StructuralSchema};

/// The position of a value in its kind's type.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldTyping<'a> {
    /// A built-in kind: decided by the names of the fields.
    BuiltIn,
    /// A custom kind: decided by its schema. `None` below what the schema describes.
    Custom(Option<&'a StructuralSchema>),
}

/// The keys of built-in kinds' lists, by field name.
const LIST_KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("hostAliases", &["ip"]),
    (
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("addresses", &["type"]),
];

/// Maps of the built-in kinds that have one owner as a whole.
const ATOMIC_MAPS: &[&str] = &[
    "selector",
    "nodeSelector",
    "fieldRef",
    "secretKeyRef",
    "configMapKeyRef",
    "resourceFieldRef",
    "roleRef",
];

impl<'a> FieldTyping<'a> {
    pub(super) fn for_resource(resource: &'a ServedResource) -> Self {
        match &resource.shape {
            ResourceSchema::Schema(schema, _) => Self::Custom(Some(schema)),
            ResourceSchema::Typed(_) => Self::BuiltIn,
        }
    }

    /// The typing of a field. Metadata is of the same type in every kind.
    pub(super) fn field_typing(self, name: &str, at_root: bool) -> Self {
        match self {
            Self::Custom(_) if at_root && name == "metadata" => Self::BuiltIn,
            Self::BuiltIn => Self::BuiltIn,
            Self::Custom(schema) => {
                Self::Custom(schema.and_then(|schema| schema.field_schema(name)))
            }
        }
    }

    pub(super) fn element_typing(self) -> Self {
        match self {
            Self::BuiltIn => Self::BuiltIn,
            Self::Custom(schema) => Self::Custom(schema.and_then(StructuralSchema::items)),
        }
    }

    /// Whether the map in the field `name` is atomic.
    pub(super) fn is_atomic_map(self, name: &str) -> bool {
        match self {
            Self::BuiltIn => ATOMIC_MAPS.contains(&name),
            Self::Custom(schema) => schema.is_some_and(|schema| schema.atomic_map),
        }
    }

    /// How the list in the field `name` is merged.
    pub(super) fn list_type(self, name: &str, elements: &[Value]) -> ListType {
        let Self::BuiltIn = self else {
            let Self::Custom(Some(schema)) = self else {
                return ListType::Atomic;
            };
            return schema.list.clone();
        };
        let keyed =
            |keys: &[&str]| ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect());
        match name {
            "finalizers" => ListType::Set,
            // A container's ports and a service's have different keys.
            "ports"
                if elements
                    .iter()
                    .any(|one| one.get("containerPort").is_some()) =>
            {
                keyed(&["containerPort", "protocol"])
            }
            "ports" if elements.iter().any(|one| one["port"].is_number()) => {
                keyed(&["port", "protocol"])
            }
            _ => LIST_KEYS
                .iter()
                .find(|(list, _)| *list == name)
                .map_or(ListType::Atomic, |(_, keys)| keyed(keys)),
        }
    }
}

/// The key of a list's element, as in `k:{…}`.
pub(super) fn key_of(element: &Value, keys: &[String]) -> Value {
    let part = |key: &String| {
        let value = element.get(key).cloned();
        let default = if key == "protocol" {
            Value::from("TCP")
        } else {
            Value::Null
        };
        (key.clone(), value.unwrap_or(default))
    };
    Value::Object(keys.iter().map(part).collect())
}
