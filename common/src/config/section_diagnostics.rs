//! The diagnostics of the rules for `config.yaml` and `plugins.yaml`, with their sources.

use std::collections::BTreeMap;

use super::{
    ConfigPath, GoRegexp, diagnostic::nearest_name, diagnostics::Diagnostics, source_map::SourceMap,
};
use crate::{
    prowjob::{ProwJob, ProwJobSpec, ProwJobStatus},
    template::{self, GoTemplate},
};

/// Collects the diagnostics of the sections' rules.
pub(super) struct SectionDiagnostics<'a> {
    pub(super) places: &'a SourceMap,
    pub(super) findings: &'a mut Diagnostics,
}

impl SectionDiagnostics<'_> {
    pub(super) fn add_diagnostic(
        &mut self,
        rule: &'static str,
        path: &ConfigPath<'_>,
        message: impl Into<String>,
    ) {
        self.add_with_hint(rule, path, message, None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: &'static str,
        path: &ConfigPath<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let (file, there) = self.places.locate_path(path);
        self.findings
            .add_with_hint(rule, &file, &ConfigPath::Below(&there), message, hint);
    }

    /// Checks that a text is a regular expression under Go's rules.
    pub(super) fn check_pattern(
        &mut self,
        path: &ConfigPath<'_>,
        source: &str,
    ) -> Option<GoRegexp> {
        match GoRegexp::new(source) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                self.add_diagnostic("regexp", path, message);
                None
            }
        }
    }

    /// Checks a Go template.
    pub(super) fn check_template(&mut self, path: &ConfigPath<'_>, text: &str) {
        self.check_template_calling(path, text, &[]);
    }

    /// Checks a Go template that calls further functions.
    pub(super) fn check_template_calling(
        &mut self,
        path: &ConfigPath<'_>,
        text: &str,
        also: &[&str],
    ) {
        self.take_template(path, GoTemplate::parse_with_functions(text, also));
    }

    /// Checks a Go template over a job of each type.
    pub(super) fn check_job_template(
        &mut self,
        path: &ConfigPath<'_>,
        text: &str,
    ) -> Option<GoTemplate> {
        self.take_template(path, GoTemplate::parse_for_jobs(text))
    }

    /// Checks a Go template that Prow also tries on a job without any values.
    pub(super) fn check_empty_job_template(&mut self, path: &ConfigPath<'_>, text: &str) {
        let mut empty = ProwJob::new("", ProwJobSpec::default());
        empty.status = Some(ProwJobStatus::default());
        if let Some(template) = self.check_job_template(path, text)
            && let Err(error) = template.render_job(&empty)
        {
            let message = format!("{error}; it has to take a job of which nothing is known");
            self.add_diagnostic("template", path, message);
        }
    }

    fn take_template(
        &mut self,
        path: &ConfigPath<'_>,
        parsed: Result<GoTemplate, template::GoTemplateError>,
    ) -> Option<GoTemplate> {
        parsed
            .map_err(|error| self.add_diagnostic("template", path, error.to_string()))
            .ok()
    }

    /// A repository or organisation may be in one entry only; `repos` has each entry's list.
    pub(super) fn check_listed_once<'r>(
        &mut self,
        section: &str,
        repos: impl Iterator<Item = &'r Vec<String>>,
    ) {
        let section = ConfigPath::Root.key(section);
        let mut seen = BTreeMap::new();
        for (index, repos) in repos.enumerate() {
            let entry = section.index(index);
            let list = entry.key("repos");
            for (at, repo) in repos.iter().enumerate() {
                let Some(first) = seen.insert(repo, index) else {
                    continue;
                };
                self.add_diagnostic(
                    "repository-twice",
                    &list.index(at),
                    format!("{repo:?} is already listed in {}", section.index(first)),
                );
            }
        }
    }
}

/// `did you mean …?`, if one of `known` is similar.
pub(super) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest_name(name, known).map(|name| format!("did you mean {name:?}?"))
}
