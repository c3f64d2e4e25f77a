//! Parses and completes the jobs of all files, on all processors.
//!
//! Presets apply to the jobs of every file, so the files that contain some are parsed first. Every
//! other file is parsed and completed in one step, and its parsed form is freed before the next
//! one: all parsed forms together take several times the memory of the jobs.

use std::{path::PathBuf, sync::Arc};

use super::{JobsByFile, read_jobs};
use crate::config::{
    ConfigErrors, Preset, ProwConfig,
    decoration_cache::DecorationCache,
    diagnostics::Diagnostics,
    file_jobs::{FileJobs, ParsedJobFile, all_or_diagnostics},
    files::{self, ConfigFileList},
    parallel, preset,
};

/// The completed jobs of all files.
pub(super) struct CompletedJobFiles {
    pub(super) presets: Vec<Preset>,
    /// The job files that contain presets.
    pub(super) bring_presets: Vec<PathBuf>,
    /// The jobs of `config.yaml` itself.
    pub(super) own: Arc<FileJobs>,
    pub(super) parts: JobsByFile,
}

/// A job file that was read.
enum JobFileDraft {
    /// Probably contains no presets; not parsed yet.
    Text(String),
    Written(ParsedJobFile),
}

impl JobFileDraft {
    /// Roughly how much work is left.
    fn work_size(draft: &Result<Self, ConfigErrors>) -> usize {
        match draft {
            Ok(Self::Text(text)) => text.len(),
            _ => 0,
        }
    }
}

/// The job files, in their order.
struct JobFileDrafts(Vec<Result<JobFileDraft, ConfigErrors>>);

impl JobFileDrafts {
    fn read_drafts(listing: &ConfigFileList, may_bring: fn(&str) -> bool) -> Self {
        let paths = listing.jobs.iter().collect();
        Self(parallel::parallel_map(
            paths,
            |_| 0,
            |path: &PathBuf| {
                let text = files::read_text(path)?;
                if may_bring(&text) {
                    Ok(JobFileDraft::Written(read_jobs(path, &text)?))
                } else {
                    Ok(JobFileDraft::Text(text))
                }
            },
        ))
    }

    /// Adds the files' presets to `presets`; returns which files contain some.
    fn take_presets(
        &mut self,
        listing: &ConfigFileList,
        presets: &mut Vec<Preset>,
    ) -> Vec<PathBuf> {
        let mut bring_presets = Vec::new();
        for (path, draft) in listing.jobs.iter().zip(&mut self.0) {
            if let Ok(JobFileDraft::Written(written)) = draft {
                let own = written.take_presets();
                if !own.is_empty() {
                    bring_presets.push(path.clone());
                    presets.extend(own);
                }
            }
        }
        bring_presets
    }

    /// Completes the jobs of each file. `None` if a file contains presets that were not taken.
    fn complete_drafts(
        self,
        listing: &ConfigFileList,
        complete: impl Fn(ParsedJobFile) -> (FileJobs, Diagnostics) + Sync,
    ) -> Result<Option<Vec<(FileJobs, Diagnostics)>>, ConfigErrors> {
        let drafts = listing.jobs.iter().zip(self.0).collect();
        let size = |(_, draft): &(_, _)| JobFileDraft::work_size(draft);
        let parts = parallel::parallel_map(drafts, size, |(path, draft): (&PathBuf, _)| {
            let written = match draft? {
                JobFileDraft::Text(text) => read_jobs(path, &text)?,
                JobFileDraft::Written(written) => written,
            };
            let is_known = written.jobs.presets.is_empty();
            Ok(is_known.then(|| complete(written)))
        });
        Ok(all_or_diagnostics(parts)?.into_iter().collect())
    }
}

/// `own` is the parsed `config.yaml` itself.
pub(super) fn complete_job_files(
    prow: &ProwConfig,
    mut own: ParsedJobFile,
    listing: &ConfigFileList,
    findings: &mut Diagnostics,
) -> Result<CompletedJobFiles, ConfigErrors> {
    let decorations = DecorationCache::new(&prow.plank);
    let own_presets = own.take_presets();
    let mut drafts = JobFileDrafts::read_drafts(listing, mentions_presets);
    let mut presets = own_presets.clone();
    let mut bring_presets = drafts.take_presets(listing, &mut presets);
    let finish = |written: ParsedJobFile| written.complete_jobs(prow, &presets, &decorations);
    let parts = match drafts.complete_drafts(listing, finish)? {
        Some(parts) => parts,
        None => {
            // A key can be written in many ways, and `mentions_presets` missed one.
            let mut drafts = JobFileDrafts::read_drafts(listing, |_| true);
            presets = own_presets;
            bring_presets = drafts.take_presets(listing, &mut presets);
            let finish =
                |written: ParsedJobFile| written.complete_jobs(prow, &presets, &decorations);
            let parts = drafts.complete_drafts(listing, finish)?;
            parts.expect("every file's presets are taken")
        }
    };
    // As in Prow, which compares presets where it merges job files.
    if !listing.jobs.is_empty() {
        preset::check_distinct_presets(&presets, findings);
    }
    let own = own.complete_jobs(prow, &presets, &decorations);
    let mut complete = Vec::with_capacity(1 + parts.len());
    for (part, found) in [own].into_iter().chain(parts) {
        complete.push(Arc::new(part));
        findings.extend(found);
    }
    let mut complete = complete.into_iter();
    let own = complete.next().expect("config.yaml itself comes first");
    Ok(CompletedJobFiles {
        presets,
        bring_presets,
        own,
        parts: listing.jobs.iter().cloned().zip(complete).collect(),
    })
}

/// Whether the word occurs in a text. The key can be written in other ways, too.
fn mentions_presets(text: &str) -> bool {
    text.contains("presets")
}
