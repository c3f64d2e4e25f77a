//! What the rules for `config.yaml` and `plugins.yaml` find, told at its place.

use std::collections::BTreeMap;

use super::{Path, Pattern, findings::Findings, places::Places, problem::nearest};
use crate::{
    prowjob::{ProwJob, ProwJobSpec, ProwJobStatus},
    template::{self, Template},
};

/// Takes the mistakes that the sections' rules find.
pub(super) struct Report<'a> {
    pub(super) places: &'a Places,
    pub(super) findings: &'a mut Findings,
}

impl Report<'_> {
    pub(super) fn add(&mut self, rule: &'static str, path: &Path<'_>, message: impl Into<String>) {
        self.add_with_hint(rule, path, message, None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: &'static str,
        path: &Path<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let (file, there) = self.places.of(path);
        self.findings
            .add_with_hint(rule, &file, &Path::Below(&there), message, hint);
    }

    /// A text that has to be a regular expression under Go's rules.
    pub(super) fn pattern(&mut self, path: &Path<'_>, source: &str) -> Option<Pattern> {
        match Pattern::new(source) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                self.add("regexp", path, message);
                None
            }
        }
    }

    /// A Go template.
    pub(super) fn template(&mut self, path: &Path<'_>, text: &str) {
        self.template_calling(path, text, &[]);
    }

    /// A Go template that calls further functions.
    pub(super) fn template_calling(&mut self, path: &Path<'_>, text: &str, also: &[&str]) {
        self.parsed(path, Template::calling(text, also));
    }

    /// A Go template over every kind of job.
    pub(super) fn job_template(&mut self, path: &Path<'_>, text: &str) -> Option<Template> {
        self.parsed(path, Template::for_jobs(text))
    }

    /// A Go template that Prow also tries on a job of which nothing is known.
    pub(super) fn empty_job_template(&mut self, path: &Path<'_>, text: &str) {
        let mut empty = ProwJob::new("", ProwJobSpec::default());
        empty.status = Some(ProwJobStatus::default());
        if let Some(template) = self.job_template(path, text)
            && let Err(error) = template.render_job(&empty)
        {
            let message = format!("{error}; it has to take a job of which nothing is known");
            self.add("template", path, message);
        }
    }

    fn parsed(
        &mut self,
        path: &Path<'_>,
        parsed: Result<Template, template::Error>,
    ) -> Option<Template> {
        parsed
            .map_err(|error| self.add("template", path, error.to_string()))
            .ok()
    }

    /// A repository or organisation may be in one entry only; `repos` are each entry's.
    pub(super) fn listed_once<'r>(
        &mut self,
        section: &str,
        repos: impl Iterator<Item = &'r Vec<String>>,
    ) {
        let section = Path::Root.key(section);
        let mut seen = BTreeMap::new();
        for (index, repos) in repos.enumerate() {
            let entry = section.index(index);
            let list = entry.key("repos");
            for (at, repo) in repos.iter().enumerate() {
                let Some(first) = seen.insert(repo, index) else {
                    continue;
                };
                self.add(
                    "repository-twice",
                    &list.index(at),
                    format!("{repo:?} is already listed in {}", section.index(first)),
                );
            }
        }
    }
}

/// `did you mean …?`, where one of `known` is near.
pub(super) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|name| format!("did you mean {name:?}?"))
}
