//! The jobs of one file: parsed, then completed and validated.

use std::sync::Arc;

use super::{
    ConfigErrors, ConfigOrigin, Diagnostic, JobConfig, PathSegment, Periodic, Postsubmit, Preset,
    Presubmit, ProwConfig,
    content_hash::ContentHash,
    decoration_cache::DecorationCache,
    defaults::JobDefaulter,
    diagnostics::Diagnostics,
    job::{GoRegexpCache, JobFile},
    validate,
};

/// The parsed content of a file.
#[derive(Debug)]
pub(super) struct ParsedJobFile {
    pub(super) file: Arc<str>,
    pub(super) content: ContentHash,
    pub(super) jobs: JobFile,
    /// Unknown fields.
    pub(super) remarks: Vec<Diagnostic>,
}

impl ParsedJobFile {
    /// Takes out the file's presets, which apply to the jobs of all files.
    pub(super) fn take_presets(&mut self) -> Vec<Preset> {
        let presets = std::mem::take(&mut self.jobs.presets).into_iter();
        let placed = presets.enumerate().map(|(index, mut preset)| {
            preset.origin = config_origin(&self.file, "presets", None, index);
            preset
        });
        placed.collect()
    }

    /// Completes and validates the jobs, each by itself.
    pub(super) fn complete_jobs(
        self,
        prow: &ProwConfig,
        presets: &[Preset],
        decorations: &DecorationCache<'_>,
    ) -> (FileJobs, Diagnostics) {
        let mut findings = Diagnostics::default();
        let mut completion = JobDefaulter {
            prow,
            presets,
            decorations,
            patterns: GoRegexpCache::default(),
            findings: &mut findings,
        };
        let file = &self.file;
        let mut part = FileJobs {
            content: self.content,
            remarks: self.remarks,
            ..FileJobs::default()
        };
        for (repo, list) in self.jobs.presubmits {
            let list = list.into_iter().flatten().enumerate();
            let complete = list.map(|(index, fields)| {
                let origin = config_origin(file, "presubmits", Some(&repo), index);
                Arc::new(completion.complete_presubmit(fields, origin, &repo))
            });
            let complete = complete.collect();
            part.presubmits.push((repo, complete));
        }
        for (repo, list) in self.jobs.postsubmits {
            let list = list.into_iter().flatten().enumerate();
            let complete = list.map(|(index, fields)| {
                let origin = config_origin(file, "postsubmits", Some(&repo), index);
                Arc::new(completion.complete_postsubmit(fields, origin, &repo))
            });
            let complete = complete.collect();
            part.postsubmits.push((repo, complete));
        }
        for (index, fields) in self.jobs.periodics.into_iter().enumerate() {
            let origin = config_origin(file, "periodics", None, index);
            let complete = completion.complete_periodic(fields, origin);
            part.periodics.push(Arc::new(complete));
        }
        part.check_jobs(&mut findings);
        (part, findings)
    }
}

/// The completed jobs of a file.
#[derive(Debug, Default)]
pub(super) struct FileJobs {
    pub(super) content: ContentHash,
    presubmits: Vec<(String, Vec<Arc<Presubmit>>)>,
    postsubmits: Vec<(String, Vec<Arc<Postsubmit>>)>,
    periodics: Vec<Arc<Periodic>>,
    pub(super) remarks: Vec<Diagnostic>,
}

impl FileJobs {
    fn check_jobs(&self, findings: &mut Diagnostics) {
        for job in self.presubmits.iter().flat_map(|(_, jobs)| jobs) {
            validate::validate_presubmit(job, findings);
        }
        for job in self.postsubmits.iter().flat_map(|(_, jobs)| jobs) {
            validate::validate_postsubmit(job, findings);
        }
        for job in &self.periodics {
            validate::validate_periodic(job, findings);
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

/// The origin of a job or a preset.
pub(super) fn config_origin(
    file: &Arc<str>,
    section: &str,
    repo: Option<&str>,
    index: usize,
) -> ConfigOrigin {
    let keys = [Some(section), repo];
    let keys = keys.into_iter().flatten();
    let mut path: Vec<_> = keys.map(|key| PathSegment::Key(key.to_owned())).collect();
    path.push(PathSegment::Index(index));
    ConfigOrigin {
        file: Arc::clone(file),
        path,
    }
}

/// All values, or the diagnostics of all results that have some.
pub(super) fn all_or_diagnostics<T>(
    results: impl IntoIterator<Item = Result<T, ConfigErrors>>,
) -> Result<Vec<T>, ConfigErrors> {
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
        Err(ConfigErrors(problems))
    }
}
