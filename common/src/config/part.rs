//! The jobs of one file, from the written ones to the complete and checked ones.

use std::sync::Arc;

use super::{
    Errors, JobConfig, Origin, Periodic, Postsubmit, Preset, Presubmit, Problem, ProwConfig,
    Segment,
    content::Content,
    decorations::Decorations,
    defaults::Completion,
    findings::Findings,
    job::{JobFile, Patterns},
    validate,
};

/// A file's content as read.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: Arc<str>,
    pub(super) content: Content,
    pub(super) jobs: JobFile,
    /// Fields that nobody knows.
    pub(super) remarks: Vec<Problem>,
}

impl Written {
    /// The file's presets, which go to the jobs of all files.
    pub(super) fn take_presets(&mut self) -> Vec<Preset> {
        let presets = std::mem::take(&mut self.jobs.presets).into_iter();
        let placed = presets.enumerate().map(|(index, mut preset)| {
            preset.origin = origin(&self.file, "presets", None, index);
            preset
        });
        placed.collect()
    }

    /// Completes and checks the jobs, each by itself.
    pub(super) fn complete(
        self,
        prow: &ProwConfig,
        presets: &[Preset],
        decorations: &Decorations<'_>,
    ) -> (Part, Findings) {
        let mut findings = Findings::default();
        let mut completion = Completion {
            prow,
            presets,
            decorations,
            patterns: Patterns::default(),
            findings: &mut findings,
        };
        let file = &self.file;
        let mut part = Part {
            content: self.content,
            remarks: self.remarks,
            ..Part::default()
        };
        for (repo, list) in self.jobs.presubmits {
            let list = list.into_iter().flatten().enumerate();
            let complete = list.map(|(index, fields)| {
                let origin = origin(file, "presubmits", Some(&repo), index);
                Arc::new(completion.presubmit(fields, origin, &repo))
            });
            let complete = complete.collect();
            part.presubmits.push((repo, complete));
        }
        for (repo, list) in self.jobs.postsubmits {
            let list = list.into_iter().flatten().enumerate();
            let complete = list.map(|(index, fields)| {
                let origin = origin(file, "postsubmits", Some(&repo), index);
                Arc::new(completion.postsubmit(fields, origin, &repo))
            });
            let complete = complete.collect();
            part.postsubmits.push((repo, complete));
        }
        for (index, fields) in self.jobs.periodics.into_iter().enumerate() {
            let origin = origin(file, "periodics", None, index);
            let complete = completion.periodic(fields, origin);
            part.periodics.push(Arc::new(complete));
        }
        part.check(&mut findings);
        (part, findings)
    }
}

/// The complete jobs of a file.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) content: Content,
    presubmits: Vec<(String, Vec<Arc<Presubmit>>)>,
    postsubmits: Vec<(String, Vec<Arc<Postsubmit>>)>,
    periodics: Vec<Arc<Periodic>>,
    pub(super) remarks: Vec<Problem>,
}

impl Part {
    fn check(&self, findings: &mut Findings) {
        for job in self.presubmits.iter().flat_map(|(_, jobs)| jobs) {
            validate::presubmit(job, findings);
        }
        for job in self.postsubmits.iter().flat_map(|(_, jobs)| jobs) {
            validate::postsubmit(job, findings);
        }
        for job in &self.periodics {
            validate::periodic(job, findings);
        }
    }

    /// Adds the jobs to those of other files. The jobs themselves are shared.
    pub(super) fn add_to(&self, jobs: &mut JobConfig) {
        for (repo, list) in &self.presubmits {
            let all = jobs.presubmits.entry(repo.clone()).or_default();
            all.extend(list.iter().cloned());
        }
        for (repo, list) in &self.postsubmits {
            let all = jobs.postsubmits.entry(repo.clone()).or_default();
            all.extend(list.iter().cloned());
        }
        jobs.periodics.extend(self.periodics.iter().cloned());
    }
}

/// Where a job or a preset stands.
pub(super) fn origin(file: &Arc<str>, section: &str, repo: Option<&str>, index: usize) -> Origin {
    let keys = [Some(section), repo];
    let keys = keys.into_iter().flatten();
    let mut path: Vec<_> = keys.map(|key| Segment::Key(key.to_owned())).collect();
    path.push(Segment::Index(index));
    Origin {
        file: Arc::clone(file),
        path,
    }
}

/// Nothing, or every problem of every result that has some.
pub(super) fn all_or_problems<T>(
    results: impl IntoIterator<Item = Result<T, Errors>>,
) -> Result<Vec<T>, Errors> {
    let mut good = Vec::new();
    let mut problems = Vec::new();
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(errors) => problems.extend(errors.0),
        }
    }
    if problems.is_empty() {
        Ok(good)
    } else {
        Err(Errors(problems))
    }
}
