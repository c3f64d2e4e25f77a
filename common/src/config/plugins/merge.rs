//! Supplemental files of `plugins.yaml`: what they may contain, and how they are merged.

use std::{collections::BTreeMap, sync::Arc};

use super::{BugzillaConfig, LabelConfig, PluginConfiguration};
use crate::config::{
    PathSegment,
    diagnostics::Diagnostics,
    source_map::{SUPPLEMENTAL_DUPLICATE, SupplementalMerge, differing_keys, key_path},
};

/// What a supplemental file may contain.
const MERGEABLE: &str = "plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla, label.restricted_labels";

impl PluginConfiguration {
    /// Merges a supplemental file.
    pub(super) fn merge_part(&mut self, part: Self, file: &Arc<str>, findings: &mut Diagnostics) {
        let mut merge = SupplementalMerge {
            places: &mut self.places,
            file: Arc::clone(file),
            findings,
        };
        for section in part.not_mergeable() {
            let mut path = key_path(&[], &section);
            if section == "label" {
                path.push(PathSegment::Key("additional_labels".to_owned()));
            }
            let message =
                format!("only --plugin-config may say this; a further part has {MERGEABLE}");
            merge.refuse_value("supplemental-section", &path, message);
        }
        merge.append_list(&mut self.approve, part.approve, &["approve"]);
        merge.append_list(&mut self.lgtm, part.lgtm, &["lgtm"]);
        merge.append_list(&mut self.triggers, part.triggers, &["triggers"]);
        merge.append_list(&mut self.welcome, part.welcome, &["welcome"]);
        merge.merge_entries(&mut self.plugins.0, part.plugins.0, &["plugins"]);
        merge.merge_entries(
            &mut self.external_plugins,
            part.external_plugins,
            &["external_plugins"],
        );
        merge_bugzilla(&mut merge, &mut self.bugzilla, part.bugzilla);
        merge_labels(&mut merge, &mut self.label, part.label);
    }

    /// Sections of this file that only the main file may have.
    pub(super) fn not_mergeable(&self) -> Vec<String> {
        let rest = Self {
            plugins: super::EnabledPlugins::default(),
            external_plugins: BTreeMap::new(),
            approve: Vec::new(),
            lgtm: Vec::new(),
            triggers: Vec::new(),
            welcome: Vec::new(),
            bugzilla: BugzillaConfig::default(),
            label: LabelConfig {
                restricted_labels: BTreeMap::new(),
                ..self.label.clone()
            },
            ..self.clone()
        };
        differing_keys(&rest, &Self::default())
    }
}

fn merge_bugzilla(
    merge: &mut SupplementalMerge<'_>,
    whole: &mut BugzillaConfig,
    part: BugzillaConfig,
) {
    let path = key_path(&["bugzilla"], "default");
    merge.merge_value(&mut whole.default, part.default, &path);
    for (name, org) in part.orgs {
        let at = ["bugzilla", "orgs", &name];
        let into = whole.orgs.entry(name.clone()).or_default();
        merge.merge_value(&mut into.default, org.default, &key_path(&at, "default"));
        let at = ["bugzilla", "orgs", &name, "repos"];
        merge.merge_entries(&mut into.repos, org.repos, &at);
    }
}

/// Labels of a repository may come from several files, but each label from one.
fn merge_labels(merge: &mut SupplementalMerge<'_>, whole: &mut LabelConfig, part: LabelConfig) {
    for (key, labels) in part.restricted_labels {
        let list = key_path(&["label", "restricted_labels"], &key);
        let into = whole.restricted_labels.entry(key).or_default();
        let known = into.len();
        for (index, label) in labels.into_iter().enumerate() {
            let at = |index| [&list[..], &[PathSegment::Index(index)]].concat();
            if into[..known].iter().any(|old| old.label == label.label) {
                let message = format!("{:?} is already restricted in another file", label.label);
                merge.refuse_value(SUPPLEMENTAL_DUPLICATE, &at(index), message);
                continue;
            }
            let file = Arc::clone(&merge.file);
            merge.places.moved.push((at(into.len()), file, at(index)));
            into.push(label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(main: &str, part: &str) -> Result<PluginConfiguration, String> {
        let files = [("plugins.yaml", main), ("o/x_pluginconfig.yaml", part)];
        let files = files.map(|(file, text)| (Arc::from(file), text.to_owned()));
        PluginConfiguration::assemble_files(&files).map_err(|errors| errors.to_string())
    }

    #[test]
    fn parts_add_up() {
        let main = "
plugins: {o: [trigger]}
lgtm: [{repos: [o], store_tree_hash: true}]
label: {additional_labels: [x], restricted_labels: {o: [{label: a}]}}
bugzilla: {orgs: {o: {repos: {r: {branches: {main: {is_open: true}}}}}}}";
        let part = "
plugins: {p: {plugins: [trigger], excluded_repos: [q]}}
external_plugins: {p: [{name: cherrypicker}]}
approve: [{repos: [p]}]
lgtm: [{repos: [p]}]
triggers: [{repos: [p], trusted_org: friends}]
welcome: [{repos: [p]}]
label: {restricted_labels: {o: [{label: b}], p: [{label: a}]}}
bugzilla: {default: {main: {}}, orgs: {o: {repos: {s: {}}}, p: {default: {}}}}";
        let plugins = merged(main, part).unwrap();
        assert!(plugins.is_enabled("trigger", "p", "r"));
        assert!(!plugins.is_enabled("trigger", "p", "q"));
        assert_eq!(
            plugins.external_plugins["p"][0].endpoint,
            "http://cherrypicker"
        );
        assert_eq!((plugins.lgtm.len(), plugins.approve.len()), (2, 1));
        assert_eq!(plugins.trigger_for("p", "r").trusted_org, "friends");
        assert_eq!(plugins.label.restricted_labels["o"].len(), 2);
        assert_eq!(plugins.bugzilla.orgs["o"].repos.len(), 2);
        assert!(plugins.bugzilla.default.is_some() && plugins.bugzilla.orgs["p"].default.is_some());
    }

    #[test]
    fn a_part_neither_repeats_nor_says_what_is_for_all() {
        for (main, part, message) in [
            (
                "plugins: {o: [trigger]}",
                "plugins:\n  o: [wip]",
                "o/x_pluginconfig.yaml:2:3: plugins.o: is already in plugins.yaml",
            ),
            (
                "external_plugins: {o: []}",
                "external_plugins:\n  o: [{name: n}]",
                "o/x_pluginconfig.yaml:2:3: external_plugins.o: is already in plugins.yaml",
            ),
            (
                "label: {restricted_labels: {o: [{label: a}]}}",
                "label:\n  restricted_labels: {o: [{label: b}, {label: a}]}",
                r#"o/x_pluginconfig.yaml:2:39: label.restricted_labels.o[1]: "a" is already restricted in another file"#,
            ),
            (
                "bugzilla: {default: {}}",
                "bugzilla: {default: {}}",
                "o/x_pluginconfig.yaml:1:12: bugzilla.default: is already in plugins.yaml",
            ),
            (
                "bugzilla: {orgs: {o: {default: {}, repos: {r: {}}}}}",
                "bugzilla: {orgs: {o: {default: {}, repos: {s: {}}}}}",
                "o/x_pluginconfig.yaml:1:23: bugzilla.orgs.o.default: is already in plugins.yaml",
            ),
            (
                "bugzilla: {orgs: {o: {repos: {r: {}}}}}",
                "bugzilla: {orgs: {o: {repos: {r: {}}}}}",
                "o/x_pluginconfig.yaml:1:31: bugzilla.orgs.o.repos.r: is already in plugins.yaml",
            ),
            (
                "{}",
                "size: {s: 1, m: 2, l: 3, xl: 4, xxl: 5}",
                "o/x_pluginconfig.yaml:1:1: size: only --plugin-config may say this; a further part has plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla, label.restricted_labels",
            ),
            (
                "{}",
                "label: {additional_labels: [x], restricted_labels: {}}",
                "o/x_pluginconfig.yaml:1:9: label.additional_labels: only --plugin-config may say this; a further part has plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla, label.restricted_labels",
            ),
        ] {
            assert_eq!(merged(main, part).unwrap_err(), message);
        }
    }

    #[test]
    fn mistakes_in_a_part_are_told_there() {
        assert_eq!(
            merged(
                "plugins: {o: [wip]}\nwelcome: [{repos: [o]}]",
                "plugins:\n  o/r: [wip]\nwelcome:\n- repos: [o]"
            )
            .unwrap_err(),
            "o/x_pluginconfig.yaml:2:9: plugins.\"o/r\"[0]: \"wip\" is already enabled for all of o\n\
             o/x_pluginconfig.yaml:4:11: welcome[0].repos[0]: \"o\" is already listed in welcome[0]"
        );
    }
}
