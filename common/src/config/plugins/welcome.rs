//! `welcome`: the message for first-time contributors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{
    config::ConfigPath,
    prowjob::null_default,
    template::{GoTemplate, GoTemplateError},
};

/// A message for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WelcomeConfig {
    /// `org` or `org/repo`, each in one entry only.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// A Go template over `Org`, `Repo`, `AuthorLogin` and `AuthorName`.
    #[serde(deserialize_with = "null_default")]
    pub message_template: String,
    /// Posted on every pull request, also for members.
    #[serde(deserialize_with = "null_default")]
    pub always_post: bool,
}

pub(super) fn check_welcome(entries: &[WelcomeConfig], report: &mut SectionDiagnostics<'_>) {
    report.check_listed_once("welcome", entries.iter().map(|entry| &entry.repos));
}

/// Prow accepts a template that does not parse, and then welcomes nobody.
pub(super) fn check_templates(entries: &[WelcomeConfig], report: &mut SectionDiagnostics<'_>) {
    let section = ConfigPath::Root.key("welcome");
    for (index, entry) in entries.iter().enumerate() {
        if let Err(error) = try_template(&entry.message_template) {
            let entry = section.index(index);
            report.add_diagnostic(
                "template",
                &entry.key("message_template"),
                error.to_string(),
            );
        }
    }
}

/// Parses a template and renders it once, so that a misspelt field is found.
fn try_template(template: &str) -> Result<(), GoTemplateError> {
    GoTemplate::parse_template(template)?.render_data(&WelcomePrInfo::default())?;
    Ok(())
}

/// The data of a message, under the names that templates use.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WelcomePrInfo {
    org: String,
    repo: String,
    author_login: String,
    author_name: String,
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused, remarks};

    #[test]
    fn a_repository_has_one_message() {
        assert_eq!(
            refused("welcome:\n- repos: [o, o/r]\n- repos:\n  - o"),
            r#"plugins.yaml:4:5: welcome[1].repos[0]: "o" is already listed in welcome[0]"#
        );
    }

    #[test]
    fn a_message_is_a_template_over_the_pull_request() {
        for (template, message) in [
            (
                "'Hi {{.AuthorLogin}'",
                "plugins.yaml:2:3: welcome[0].message_template: line 1, column 18: unexpected character: '}'",
            ),
            (
                "'Hi {{.Author}}'",
                "plugins.yaml:2:3: welcome[0].message_template: line 1, column 6: the data has no field Author",
            ),
        ] {
            let text = format!("welcome:\n- message_template: {template}\nplugins: {{o: {{}}}}");
            assert_eq!(remarks(&loaded(&text)), [message]);
        }
        let plugins = loaded(
            "plugins: {o: {}}\nwelcome: [{message_template: '{{.Org}}/{{.Repo}}: {{if .AuthorName}}{{.AuthorName}}{{else}}{{.AuthorLogin}}{{end}}'}]",
        );
        assert_eq!(remarks(&plugins), [""; 0]);
    }
}
