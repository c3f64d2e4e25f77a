//! `external_plugins`: plugins that are services of their own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    prowjob::null_default,
    repo_names,
};

/// External plugins by `org` or `org/repo`.
pub type ExternalPlugins = BTreeMap<String, Vec<ExternalPlugin>>;

/// A service to which hook forwards GitHub's deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalPlugin {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// `http://<name>` unless set.
    #[serde(deserialize_with = "null_default")]
    pub endpoint: String,
    /// GitHub's names of the events it wants; all unless set.
    #[serde(deserialize_with = "null_default")]
    pub events: Vec<String>,
}

impl ExternalPlugin {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.endpoint, &format!("http://{}", self.name));
    }
}

/// A repository has its organisation's external plugins anyway, so it may not repeat them.
pub(super) fn check_external_plugins(
    external: &ExternalPlugins,
    report: &mut SectionDiagnostics<'_>,
) {
    let section = ConfigPath::Root.key("external_plugins");
    for (key, plugins) in external {
        let Some(shared) = key
            .split_once('/')
            .and_then(|(org, _)| repo_names::find_by_name(external, org))
        else {
            continue;
        };
        let entry = section.key(key);
        for (index, plugin) in plugins.iter().enumerate() {
            if shared.iter().any(|other| other.name == plugin.name) {
                let message = format!(
                    "{:?} is already an external plugin of the organisation",
                    plugin.name
                );
                report.add_diagnostic("external-plugin-twice", &entry.index(index), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn a_repository_does_not_repeat_its_organisations() {
        assert_eq!(
            refused(
                "external_plugins:\n  o: [{name: needs-rebase}]\n  o/r:\n  - name: other\n  - name: needs-rebase"
            ),
            r#"plugins.yaml:5:5: external_plugins."o/r"[1]: "needs-rebase" is already an external plugin of the organisation"#
        );
    }

    #[test]
    fn the_name_is_the_address() {
        let plugins =
            loaded("external_plugins: {o: [{name: a}, {name: b, endpoint: 'http://b:81'}]}");
        let endpoints: Vec<_> = plugins.external_plugins["o"]
            .iter()
            .map(|plugin| plugin.endpoint.as_str())
            .collect();
        assert_eq!(endpoints, ["http://a", "http://b:81"]);
    }
}
