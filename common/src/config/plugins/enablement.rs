//! `plugins`: which plugin is enabled where.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess},
};

use crate::prowjob::null_default;

/// Plugins by `org` or `org/repo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Enablement(pub BTreeMap<String, OrgPlugins>);

/// One entry: a list of names, or an object that also excludes repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgPlugins {
    pub plugins: Vec<String>,
    /// Repositories of the organisation, by their bare name.
    pub excluded_repos: Vec<String>,
}

impl Enablement {
    pub(super) fn is_enabled(&self, plugin: &str, org: &str, repo: &str) -> bool {
        let names = |key: &str| {
            self.0
                .get(key)
                .filter(|entry| entry.plugins.iter().any(|name| name == plugin))
        };
        names(&format!("{org}/{repo}")).is_some()
            || names(org)
                .is_some_and(|entry| !entry.excluded_repos.iter().any(|excluded| excluded == repo))
    }
}

impl<'de> Deserialize<'de> for OrgPlugins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    #[serde(deserialize_with = "null_default")]
    plugins: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    excluded_repos: Vec<String>,
}

/// Told apart by its form, so that a wrong name inside keeps its place.
struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = OrgPlugins;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of plugins, or plugins and excluded_repos")
    }

    fn visit_unit<E: de::Error>(self) -> Result<OrgPlugins, E> {
        Ok(OrgPlugins::default())
    }

    fn visit_none<E: de::Error>(self) -> Result<OrgPlugins, E> {
        Ok(OrgPlugins::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OrgPlugins, A::Error> {
        Ok(OrgPlugins {
            plugins: Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?,
            excluded_repos: Vec::new(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OrgPlugins, A::Error> {
        let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(OrgPlugins {
            plugins: object.plugins,
            excluded_repos: object.excluded_repos,
        })
    }
}
