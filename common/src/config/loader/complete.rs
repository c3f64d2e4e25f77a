//! Reads and completes the jobs of all files, on all processors.
//!
//! Presets go to the jobs of every file, so the files that bring some are read first. Every other
//! file is read and completed in one go, and what was read of it goes before the next one comes:
//! all that is written takes several times the room of the jobs.

use std::{path::PathBuf, sync::Arc};

use super::{Parts, read_jobs};
use crate::config::{
    Errors, Preset, ProwConfig,
    decorations::Decorations,
    files::{self, Listing},
    findings::Findings,
    parallel,
    part::{Part, Written, all_or_problems},
    preset,
};

/// The jobs of all files.
pub(super) struct Complete {
    pub(super) presets: Vec<Preset>,
    /// The job files that bring some of them.
    pub(super) bring_presets: Vec<PathBuf>,
    /// The jobs of `config.yaml` itself.
    pub(super) own: Arc<Part>,
    pub(super) parts: Parts,
}

/// A job file that is read.
enum Draft {
    /// Brings no presets, it seems.
    Text(String),
    Written(Written),
}

impl Draft {
    /// How much there is to do, more or less.
    fn size(draft: &Result<Self, Errors>) -> usize {
        match draft {
            Ok(Self::Text(text)) => text.len(),
            _ => 0,
        }
    }
}

/// The job files, in their order.
struct Drafts(Vec<Result<Draft, Errors>>);

impl Drafts {
    fn read(listing: &Listing, may_bring: fn(&str) -> bool) -> Self {
        let paths = listing.jobs.iter().collect();
        Self(parallel::map(
            paths,
            |_| 0,
            |path: &PathBuf| {
                let text = files::read(path)?;
                if may_bring(&text) {
                    Ok(Draft::Written(read_jobs(path, &text)?))
                } else {
                    Ok(Draft::Text(text))
                }
            },
        ))
    }

    /// Adds the files' presets to `presets`; returns which files bring some.
    fn take_presets(&mut self, listing: &Listing, presets: &mut Vec<Preset>) -> Vec<PathBuf> {
        let mut bring_presets = Vec::new();
        for (path, draft) in listing.jobs.iter().zip(&mut self.0) {
            if let Ok(Draft::Written(written)) = draft {
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
    fn complete(
        self,
        listing: &Listing,
        complete: impl Fn(Written) -> (Part, Findings) + Sync,
    ) -> Result<Option<Vec<(Part, Findings)>>, Errors> {
        let drafts = listing.jobs.iter().zip(self.0).collect();
        let size = |(_, draft): &(_, _)| Draft::size(draft);
        let parts = parallel::map(drafts, size, |(path, draft): (&PathBuf, _)| {
            let written = match draft? {
                Draft::Text(text) => read_jobs(path, &text)?,
                Draft::Written(written) => written,
            };
            let is_known = written.jobs.presets.is_empty();
            Ok(is_known.then(|| complete(written)))
        });
        Ok(all_or_problems(parts)?.into_iter().collect())
    }
}

/// `own` is what `config.yaml` itself holds.
pub(super) fn complete(
    prow: &ProwConfig,
    mut own: Written,
    listing: &Listing,
    findings: &mut Findings,
) -> Result<Complete, Errors> {
    let decorations = Decorations::new(&prow.plank);
    let own_presets = own.take_presets();
    let mut drafts = Drafts::read(listing, names_presets);
    let mut presets = own_presets.clone();
    let mut bring_presets = drafts.take_presets(listing, &mut presets);
    let finish = |written: Written| written.complete(prow, &presets, &decorations);
    let parts = match drafts.complete(listing, finish)? {
        Some(parts) => parts,
        None => {
            // A key can be written in many ways.
            let mut drafts = Drafts::read(listing, |_| true);
            presets = own_presets;
            bring_presets = drafts.take_presets(listing, &mut presets);
            let finish = |written: Written| written.complete(prow, &presets, &decorations);
            let parts = drafts.complete(listing, finish)?;
            parts.expect("every file's presets are taken")
        }
    };
    // As upstream, which compares where it puts files together.
    if !listing.jobs.is_empty() {
        preset::check_distinct(&presets, findings);
    }
    let own = own.complete(prow, &presets, &decorations);
    let mut complete = Vec::with_capacity(1 + parts.len());
    for (part, found) in [own].into_iter().chain(parts) {
        complete.push(Arc::new(part));
        findings.extend(found);
    }
    let mut complete = complete.into_iter();
    let own = complete.next().expect("config.yaml itself comes first");
    Ok(Complete {
        presets,
        bring_presets,
        own,
        parts: listing.jobs.iter().cloned().zip(complete).collect(),
    })
}

/// Whether the word stands in a text. The key can be written in other ways, too.
fn names_presets(text: &str) -> bool {
    text.contains("presets")
}
