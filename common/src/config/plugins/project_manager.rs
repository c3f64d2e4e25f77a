//! `project_manager`: which labels put an issue into which column of a classic project board.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// By `org` or `org/repo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectManager {
    #[serde(rename = "orgsRepos", deserialize_with = "null_default")]
    pub orgs_repos: BTreeMap<String, ManagedRepo>,
}

/// Boards by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedRepo {
    #[serde(deserialize_with = "null_default")]
    pub projects: BTreeMap<String, ManagedProject>,
}

/// A board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedProject {
    #[serde(deserialize_with = "null_default")]
    pub columns: Vec<ManagedColumn>,
}

/// A column, and the issues that go into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedColumn {
    /// GitHub's number of the column; takes precedence over the name.
    pub id: Option<i64>,
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// `open`, `closed` or `all`.
    #[serde(deserialize_with = "null_default")]
    pub state: String,
    /// The issue must have all of them.
    #[serde(deserialize_with = "null_default")]
    pub labels: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub org: String,
}

const RULE: &str = "project-manager";

impl ProjectManager {
    pub(super) fn check_project_manager(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("project_manager");
        let section = section.key("orgsRepos");
        for (repo, managed) in &self.orgs_repos {
            let entry = section.key(repo);
            if managed.projects.is_empty() {
                report.add_diagnostic(RULE, &entry, "has no projects");
            }
            let projects = entry.key("projects");
            for (name, project) in &managed.projects {
                check_columns(&project.columns, &projects.key(name), report);
            }
        }
    }
}

fn check_columns(
    columns: &[ManagedColumn],
    project: &ConfigPath<'_>,
    report: &mut SectionDiagnostics<'_>,
) {
    if columns.is_empty() {
        report.add_diagnostic(RULE, project, "has no columns");
    }
    let list = project.key("columns");
    let mut seen = BTreeMap::new();
    for (index, column) in columns.iter().enumerate() {
        let place = list.index(index);
        if column.id.is_none() && column.name.is_empty() {
            report.add_diagnostic(RULE, &place, "has neither id nor name");
        }
        if column.labels.is_empty() {
            report.add_diagnostic(RULE, &place, "has no labels");
        }
        if column.org.is_empty() {
            report.add_diagnostic(RULE, &place, "has no org");
        }
        let labels: BTreeSet<_> = column.labels.iter().collect();
        if !labels.is_empty()
            && let Some(first) = seen.insert(labels, index)
        {
            let message = format!("has the same labels as {}", list.index(first));
            report.add_diagnostic(RULE, &place.key("labels"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn every_column_is_one_of_its_own() {
        for (yaml, message) in [
            (
                "o: {}",
                "plugins.yaml:3:5: project_manager.orgsRepos.o: has no projects",
            ),
            (
                "o: {projects: {p: {}}}",
                "plugins.yaml:3:20: project_manager.orgsRepos.o.projects.p: has no columns",
            ),
            (
                "o: {projects: {p: {columns: [{labels: [a], org: o}]}}}",
                "plugins.yaml:3:34: project_manager.orgsRepos.o.projects.p.columns[0]: has neither id nor name",
            ),
            (
                "o: {projects: {p: {columns: [{id: 1, org: o}]}}}",
                "plugins.yaml:3:34: project_manager.orgsRepos.o.projects.p.columns[0]: has no labels",
            ),
            (
                "o/r: {projects: {p: {columns: [{name: n, labels: [a]}]}}}",
                r#"plugins.yaml:3:36: project_manager.orgsRepos."o/r".projects.p.columns[0]: has no org"#,
            ),
            (
                "o: {projects: {p: {columns: [{id: 1, labels: [a, b], org: o}, {id: 2, labels: [b, a], org: o}]}}}",
                "plugins.yaml:3:75: project_manager.orgsRepos.o.projects.p.columns[1].labels: has the same labels as project_manager.orgsRepos.o.projects.p.columns[0]",
            ),
        ] {
            let text = format!("project_manager:\n  orgsRepos:\n    {yaml}");
            assert_eq!(refused(&text), message);
        }
    }
}
