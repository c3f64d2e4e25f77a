//! What a document may contain, taken from the types' own JSON Schemas. A graph: a type that is
//! used in many places is there once.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    sync::{LazyLock, Mutex},
};

use k8s_openapi::{
    api::core::v1::{Affinity, ResourceRequirements, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

/// The kinds of values at every place of a document.
#[derive(Debug)]
pub(super) struct Shape {
    kinds: Vec<Kind>,
    root: KindId,
}

pub(super) type KindId = usize;

/// Anything at all, in every shape.
pub(super) const ANY: KindId = 0;

/// The kind of a value.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Any,
    Text,
    /// One of these.
    Word(Vec<String>),
    Integer,
    /// A whole number from zero on, of 64 bits.
    Unsigned,
    /// A whole number of 32 bits.
    Int32,
    Number,
    Bool,
    /// A moment, as RFC 3339 writes it.
    Time,
    /// An amount of Kubernetes.
    Quantity,
    /// A port: its number, or a name.
    IntOrString,
    List(KindId),
    Map(KindId),
    /// These fields.
    Fields(BTreeMap<String, KindId>),
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What a file says more freely than a `ProwJob`, and objects that a `ProwJob` keeps as written,
/// with what they mean: definition, field, schema.
const RAW: [(&str, &str, MakeSchema); 9] = [
    ("DecorationConfig", "timeout", duration),
    ("DecorationConfig", "grace_period", duration),
    (
        "DecorationConfig",
        "default_memory_request",
        schema_of::<Quantity>,
    ),
    ("Resources", "clonerefs", schema_of::<ResourceRequirements>),
    ("Resources", "initupload", schema_of::<ResourceRequirements>),
    (
        "Resources",
        "place_entrypoint",
        schema_of::<ResourceRequirements>,
    ),
    ("Resources", "sidecar", schema_of::<ResourceRequirements>),
    ("SchedulingOptions", "affinity", schema_of::<Affinity>),
    (
        "SchedulingOptions",
        "tolerations",
        schema_of::<Vec<Toleration>>,
    ),
];

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// As Go writes it, or nanoseconds.
fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

static SHAPES: LazyLock<Mutex<HashMap<TypeId, &'static Shape>>> = LazyLock::new(Mutex::default);

impl Shape {
    /// Made once for a type, and kept.
    pub(super) fn of<T: JsonSchema + 'static>() -> &'static Self {
        let mut shapes = SHAPES.lock().expect("no one panics while holding it");
        shapes
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Box::leak(Box::new(Self::generate::<T>())))
    }

    fn generate<T: JsonSchema>() -> Self {
        let mut generator = SchemaSettings::default().into_generator();
        let root = generator.subschema_for::<T>();
        let raw =
            RAW.map(|(definition, field, schema)| (definition, field, schema(&mut generator)));
        let mut definitions = generator.take_definitions(true);
        for (definition, field, schema) in raw {
            let place = definitions.get_mut(definition);
            if let Some(place) =
                place.and_then(|it| it.pointer_mut(&format!("/properties/{field}")))
            {
                *place = schema.to_value();
            }
        }
        let mut builder = Builder {
            definitions: &definitions,
            named: HashMap::new(),
            kinds: vec![Kind::Any],
        };
        let root = builder.add("", root.as_value());
        Self {
            kinds: builder.kinds,
            root,
        }
    }

    pub(super) fn root(&self) -> KindId {
        self.root
    }

    pub(super) fn kind(&self, id: KindId) -> &Kind {
        &self.kinds[id]
    }
}

struct Builder<'a> {
    definitions: &'a serde_json::Map<String, Value>,
    named: HashMap<&'a str, KindId>,
    kinds: Vec<Kind>,
}

impl<'a> Builder<'a> {
    /// `name` is that of the definition, if it has one.
    fn add(&mut self, name: &str, schema: &'a Value) -> KindId {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.definition(reference);
        }
        if let Some(only) = only_alternative(schema) {
            return self.add(name, only);
        }
        let id = self.kinds.len();
        self.kinds.push(Kind::Any);
        self.kinds[id] = self.read(name, schema);
        id
    }

    fn definition(&mut self, reference: &'a str) -> KindId {
        // JSON Pointer's escapes.
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some(id) = self.named.get(name) {
            return *id;
        }
        let definition = self.definitions.get(name);
        let schema = definition.expect("the generator defines what it refers to");
        // Known before it is read: it may contain itself.
        let id = self.kinds.len();
        self.kinds.push(Kind::Any);
        self.named.insert(name, id);
        let read = self.add(name, schema);
        self.kinds[id] = self.kinds[read].clone();
        id
    }

    fn read(&mut self, name: &str, schema: &'a Value) -> Kind {
        if schema.get("x-kubernetes-int-or-string").is_some() {
            // Two types share this mark.
            return if name.ends_with("IntOrString") {
                Kind::IntOrString
            } else {
                Kind::Quantity
            };
        }
        if name.ends_with("FieldsV1") {
            return Kind::Any;
        }
        if let Some(words) = words(schema) {
            return Kind::Word(words);
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let fields = fields
                .iter()
                .map(|(name, schema)| (name.clone(), self.add("", schema)));
            return Kind::Fields(fields.collect());
        }
        match kind(schema) {
            Some("array") => Kind::List(self.element(schema.get("items"))),
            Some("object") => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => Kind::Map(self.element(Some(values))),
                _ => Kind::Map(self.element(None)),
            },
            Some("string") if schema.get("format").is_some_and(|it| it == "date-time") => {
                Kind::Time
            }
            Some("string") => Kind::Text,
            Some("integer") if schema.get("format").is_some_and(|it| it == "int32") => Kind::Int32,
            Some("integer") if schema.get("format").is_some_and(|it| it == "uint64") => {
                Kind::Unsigned
            }
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Bool,
            _ => Kind::Any,
        }
    }

    fn element(&mut self, schema: Option<&'a Value>) -> KindId {
        match schema {
            Some(schema) => self.add("", schema),
            None => ANY,
        }
    }
}

/// The one alternative that is not `null`.
fn only_alternative(schema: &Value) -> Option<&Value> {
    let any = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())?;
    let mut real = any.iter().filter(|schema| kind(schema) != Some("null"));
    real.next().filter(|_| real.next().is_none())
}

/// The words of an enumeration.
fn words(schema: &Value) -> Option<Vec<String>> {
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    let constants: Vec<&Value> = match (schema.get("enum"), schema.get("const"), alternatives) {
        (Some(values), _, _) => values.as_array()?.iter().collect(),
        (_, Some(value), _) => vec![value],
        (_, _, Some(alternatives)) => {
            return alternatives
                .iter()
                .map(words)
                .collect::<Option<Vec<_>>>()
                .map(|words| words.concat());
        }
        _ => return None,
    };
    let texts = constants.into_iter().filter(|value| !value.is_null());
    texts
        .map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// The one type that is not `null`; none where several are allowed.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => {
            let mut real = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            real.next().filter(|_| real.next().is_none())
        }
        _ => None,
    }
}
