//! A pod as plank reads it: of the spec only the fields it uses, since most of a pod is spec.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{self, EnvVar, PodStatus},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::Resource;
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PrunedPod {
    pub metadata: ObjectMeta,
    pub spec: PrunedPodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrunedPodSpec {
    pub containers: Vec<PrunedContainer>,
    pub init_containers: Option<Vec<PrunedContainer>>,
    pub volumes: Option<Vec<PrunedVolume>>,
    pub active_deadline_seconds: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PrunedContainer {
    pub name: String,
    pub command: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    pub env: Option<Vec<EnvVar>>,
    pub resources: PrunedResources,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PrunedResources {
    pub limits: Option<BTreeMap<String, Quantity>>,
}

impl PrunedContainer {
    /// Whether its command or args refer to variables.
    pub(super) fn has_expansions(&self) -> bool {
        let mut words = self.command.iter().chain(&self.args).flatten();
        words.any(|word| word.contains("$("))
    }

    pub(super) fn has_variable(&self, name: &str) -> bool {
        let mut variables = self.env.iter().flatten();
        variables.any(|variable| variable.name == name)
    }

    /// As written; empty for none.
    pub(super) fn memory_limit(&self) -> String {
        let limits = self.resources.limits.as_ref();
        let memory = limits.and_then(|limits| limits.get("memory"));
        memory.map(|memory| memory.0.clone()).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrunedVolume {
    pub secret: Option<PrunedReference>,
    pub config_map: Option<PrunedReference>,
    pub projected: Option<PrunedReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PrunedReference {
    pub optional: Option<bool>,
}

impl Resource for PrunedPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(of: &()) -> Cow<'_, str> {
        v1::Pod::kind(of)
    }

    fn group(of: &()) -> Cow<'_, str> {
        v1::Pod::group(of)
    }

    fn version(of: &()) -> Cow<'_, str> {
        v1::Pod::version(of)
    }

    fn plural(of: &()) -> Cow<'_, str> {
        v1::Pod::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
