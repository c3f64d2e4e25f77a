//! `plugins`: which plugin is enabled in which repository.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::known_plugins::KNOWN_PLUGINS;
use crate::{
    config::{
        ConfigPath,
        section_diagnostics::{SectionDiagnostics, did_you_mean},
    },
    repo_names::{find_by_name, is_same_name},
};

/// Two plugins that do the same, of which a repository may have one.
const EXCLUSIVE_PLUGINS: [&str; 2] = ["blunderbuss", "rifle"];

/// Plugins by `org` or `org/repo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EnabledPlugins(pub BTreeMap<String, OrgPlugins>);

/// One entry: a list of names (Prow's older form), or an object that also excludes repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrgPlugins {
    pub plugins: Vec<String>,
    /// Repositories of the organisation, by their bare name.
    pub excluded_repos: Vec<String>,
    /// Whether the file has a list of names.
    #[serde(skip)]
    pub(super) is_list: bool,
    /// Unknown fields. Only this parser tells the two forms apart, so nothing else finds them.
    #[serde(skip)]
    unknown: Vec<String>,
}

/// The fields of an entry.
const ORG_PLUGINS_FIELDS: [&str; 2] = ["plugins", "excluded_repos"];

impl OrgPlugins {
    fn has_plugin(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|name| name == plugin)
    }

    /// Whether the repository, by its bare name, is excluded.
    pub fn excludes_repo(&self, repo: &str) -> bool {
        let mut excluded = self.excluded_repos.iter();
        excluded.any(|excluded| is_same_name(excluded, repo))
    }

    /// Calls `tell` with the path of the plugin at `index`.
    fn at_plugin(&self, entry: &ConfigPath<'_>, index: usize, tell: impl FnOnce(&ConfigPath<'_>)) {
        if self.is_list {
            tell(&entry.index(index));
        } else {
            tell(&entry.key("plugins").index(index));
        }
    }
}

impl EnabledPlugins {
    pub(super) fn is_enabled(&self, plugin: &str, org: &str, repo: &str) -> bool {
        let names = |key: &str| find_by_name(&self.0, key).filter(|entry| entry.has_plugin(plugin));
        names(&format!("{org}/{repo}")).is_some()
            || names(org).is_some_and(|entry| !entry.excludes_repo(repo))
    }

    /// The organisation's entry, if `key` is a repository that it applies to.
    fn shared_with<'a>(&'a self, key: &'a str) -> Option<(&'a str, &'a OrgPlugins)> {
        let (org, repo) = key.split_once('/')?;
        let entry = find_by_name(&self.0, org)?;
        (!entry.excludes_repo(repo)).then_some((org, entry))
    }

    pub(super) fn check_enablement(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("plugins");
        for (key, entry) in &self.0 {
            let place = section.key(key);
            let shared = self.shared_with(key);
            for (index, name) in entry.plugins.iter().enumerate() {
                if let Some((org, _)) = shared.filter(|(_, shared)| shared.has_plugin(name)) {
                    let message = format!("{name:?} is already enabled for all of {org}");
                    entry.at_plugin(&place, index, |path| {
                        report.add_diagnostic("plugin-twice", path, message);
                    });
                }
            }
            let own = EXCLUSIVE_PLUGINS.map(|name| entry.has_plugin(name));
            let above = EXCLUSIVE_PLUGINS
                .map(|name| shared.is_some_and(|(_, shared)| shared.has_plugin(name)));
            let both = own == [true, true] || own[0] && above[1] || own[1] && above[0];
            if both {
                let from = shared.filter(|_| own != [true, true]);
                let from = from.map_or(String::new(), |(org, _)| {
                    format!("; the other is enabled for all of {org}")
                });
                let message = format!(
                    "{} exclude each other{from}",
                    EXCLUSIVE_PLUGINS.join(" and ")
                );
                report.add_diagnostic("exclusive-plugins", &place, message);
            }
        }
    }

    /// Reports unknown fields of entries.
    pub(super) fn check_fields(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("plugins");
        for (key, entry) in &self.0 {
            let place = section.key(key);
            for name in &entry.unknown {
                let hint = did_you_mean(name, ORG_PLUGINS_FIELDS);
                let hint = hint
                    .unwrap_or_else(|| format!("known here: {}", ORG_PLUGINS_FIELDS.join(", ")));
                report.add_with_hint(
                    "unknown-field",
                    &place.key(name),
                    format!("unknown field {name:?}"),
                    Some(hint),
                );
            }
        }
    }

    /// Reports names that no plugin has.
    pub(super) fn check_names(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("plugins");
        for (key, entry) in &self.0 {
            let place = section.key(key);
            for (index, name) in entry.plugins.iter().enumerate() {
                if !KNOWN_PLUGINS.contains(&name.as_str()) {
                    entry.at_plugin(&place, index, |path| {
                        report.add_with_hint(
                            "unknown-plugin",
                            path,
                            format!("no plugin is called {name:?}"),
                            did_you_mean(name, KNOWN_PLUGINS),
                        );
                    });
                }
            }
        }
    }
}

impl JsonSchema for OrgPlugins {
    fn schema_name() -> Cow<'static, str> {
        "OrgPlugins".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<String>>();
        json_schema!({
            "anyOf": [
                {
                    "type": "object",
                    "properties": { "plugins": list, "excluded_repos": list },
                },
                list,
            ]
        })
    }
}

impl<'de> Deserialize<'de> for OrgPlugins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_org_plugins(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Parses an entry in either form.
fn parse_org_plugins(value: Value) -> Result<OrgPlugins, String> {
    let mut entry = OrgPlugins::default();
    match value {
        Value::Null => {}
        Value::Array(_) => {
            entry.plugins = parse_names(value)?;
            entry.is_list = true;
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                match ORG_PLUGINS_FIELDS.map(|field| key.eq_ignore_ascii_case(field)) {
                    [true, _] => entry.plugins = parse_names(value)?,
                    [_, true] => entry.excluded_repos = parse_names(value)?,
                    _ => entry.unknown.push(key),
                }
            }
        }
        other => {
            let found = describe_value(&other);
            return Err(format!(
                "found {found}, expected {}",
                ORG_PLUGINS_FIELDS.join(" and ")
            ));
        }
    }
    Ok(entry)
}

fn parse_names(value: Value) -> Result<Vec<String>, String> {
    let name = |value| match value {
        Value::String(name) => Ok(name),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        other => Err(format!("found {}, expected a name", describe_value(&other))),
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.into_iter().map(name).collect(),
        other => Err(format!(
            "found {}, expected a list of names",
            describe_value(&other)
        )),
    }
}

fn describe_value(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn a_plugin_is_enabled_in_one_place() {
        for (entries, message) in [
            (
                "o: [hold, wip]\n  o/r: [size, wip]",
                r#"plugins.yaml:3:15: plugins."o/r"[1]: "wip" is already enabled for all of o"#,
            ),
            (
                "o: {plugins: [wip]}\n  o/r: {plugins: [wip]}",
                r#"plugins.yaml:3:19: plugins."o/r".plugins[0]: "wip" is already enabled for all of o"#,
            ),
            (
                "o: [rifle, blunderbuss]",
                "plugins.yaml:2:3: plugins.o: blunderbuss and rifle exclude each other",
            ),
            (
                "o: [rifle]\n  o/r: [blunderbuss]",
                r#"plugins.yaml:3:3: plugins."o/r": blunderbuss and rifle exclude each other; the other is enabled for all of o"#,
            ),
        ] {
            assert_eq!(refused(&format!("plugins:\n  {entries}")), message);
        }
        loaded(
            "plugins:\n  o: {plugins: [wip, rifle], excluded_repos: [r]}\n  o/r: [wip, blunderbuss]",
        );
    }

    #[test]
    fn names_of_plugins_are_known() {
        let plugins = loaded("plugins:\n  o: [lgtm, triger]\n  o/r: {plugins: [needs-rebase]}");
        let told: Vec<_> = plugins
            .unknown_plugins()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                r#"plugins.yaml:2:13: plugins.o[1]: no plugin is called "triger"; did you mean "trigger"?"#,
                r#"plugins.yaml:3:19: plugins."o/r".plugins[0]: no plugin is called "needs-rebase""#,
            ]
        );
    }

    #[test]
    fn both_forms_are_read_and_told_apart() {
        let plugins = loaded("plugins: {o: {Plugins: [wip], exclude_repos: [r]}, p: , q: [wip]}");
        assert!(plugins.is_enabled("wip", "o", "r") && plugins.is_enabled("wip", "q", "r"));
        assert_eq!(
            plugins.unknown_fields()[0].to_string(),
            r#"plugins.yaml:1:31: plugins.o.exclude_repos: unknown field "exclude_repos"; did you mean "excluded_repos"?"#
        );
        for (entry, message) in [
            (
                "{plugins: wip}",
                r#"plugins.yaml:2:3: plugins.o: found "wip", expected a list of names"#,
            ),
            (
                "[[wip]]",
                "plugins.yaml:2:3: plugins.o: found a list, expected a name",
            ),
            (
                "wip",
                r#"plugins.yaml:2:3: plugins.o: found "wip", expected plugins and excluded_repos"#,
            ),
        ] {
            assert_eq!(refused(&format!("plugins:\n  o: {entry}")), message);
        }
    }
}
