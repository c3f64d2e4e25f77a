//! The kinds that the API serves: Kubernetes' own, and those of `CustomResourceDefinitions`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::builtin;
use super::schema::StructuralSchema;

/// One resource in one version, with all that differs between kinds.
#[derive(Debug)]
pub(crate) struct ServedResource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Has a `/status` subresource; writes to the object itself do not change the status.
    pub(crate) status: bool,
    pub(crate) shape: ResourceSchema,
    /// `additionalPrinterColumns` of a custom kind.
    pub(crate) columns: Vec<PrinterColumn>,
    id: Arc<str>,
}

/// How an object of a kind is validated and pruned.
#[derive(Debug)]
pub(crate) enum ResourceSchema {
    /// Decoded into Kubernetes' own type and encoded again.
    Typed(builtin::BuiltinType),
    /// By the schema of its `CustomResourceDefinition`, parsed and as given.
    Schema(Box<StructuralSchema>, Value),
}

/// One column of `kubectl get`.
#[derive(Debug, Clone)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) path: String,
    pub(crate) priority: i64,
}

impl ServedResource {
    /// `plural`, or `plural.group`. The name in messages, and the table in the store.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.shape, ResourceSchema::Schema(..))
    }

    pub(super) fn from_builtin(entry: &builtin::BuiltinKind) -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Self {
            group: entry.group.to_owned(),
            version: entry.version.to_owned(),
            kind: entry.kind.to_owned(),
            plural: entry.plural.to_owned(),
            singular: entry.kind.to_lowercase(),
            short_names: words(entry.short_names),
            categories: words(entry.categories),
            namespaced: entry.namespaced,
            status: entry.status,
            shape: ResourceSchema::Typed(entry.of),
            columns: Vec::new(),
            id: resource_id(entry.plural, entry.group),
        }
    }

    /// The resource that a version of a `CustomResourceDefinition` describes. `None` if it is not
    /// served.
    pub(super) fn from_crd_version(crd: &Value, version: &Value) -> Option<Self> {
        if version["served"] != true {
            return None;
        }
        let spec = &crd["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| {
            value
                .as_array()
                .map(|all| all.iter().map(text).collect())
                .unwrap_or_default()
        };
        let names = &spec["names"];
        let schema = &version["schema"]["openAPIV3Schema"];
        let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
        Some(Self {
            id: resource_id(&plural, &group),
            version: text(&version["name"]),
            kind: text(&names["kind"]),
            singular: names["singular"]
                .as_str()
                .map_or_else(|| text(&names["kind"]).to_lowercase(), str::to_owned),
            short_names: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            namespaced: spec["scope"] == "Namespaced",
            status: version["subresources"]["status"].is_object(),
            shape: ResourceSchema::Schema(
                Box::new(StructuralSchema::parse_schema(schema)),
                schema.clone(),
            ),
            columns: version["additionalPrinterColumns"]
                .as_array()
                .into_iter()
                .flatten()
                .map(parse_printer_column)
                .collect(),
            group,
            plural,
        })
    }
}

fn resource_id(plural: &str, group: &str) -> Arc<str> {
    if group.is_empty() {
        Arc::from(plural)
    } else {
        Arc::from(format!("{plural}.{group}"))
    }
}

fn parse_printer_column(value: &Value) -> PrinterColumn {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    PrinterColumn {
        name: text("name"),
        kind: text("type"),
        description: text("description"),
        path: text("jsonPath"),
        priority: value["priority"].as_i64().unwrap_or_default(),
    }
}

/// Every served resource, by the parts of its URL: (group, version, plural).
#[derive(Debug, Default)]
pub(crate) struct ResourceRegistry {
    resources: BTreeMap<(String, String, String), Arc<ServedResource>>,
}

impl ResourceRegistry {
    /// Registers the built-in kinds and the given `CustomResourceDefinitions`.
    pub(crate) fn new(crds: impl Iterator<Item = Value>) -> Self {
        let mut registry = Self::default();
        for entry in builtin::BUILTIN_KINDS {
            registry.add_resource(ServedResource::from_builtin(entry));
        }
        for crd in crds {
            let versions = crd["spec"]["versions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            versions
                .iter()
                .filter_map(|version| ServedResource::from_crd_version(&crd, version))
                .for_each(|one| registry.add_resource(one));
        }
        registry
    }

    fn add_resource(&mut self, resource: ServedResource) {
        let place = (
            resource.group.clone(),
            resource.version.clone(),
            resource.plural.clone(),
        );
        self.resources.insert(place, Arc::new(resource));
    }

    pub(crate) fn find_resource(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<&Arc<ServedResource>> {
        self.resources
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The resource whose objects are in the store's table `id`, in any served version.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<ServedResource>> {
        self.resources
            .values()
            .find(|resource| &**resource.id() == id)
    }

    pub(crate) fn list_resources(&self) -> impl Iterator<Item = &Arc<ServedResource>> {
        self.resources.values()
    }
}
