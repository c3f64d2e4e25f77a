//! `jenkins_operators`: jobs that run in Jenkins.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProwConfig, controller, selector};
use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

/// One replica of Prow's Jenkins operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JenkinsOperator {
    /// Selects the jobs of this operator, if there are several.
    pub label_selector: String,
    /// As in `plank`; here templates may also call `replace OLD NEW TEXT`.
    pub job_url_template: String,
    pub report_template: String,
    pub report_templates: BTreeMap<String, String>,
    /// How many jobs may run at once; 0 is no limit.
    pub max_concurrency: i64,
    max_goroutines: i64,
}

impl JenkinsOperator {
    /// How many `ProwJob`s are handled at once; 20 unless set.
    pub fn max_goroutines(&self) -> i64 {
        match self.max_goroutines {
            0 => 20,
            number => number,
        }
    }

    fn check_jenkins_operator(
        &self,
        path: &ConfigPath<'_>,
        is_only: bool,
        report: &mut SectionDiagnostics<'_>,
    ) {
        let selector = path.key("label_selector");
        selector::check_label_selector(&selector, &self.label_selector, report);
        if is_only && !self.label_selector.is_empty() {
            let message = "a single operator has all jobs; expected none";
            report.add_diagnostic("jenkins-selector", &selector, message);
        } else if !is_only && self.label_selector.is_empty() {
            let message = "is required where there are several operators";
            report.add_diagnostic("jenkins-selector", &selector, message);
        }
        report.check_template_calling(
            &path.key("job_url_template"),
            &self.job_url_template,
            &["replace"],
        );
        let templates = (self.report_template.as_str(), &self.report_templates);
        controller::check_report_templates(path, templates, report);
        controller::check_limits(path, self.max_concurrency, self.max_goroutines(), report);
    }
}

impl ProwConfig {
    pub(super) fn check_jenkins(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("jenkins_operators");
        let is_only = self.jenkins_operators.len() == 1;
        for (index, operator) in self.jenkins_operators.iter().enumerate() {
            operator.check_jenkins_operator(&section.index(index), is_only, report);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (operators, message) in [
            (
                "[{label_selector: a=b}]",
                "config.yaml:1:22: jenkins_operators[0].label_selector: a single operator has all jobs; expected none",
            ),
            (
                "[{label_selector: a=b}, {}]",
                "config.yaml:1:44: jenkins_operators[1].label_selector: is required where there are several operators",
            ),
            (
                "[{label_selector: a=b}, {label_selector: a b}]",
                r#"config.yaml:1:45: jenkins_operators[1].label_selector: found "a b", expected a requirement of a label, as in a=b, a!=b, a in (b, c), a or !a"#,
            ),
            (
                "[{job_url_template: '{{shout .}}'}]",
                r#"config.yaml:1:22: jenkins_operators[0].job_url_template: line 1, column 3: function "shout" is not defined"#,
            ),
            (
                "[{report_templates: {'*': '{{'}}]",
                r#"config.yaml:1:41: jenkins_operators[0].report_templates."*": line 1, column 3: unclosed action"#,
            ),
            (
                "[{max_concurrency: -1}]",
                "config.yaml:1:22: jenkins_operators[0].max_concurrency: expected 0 (no limit) or more",
            ),
            (
                "[{max_goroutines: -1}]",
                "config.yaml:1:22: jenkins_operators[0].max_goroutines: expected 1 or more",
            ),
        ] {
            assert_eq!(refused(&format!("jenkins_operators: {operators}")), message);
        }
        let config =
            loaded(r#"jenkins_operators: [{job_url_template: '{{replace "/" "-" .Spec.Job}}'}]"#);
        assert_eq!(config.jenkins_operators[0].max_goroutines(), 20);
    }
}
