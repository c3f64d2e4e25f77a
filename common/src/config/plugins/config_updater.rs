//! `config_updater`: which files of a repository become which `ConfigMap`s.

use std::collections::{BTreeMap, btree_map::Entry};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::{SectionDiagnostics, did_you_mean};
use crate::{
    config::ConfigPath,
    prowjob::{DEFAULT_CLUSTER, null_default},
};

/// One byte of a hash chooses the partition of a file.
const MAX_PARTITIONS: usize = 256;

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigUpdater {
    /// Names for sets of clusters.
    #[serde(deserialize_with = "null_default")]
    pub cluster_groups: BTreeMap<String, ClusterGroup>,
    /// By path in the repository, with `*` and `**`; unless set, `config/prow/config.yaml` goes to
    /// `config` and `config/prow/plugins.yaml` to `plugins`.
    #[serde(deserialize_with = "null_default")]
    pub maps: BTreeMap<String, ConfigMapSpec>,
    /// Contents are compressed.
    #[serde(deserialize_with = "null_default")]
    pub gzip: bool,
}

/// The same namespaces of several clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClusterGroup {
    #[serde(deserialize_with = "null_default")]
    pub clusters: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub namespaces: Vec<String>,
}

/// A `ConfigMap`, and the clusters and namespaces it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigMapSpec {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Several `ConfigMap`s that share the files, since one holds 1 MB; instead of `name`.
    #[serde(deserialize_with = "null_default")]
    pub partitioned_names: Vec<String>,
    /// The file's base name unless set.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// The setting of the section unless set.
    pub gzip: Option<bool>,
    /// Namespaces by cluster; the namespace of `ProwJob`s in `default` unless set.
    #[serde(deserialize_with = "null_default")]
    pub clusters: BTreeMap<String, Vec<String>>,
    /// Names of `cluster_groups`, instead of `clusters`.
    #[serde(deserialize_with = "null_default")]
    pub cluster_groups: Vec<String>,
    /// The key is the whole path, with `-` for `/`.
    #[serde(deserialize_with = "null_default")]
    pub use_full_path_as_key: bool,
    /// Repositories (`org` or `org/repo`) whose files are used; all unless set.
    #[serde(deserialize_with = "null_default")]
    pub allowed_repos: Vec<String>,
    /// Repositories whose files are not used, even if allowed.
    #[serde(deserialize_with = "null_default")]
    pub denied_repos: Vec<String>,
}

impl ConfigUpdater {
    pub(super) fn set_defaults(&mut self) {
        if self.maps.is_empty() {
            for name in ["config", "plugins"] {
                let spec = ConfigMapSpec {
                    name: name.to_owned(),
                    ..ConfigMapSpec::default()
                };
                self.maps.insert(format!("config/prow/{name}.yaml"), spec);
            }
        }
        for spec in self.maps.values_mut() {
            if spec.clusters.is_empty() && spec.cluster_groups.is_empty() {
                spec.clusters
                    .insert(DEFAULT_CLUSTER.to_owned(), vec![String::new()]);
            }
        }
    }

    pub(super) fn check_config_updater(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("config_updater");
        let maps = section.key("maps");
        let mut keys = BTreeMap::new();
        for (file, spec) in &self.maps {
            let place = maps.key(file);
            self.check_config_map(spec, &place, report);
            spec.check_keys(file, &mut keys, &place, report);
        }
    }

    fn check_config_map(
        &self,
        spec: &ConfigMapSpec,
        place: &ConfigPath<'_>,
        report: &mut SectionDiagnostics<'_>,
    ) {
        if !spec.name.is_empty() && !spec.partitioned_names.is_empty() {
            report.add_diagnostic(
                "config-map-name",
                &place.key("partitioned_names"),
                "name and partitioned_names exclude each other",
            );
        }
        let partitions = spec.partitioned_names.len();
        if partitions > MAX_PARTITIONS {
            report.add_diagnostic(
                "config-map-partitions",
                &place.key("partitioned_names"),
                format!("found {partitions} names, expected at most {MAX_PARTITIONS}"),
            );
        }
        if !spec.clusters.is_empty() {
            if !spec.cluster_groups.is_empty() {
                report.add_diagnostic(
                    "config-map-clusters",
                    &place.key("cluster_groups"),
                    "clusters and cluster_groups exclude each other",
                );
            }
            return;
        }
        let list = place.key("cluster_groups");
        for (index, group) in spec.cluster_groups.iter().enumerate() {
            if !self.cluster_groups.contains_key(group) {
                report.add_with_hint(
                    "config-map-cluster-group",
                    &list.index(index),
                    format!("{group:?} is not in config_updater.cluster_groups"),
                    did_you_mean(group, self.cluster_groups.keys().map(String::as_str)),
                );
            }
        }
    }
}

/// A key of a `ConfigMap` in a namespace of a cluster.
type ConfigMapKey<'a> = (&'a str, &'a str, String, &'a str);

impl ConfigMapSpec {
    /// Refuses two files with the same key. `seen` has the file of each key.
    fn check_keys<'a>(
        &'a self,
        file: &'a str,
        seen: &mut BTreeMap<ConfigMapKey<'a>, &'a str>,
        place: &ConfigPath<'_>,
        report: &mut SectionDiagnostics<'_>,
    ) {
        let name = if self.name.is_empty() {
            self.partitioned_names.join(",")
        } else {
            self.name.clone()
        };
        let key = if self.key.is_empty() {
            file.rsplit('/').next().unwrap_or(file)
        } else {
            &self.key
        };
        for (cluster, namespaces) in &self.clusters {
            for namespace in namespaces {
                match seen.entry((cluster, namespace, name.clone(), key)) {
                    Entry::Vacant(entry) => {
                        entry.insert(file);
                    }
                    Entry::Occupied(entry) if *entry.get() == file => {}
                    Entry::Occupied(entry) => {
                        let first = entry.get();
                        let message =
                            format!("the key {key:?} of ConfigMap {name:?} is already {first:?}");
                        return report.add_diagnostic("config-map-key", place, message);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn every_file_has_one_place_that_is_its_own() {
        let many = format!("a.yaml: {{partitioned_names: [{}]}}", ["p"; 257].join(", "));
        for (maps, message) in [
            (
                "a.yaml: {name: c, partitioned_names: [a, b]}",
                r#"plugins.yaml:3:23: config_updater.maps."a.yaml".partitioned_names: name and partitioned_names exclude each other"#,
            ),
            (
                &many,
                r#"plugins.yaml:3:14: config_updater.maps."a.yaml".partitioned_names: found 257 names, expected at most 256"#,
            ),
            (
                "x/a.yaml: {name: c}\n    y/a.yaml: {name: c}",
                r#"plugins.yaml:4:5: config_updater.maps."y/a.yaml": the key "a.yaml" of ConfigMap "c" is already "x/a.yaml""#,
            ),
            (
                "a.yaml: {name: c, clusters: {x: [ns]}, cluster_groups: [g]}",
                r#"plugins.yaml:3:44: config_updater.maps."a.yaml".cluster_groups: clusters and cluster_groups exclude each other"#,
            ),
            (
                "a.yaml: {name: c, cluster_groups: [bulid]}\n  cluster_groups: {build: {clusters: [x], namespaces: [ns]}}",
                r#"plugins.yaml:3:40: config_updater.maps."a.yaml".cluster_groups[0]: "bulid" is not in config_updater.cluster_groups; did you mean "build"?"#,
            ),
        ] {
            let text = format!("config_updater:\n  maps:\n    {maps}");
            assert_eq!(refused(&text), message);
        }
        loaded(
            "config_updater: {maps: {x/a: {name: c, clusters: {x: [ns]}}, y/a: {name: c, clusters: {x: [m]}}}}",
        );
    }

    #[test]
    fn prows_own_files_are_the_default() {
        let maps = loaded("").config_updater.maps;
        let names: Vec<_> = maps
            .iter()
            .map(|(file, spec)| (&**file, &*spec.name))
            .collect();
        assert_eq!(
            names,
            [
                ("config/prow/config.yaml", "config"),
                ("config/prow/plugins.yaml", "plugins")
            ]
        );
        assert!(maps.values().all(|spec| spec.clusters["default"] == [""]));
    }
}
