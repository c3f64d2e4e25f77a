//! What a document may contain, derived from the types' own JSON Schemas. A graph: a type that is
//! used in many places occurs once.

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

/// The kinds of the values in a document.
#[derive(Debug)]
pub(super) struct DocumentSchema {
    kinds: Vec<SchemaKind>,
    root: SchemaKindId,
}

pub(super) type SchemaKindId = usize;

/// Any value.
pub(super) const ANY_KIND: SchemaKindId = 0;

#[derive(Clone, Debug)]
pub(super) enum SchemaKind {
    Any,
    Text,
    /// One of these words.
    Word(Vec<String>),
    Integer,
    /// A whole number of 64 bits, at least zero.
    Unsigned,
    /// A whole number of 32 bits.
    Int32,
    Number,
    Bool,
    /// A time in RFC 3339.
    Time,
    /// A Kubernetes quantity.
    Quantity,
    /// A port: its number, or a name.
    IntOrString,
    List(SchemaKindId),
    Map(SchemaKindId),
    /// An object with these fields.
    Fields(BTreeMap<String, SchemaKindId>),
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// Values that a file may write more freely than a `ProwJob`, and objects that a `ProwJob` keeps
/// unparsed, with their schemas: definition, field, schema.
const SCHEMA_OVERRIDES: [(&str, &str, MakeSchema); 9] = [
    ("DecorationConfig", "timeout", duration_schema),
    ("DecorationConfig", "grace_period", duration_schema),
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

/// A Go duration, or nanoseconds.
fn duration_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

static DOCUMENT_SCHEMAS: LazyLock<Mutex<HashMap<TypeId, &'static DocumentSchema>>> =
    LazyLock::new(Mutex::default);

impl DocumentSchema {
    /// Generates the schema of a type once, and keeps it.
    pub(super) fn schema_for<T: JsonSchema + 'static>() -> &'static Self {
        let mut shapes = DOCUMENT_SCHEMAS
            .lock()
            .expect("no one panics while holding it");
        shapes
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Box::leak(Box::new(Self::generate_schema::<T>())))
    }

    fn generate_schema<T: JsonSchema>() -> Self {
        let mut generator = SchemaSettings::default().into_generator();
        let root = generator.subschema_for::<T>();
        let raw = SCHEMA_OVERRIDES
            .map(|(definition, field, schema)| (definition, field, schema(&mut generator)));
        let mut definitions = generator.take_definitions(true);
        for (definition, field, schema) in raw {
            let place = definitions.get_mut(definition);
            if let Some(place) =
                place.and_then(|it| it.pointer_mut(&format!("/properties/{field}")))
            {
                *place = schema.to_value();
            }
        }
        let mut builder = SchemaBuilder {
            definitions: &definitions,
            named: HashMap::new(),
            kinds: vec![SchemaKind::Any],
        };
        let root = builder.add_schema("", root.as_value());
        Self {
            kinds: builder.kinds,
            root,
        }
    }

    pub(super) fn root_kind(&self) -> SchemaKindId {
        self.root
    }

    pub(super) fn get_kind(&self, id: SchemaKindId) -> &SchemaKind {
        &self.kinds[id]
    }
}

struct SchemaBuilder<'a> {
    definitions: &'a serde_json::Map<String, Value>,
    named: HashMap<&'a str, SchemaKindId>,
    kinds: Vec<SchemaKind>,
}

impl<'a> SchemaBuilder<'a> {
    /// `name` is the definition's name, if it has one.
    fn add_schema(&mut self, name: &str, schema: &'a Value) -> SchemaKindId {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.add_definition(reference);
        }
        if let Some(only) = only_alternative(schema) {
            return self.add_schema(name, only);
        }
        let id = self.kinds.len();
        self.kinds.push(SchemaKind::Any);
        self.kinds[id] = self.read_kind(name, schema);
        id
    }

    fn add_definition(&mut self, reference: &'a str) -> SchemaKindId {
        // The names contain none of JSON Pointer's escapes.
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some(id) = self.named.get(name) {
            return *id;
        }
        let definition = self.definitions.get(name);
        let schema = definition.expect("the generator defines what it refers to");
        // Registered before it is read, because it may contain itself.
        let id = self.kinds.len();
        self.kinds.push(SchemaKind::Any);
        self.named.insert(name, id);
        let read = self.add_schema(name, schema);
        self.kinds[id] = self.kinds[read].clone();
        id
    }

    fn read_kind(&mut self, name: &str, schema: &'a Value) -> SchemaKind {
        if schema.get("x-kubernetes-int-or-string").is_some() {
            // Two types have this mark.
            return if name.ends_with("IntOrString") {
                SchemaKind::IntOrString
            } else {
                SchemaKind::Quantity
            };
        }
        if name.ends_with("FieldsV1") {
            return SchemaKind::Any;
        }
        if let Some(words) = enum_words(schema) {
            return SchemaKind::Word(words);
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let fields = fields
                .iter()
                .map(|(name, schema)| (name.clone(), self.add_schema("", schema)));
            return SchemaKind::Fields(fields.collect());
        }
        match schema_type(schema) {
            Some("array") => SchemaKind::List(self.add_element(schema.get("items"))),
            Some("object") => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => SchemaKind::Map(self.add_element(Some(values))),
                _ => SchemaKind::Map(self.add_element(None)),
            },
            Some("string") if schema.get("format").is_some_and(|it| it == "date-time") => {
                SchemaKind::Time
            }
            Some("string") => SchemaKind::Text,
            Some("integer") if schema.get("format").is_some_and(|it| it == "int32") => {
                SchemaKind::Int32
            }
            Some("integer") if schema.get("format").is_some_and(|it| it == "uint64") => {
                SchemaKind::Unsigned
            }
            Some("integer") => SchemaKind::Integer,
            Some("number") => SchemaKind::Number,
            Some("boolean") => SchemaKind::Bool,
            _ => SchemaKind::Any,
        }
    }

    fn add_element(&mut self, schema: Option<&'a Value>) -> SchemaKindId {
        match schema {
            Some(schema) => self.add_schema("", schema),
            None => ANY_KIND,
        }
    }
}

/// The only alternative that is not `null`.
fn only_alternative(schema: &Value) -> Option<&Value> {
    let any = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())?;
    let mut real = any
        .iter()
        .filter(|schema| schema_type(schema) != Some("null"));
    real.next().filter(|_| real.next().is_none())
}

/// The words of an enumeration.
fn enum_words(schema: &Value) -> Option<Vec<String>> {
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    let constants: Vec<&Value> = match (schema.get("enum"), schema.get("const"), alternatives) {
        (Some(values), _, _) => values.as_array()?.iter().collect(),
        (_, Some(value), _) => vec![value],
        (_, _, Some(alternatives)) => {
            return alternatives
                .iter()
                .map(enum_words)
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

/// The only type that is not `null`; `None` if several are allowed.
fn schema_type(schema: &Value) -> Option<&str> {
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
