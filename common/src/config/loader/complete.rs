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

/// `own` is what `config.yaml` itself holds.
pub(super) fn complete(
    prow: &ProwConfig,
    mut own: Written,
    listing: &Listing,
    findings: &mut Findings,
) -> Result<Complete, Errors> {
    let presets = own.take_presets();
    let decorations = Decorations::new(&prow.plank);
    let read = |may_bring| read(prow, presets.clone(), &decorations, listing, may_bring);
    let (presets, bring_presets, parts) = match read(names_presets)? {
        Some(read) => read,
        None => read(|_| true)?.expect("every file is asked for presets"),
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

/// Presets, the files that bring them, and the jobs of each file. `None` if a file brings presets
/// of which `may_bring` does not know.
#[expect(clippy::type_complexity, reason = "parts of what the one caller makes")]
fn read(
    prow: &ProwConfig,
    mut presets: Vec<Preset>,
    decorations: &Decorations<'_>,
    listing: &Listing,
    may_bring: fn(&str) -> bool,
) -> Result<Option<(Vec<Preset>, Vec<PathBuf>, Vec<(Part, Findings)>)>, Errors> {
    let paths = listing.jobs.iter().collect();
    let mut drafts = parallel::map(
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
    );
    let mut bring_presets = Vec::new();
    for (path, draft) in listing.jobs.iter().zip(&mut drafts) {
        if let Ok(Draft::Written(written)) = draft {
            let own = written.take_presets();
            if !own.is_empty() {
                bring_presets.push(path.clone());
                presets.extend(own);
            }
        }
    }
    let drafts = listing.jobs.iter().zip(drafts).collect();
    let size = |(_, draft): &(_, _)| Draft::size(draft);
    let parts = parallel::map(drafts, size, |(path, draft): (&PathBuf, _)| {
        let written = match draft? {
            Draft::Text(text) => read_jobs(path, &text)?,
            Draft::Written(written) => written,
        };
        let complete = |written: Written| written.complete(prow, &presets, decorations);
        Ok(written.jobs.presets.is_empty().then(|| complete(written)))
    });
    let parts: Option<Vec<_>> = all_or_problems(parts)?.into_iter().collect();
    Ok(parts.map(|parts| (presets, bring_presets, parts)))
}

/// Whether the word stands in a text. The key can be written in other ways, too.
fn names_presets(text: &str) -> bool {
    text.contains("presets")
}
