//! Further parts of `plugins.yaml`: what they may say, and how it is put together.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde_json::Value;

use super::{Bugzilla, Label, Plugins, report::Places};
use crate::config::{Path, Segment, findings::Findings};

/// What a further part may say.
const MERGEABLE: &str = "plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla, label.restricted_labels";

const TWICE: &str = "supplemental-twice";

/// Puts one part into the whole.
pub(super) struct Merge<'a> {
    pub(super) whole: &'a mut Plugins,
    pub(super) file: Arc<str>,
    pub(super) findings: &'a mut Findings,
}

impl Merge<'_> {
    pub(super) fn part(mut self, mut part: Plugins) {
        for section in part.not_mergeable() {
            let mut path = vec![Segment::Key(section.clone())];
            if section == "label" {
                path.push(Segment::Key("additional_labels".to_owned()));
            }
            self.findings.add(
                "supplemental-section",
                &self.file,
                &Path::Below(&path),
                format!("only --plugin-config may say this; a further part has {MERGEABLE}"),
            );
        }
        let Merge { whole, file, .. } = &mut self;
        let Plugins { places, .. } = whole;
        append(&mut whole.approve, part.approve, "approve", file, places);
        append(&mut whole.lgtm, part.lgtm, "lgtm", file, places);
        append(&mut whole.triggers, part.triggers, "triggers", file, places);
        append(&mut whole.welcome, part.welcome, "welcome", file, places);

        let plugins = std::mem::take(&mut part.plugins.0);
        let mut into = std::mem::take(&mut self.whole.plugins.0);
        self.entries(&mut into, plugins, &["plugins"]);
        self.whole.plugins.0 = into;
        let mut into = std::mem::take(&mut self.whole.external_plugins);
        self.entries(&mut into, part.external_plugins, &["external_plugins"]);
        self.whole.external_plugins = into;
        self.bugzilla(part.bugzilla);
        self.label(part.label);
    }

    /// Entries of a mapping: each key is in one file.
    fn entries<T>(
        &mut self,
        into: &mut BTreeMap<String, T>,
        from: BTreeMap<String, T>,
        at: &[&str],
    ) {
        for (key, entry) in from {
            let path = below(at, &key);
            match into.entry(key) {
                Entry::Occupied(_) => self.twice(&path),
                Entry::Vacant(place) => {
                    place.insert(entry);
                    self.moved(path);
                }
            }
        }
    }

    fn bugzilla(&mut self, part: Bugzilla) {
        let mut whole = std::mem::take(&mut self.whole.bugzilla);
        self.one(
            &mut whole.default,
            part.default,
            &below(&["bugzilla"], "default"),
        );
        for (name, org) in part.orgs {
            let at = ["bugzilla", "orgs", &name];
            let into = whole.orgs.entry(name.clone()).or_default();
            self.one(&mut into.default, org.default, &below(&at, "default"));
            let at = ["bugzilla", "orgs", &name, "repos"];
            self.entries(&mut into.repos, org.repos, &at);
        }
        self.whole.bugzilla = whole;
    }

    fn one<T>(&mut self, into: &mut Option<T>, from: Option<T>, path: &[Segment]) {
        match (&into, from) {
            (_, None) => {}
            (Some(_), Some(_)) => self.twice(path),
            (None, from) => {
                *into = from;
                self.moved(path.to_vec());
            }
        }
    }

    /// Labels of a repository may come from several files, each label from one.
    fn label(&mut self, part: Label) {
        for (key, labels) in part.restricted_labels {
            let list = below(&["label", "restricted_labels"], &key);
            let into = self.whole.label.restricted_labels.entry(key).or_default();
            let known = into.len();
            let mut twice = Vec::new();
            for (index, label) in labels.into_iter().enumerate() {
                let mut there = list.clone();
                there.push(Segment::Index(index));
                if into[..known].iter().any(|old| old.label == label.label) {
                    twice.push((there, label.label));
                    continue;
                }
                let mut whole = list.clone();
                whole.push(Segment::Index(into.len()));
                let file = Arc::clone(&self.file);
                self.whole.places.moved.push((whole, file, there));
                into.push(label);
            }
            for (there, label) in twice {
                let message = format!("{label:?} is already restricted in another file");
                let path = Path::Below(&there);
                self.findings.add(TWICE, &self.file, &path, message);
            }
        }
    }

    fn twice(&mut self, path: &[Segment]) {
        let (first, _) = self.whole.places.of(&Path::Below(path));
        let message = format!("is already in {first}");
        self.findings
            .add(TWICE, &self.file, &Path::Below(path), message);
    }

    fn moved(&mut self, path: Vec<Segment>) {
        let file = Arc::clone(&self.file);
        self.whole.places.moved.push((path.clone(), file, path));
    }
}

impl Plugins {
    /// Sections that only the main file may have.
    pub(super) fn not_mergeable(&self) -> Vec<String> {
        let rest = Self {
            plugins: super::Enablement::default(),
            external_plugins: BTreeMap::new(),
            approve: Vec::new(),
            lgtm: Vec::new(),
            triggers: Vec::new(),
            welcome: Vec::new(),
            bugzilla: Bugzilla::default(),
            label: Label {
                restricted_labels: BTreeMap::new(),
                ..self.label.clone()
            },
            ..self.clone()
        };
        let sections = |plugins: &Self| match serde_json::to_value(plugins) {
            Ok(Value::Object(sections)) => sections,
            _ => serde_json::Map::new(),
        };
        let nothing = sections(&Self::default());
        let mut written = sections(&rest);
        written.retain(|name, value| nothing.get(name) != Some(&*value));
        written.into_iter().map(|(name, _)| name).collect()
    }
}

fn append<T>(into: &mut Vec<T>, from: Vec<T>, section: &str, file: &Arc<str>, places: &mut Places) {
    for (index, entry) in from.into_iter().enumerate() {
        let at = |index| vec![Segment::Key(section.to_owned()), Segment::Index(index)];
        places
            .moved
            .push((at(into.len()), Arc::clone(file), at(index)));
        into.push(entry);
    }
}

fn below(at: &[&str], key: &str) -> Vec<Segment> {
    let keys = at.iter().copied().chain([key]);
    keys.map(|key| Segment::Key(key.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(main: &str, part: &str) -> Result<Plugins, String> {
        let files = [("plugins.yaml", main), ("o/x_pluginconfig.yaml", part)];
        let files = files.map(|(file, text)| (Arc::from(file), text.to_owned()));
        Plugins::assemble(&files).map_err(|errors| errors.to_string())
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
