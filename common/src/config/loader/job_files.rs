//! Reads and completes the jobs of all files, on all processors.
//!
//! Presets go to the jobs of every file, so the files that bring some are read first. Every other
//! file is read and completed in one go, and what was read of it goes before the next one comes:
//! all that is written takes several times the room of the jobs.

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

/// The jobs of all files.
pub(super) struct CompletedJobFiles {
    pub(super) presets: Vec<Preset>,
    /// The job files that bring some of them.
    pub(super) bring_presets: Vec<PathBuf>,
    /// The jobs of `config.yaml` itself.
    pub(super) own: Arc<FileJobs>,
    pub(super) parts: JobsByFile,
}

/// A job file that is read.
enum JobFileDraft {
    /// Brings no presets, it seems.
    Text(String),
    Written(ParsedJobFile),
}

impl JobFileDraft {
    /// How much there is to do, more or less.
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

    /// Adds the files' presets to `presets`; returns which files bring some.
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

    /// The jobs of each file. `None` if one brings presets that were not taken.
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

/// `own` is what `config.yaml` itself holds.
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
            // A key can be written in many ways.
            let mut drafts = JobFileDrafts::read_drafts(listing, |_| true);
            presets = own_presets;
            bring_presets = drafts.take_presets(listing, &mut presets);
            let finish =
                |written: ParsedJobFile| written.complete_jobs(prow, &presets, &decorations);
            let parts = drafts.complete_drafts(listing, finish)?;
            parts.expect("every file's presets are taken")
        }
    };
    // As upstream, which compares where it puts files together.
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

/// Whether the word stands in a text. The key can be written in other ways, too.
fn mentions_presets(text: &str) -> bool {
    text.contains("presets")
}
