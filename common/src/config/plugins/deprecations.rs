//! Warnings about deprecated forms in `plugins.yaml`, and about settings without effect.

use super::{PluginConfiguration, welcome};
use crate::config::ConfigPath;
use crate::config::section_diagnostics::SectionDiagnostics;

const RULE: &str = "deprecated";

pub(super) fn check_deprecations(
    plugins: &PluginConfiguration,
    report: &mut SectionDiagnostics<'_>,
) {
    let section = ConfigPath::Root.key("plugins");
    if plugins.plugins.0.is_empty() {
        report.add_diagnostic("no-plugins", &section, "no plugin is enabled anywhere");
    }
    for (key, entry) in &plugins.plugins.0 {
        if entry.is_list {
            let message = "a list of names is the older form; expected plugins: [...]";
            report.add_diagnostic(RULE, &section.key(key), message);
        }
    }
    let section = ConfigPath::Root.key("triggers");
    for (index, trigger) in plugins.triggers.iter().enumerate() {
        if !trigger.trusted_org.is_empty() {
            let entry = section.index(index);
            report.add_diagnostic(RULE, &entry.key("trusted_org"), "is deprecated in Prow");
        }
    }
    let section = ConfigPath::Root.key("repo_milestone");
    for (key, milestone) in &plugins.repo_milestone {
        if milestone.maintainers_id != 0 {
            let entry = section.key(key);
            let message = "is the older form of maintainers_team";
            report.add_diagnostic(RULE, &entry.key("maintainers_id"), message);
        }
    }
    welcome::check_templates(&plugins.welcome, report);
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, remarks};

    #[test]
    fn older_forms_load_and_are_told() {
        for (text, remark) in [
            (
                "size: {}",
                "plugins.yaml:1:1: plugins: no plugin is enabled anywhere",
            ),
            (
                "plugins: {o: [wip]}",
                "plugins.yaml:1:11: plugins.o: a list of names is the older form; expected plugins: [...]",
            ),
            (
                "plugins: {o: {}}\ntriggers: [{trusted_org: p}]",
                "plugins.yaml:2:13: triggers[0].trusted_org: is deprecated in Prow",
            ),
            (
                "plugins: {o: {}}\nrepo_milestone: {o/r: {maintainers_id: 7}}",
                r#"plugins.yaml:2:24: repo_milestone."o/r".maintainers_id: is the older form of maintainers_team"#,
            ),
        ] {
            assert_eq!(remarks(&loaded(text)), [remark]);
        }
    }
}
