//! Puts an installation's configuration together, and again when files have changed: a job file
//! by itself, everything when `config.yaml` or a preset is concerned, which reach into all jobs.

mod complete;

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Config, Errors, JobConfig, Options, Preset, Problem, ProwConfig,
    agent::{Look, Source, Stamps},
    decorations::Decorations,
    files::{self, Listing},
    findings::Findings,
    job::JobFile,
    part::{Part, Written, all_or_problems},
    validate,
    yaml::{self, Document, GoType, Trust},
};

use complete::{Complete, complete};

/// Reads the files that [`Options`] name, as often as they change.
#[derive(Debug)]
pub struct Loader {
    options: Options,
    look: Look,
    kept: Option<Kept>,
}

/// The jobs of each job file.
type Parts = BTreeMap<PathBuf, Arc<Part>>;

/// What the last good reading found.
#[derive(Debug)]
struct Kept {
    config: Arc<Config>,
    stamps: Stamps,
    /// The jobs of `config.yaml` itself.
    own: Arc<Part>,
    parts: Parts,
    /// The job files that bring presets.
    bring_presets: Vec<PathBuf>,
    supplemental: Vec<PathBuf>,
}

impl Loader {
    /// Nothing is read yet.
    pub fn new(options: Options) -> Self {
        let config = [options.config_path.clone()].into_iter();
        let supplemental = options.supplemental_prow_config_dir.iter().cloned();
        let paths = config
            .chain(options.job_config_path.clone())
            .chain(supplemental);
        Self {
            look: Look::at(paths.collect::<Vec<_>>()),
            options,
            kept: None,
        }
    }

    /// The jobs of files that have changed are read anew, and those of the others kept, where
    /// that is enough.
    fn again(&mut self, listing: &Listing) -> Option<Result<Arc<Config>, Errors>> {
        let kept = self.kept.as_mut()?;
        let (now, then) = (self.look.stamps(), &kept.stamps);
        let changed = |path: &FilePath| now.get(path) != then.get(path);
        if changed(&self.options.config_path)
            || kept.supplemental != listing.supplemental
            || listing.supplemental.iter().any(|path| changed(path))
        {
            return None;
        }
        let stale = |path: &PathBuf| changed(path) || !listing.jobs.contains(path);
        if kept.bring_presets.iter().any(stale) {
            return None;
        }
        let changed: Vec<&PathBuf> = listing
            .jobs
            .iter()
            .filter(|path| changed(path) || !kept.parts.contains_key(*path))
            .collect();
        let written = match all_or_problems(
            changed
                .iter()
                .map(|path| read_jobs(path, &files::read(path)?)),
        ) {
            Ok(written) => written,
            Err(errors) => return Some(Err(errors)),
        };
        if written
            .iter()
            .any(|written| !written.jobs.presets.is_empty())
        {
            return None;
        }
        Some(kept.replace(listing, now, changed, written))
    }

    fn anew(&mut self, listing: Listing) -> Result<Arc<Config>, Errors> {
        let mut findings = Findings::default();
        let texts = texts(&self.options, &listing)?;
        let (mut prow, own) = ProwConfig::assemble(&texts, Timestamp::now(), &mut findings)?;
        if let Some(version) = version(&self.options)? {
            prow.config_version_sha = version;
        }
        let Complete {
            presets,
            bring_presets,
            own,
            parts,
        } = complete(&prow, own, &listing, &mut findings)?;
        let config = assemble(prow, presets, &own, &parts, &listing, &mut findings);
        findings.into_result(|file| files::read(FilePath::new(file)).ok())?;
        let config = Arc::new(config);
        self.kept = Some(Kept {
            config: Arc::clone(&config),
            stamps: self.look.stamps().clone(),
            own,
            parts,
            bring_presets,
            supplemental: listing.supplemental,
        });
        Ok(config)
    }
}

impl Source for Loader {
    type Value = Config;

    fn load(&mut self) -> Result<Arc<Config>, Errors> {
        // Before reading: what changes meanwhile is read again.
        self.look.again();
        refuse_unsupported(&self.options)?;
        let listing = Listing::of(&self.options)?;
        match self.again(&listing) {
            Some(result) => result,
            None => self.anew(listing),
        }
    }

    fn is_stale(&self) -> bool {
        self.look.is_stale()
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.look.watched()
    }
}

impl Kept {
    /// Takes the new content of some files; `self` stays as it is when that is broken.
    fn replace(
        &mut self,
        listing: &Listing,
        stamps: &Stamps,
        changed: Vec<&PathBuf>,
        written: Vec<Written>,
    ) -> Result<Arc<Config>, Errors> {
        let same_files = self.parts.keys().eq(&listing.jobs);
        if changed.is_empty() && same_files {
            self.stamps = stamps.clone();
            return Ok(Arc::clone(&self.config));
        }
        let (prow, presets) = (&self.config.prow, &self.config.jobs.presets);
        let decorations = Decorations::new(&prow.plank);
        let mut findings = Findings::default();
        let mut fresh = BTreeMap::new();
        for (path, written) in changed.into_iter().zip(written) {
            let (part, found) = written.complete(prow, presets, &decorations);
            findings.extend(found);
            fresh.insert(path.clone(), Arc::new(part));
        }
        let part_of = |path: &PathBuf| {
            let part = fresh.get(path).or_else(|| self.parts.get(path));
            Some((path.clone(), Arc::clone(part?)))
        };
        let parts: Parts = listing.jobs.iter().filter_map(part_of).collect();
        let config = assemble(
            prow.clone(),
            presets.clone(),
            &self.own,
            &parts,
            listing,
            &mut findings,
        );
        findings.into_result(|file| files::read(FilePath::new(file)).ok())?;
        self.parts = parts;
        self.stamps = stamps.clone();
        self.config = Arc::new(config);
        Ok(Arc::clone(&self.config))
    }
}

fn refuse_unsupported(options: &Options) -> Result<(), Errors> {
    let refuse = |what: &str, message: &str| Err(Problem::in_file("options", what, message).into());
    if options.moonraker_address.is_some() {
        return refuse(
            "--moonraker-address",
            "there is no moonraker here: in-repo configuration is read by hook itself",
        );
    }
    if options.config_path.as_os_str().is_empty() {
        return refuse("--config-path", "is required");
    }
    Ok(())
}

fn read_jobs(path: &FilePath, text: &str) -> Result<Written, Errors> {
    let file: Arc<str> = path.display().to_string().into();
    let tree = yaml::tree(&file, text, Trust::Operator)?;
    let document: Document<JobFile> =
        yaml::typed(&file, tree.as_ref(), GoType::JobConfig, Trust::Operator)?;
    Ok(Written {
        file,
        jobs: document.value,
        remarks: document.remarks,
    })
}

/// `config.yaml` and its further parts, the main one first.
fn texts(options: &Options, listing: &Listing) -> Result<Vec<(Arc<str>, String)>, Errors> {
    let paths = [&options.config_path].into_iter();
    all_or_problems(paths.chain(&listing.supplemental).map(|path| {
        let file: Arc<str> = path.display().to_string().into();
        Ok((file, files::read(path)?))
    }))
}

/// The commit that the files are of, where a file beside `config.yaml` tells it.
fn version(options: &Options) -> Result<Option<String>, Errors> {
    let path = options.config_path.with_file_name("VERSION");
    match path.exists() {
        true => files::read(&path).map(|text| Some(text.trim().to_owned())),
        false => Ok(None),
    }
}

fn assemble(
    prow: ProwConfig,
    presets: Vec<Preset>,
    own: &Part,
    parts: &Parts,
    listing: &Listing,
    findings: &mut Findings,
) -> Config {
    let mut jobs = JobConfig {
        presets,
        ..JobConfig::default()
    };
    let mut unknown_fields = Vec::new();
    for part in [own].into_iter().chain(parts.values().map(|part| &**part)) {
        part.add_to(&mut jobs);
        unknown_fields.extend_from_slice(&part.remarks);
    }
    validate::across(&jobs, findings);
    Config {
        prow,
        jobs,
        unknown_fields,
        files: 1 + listing.supplemental.len() + listing.jobs.len(),
    }
}

#[cfg(test)]
mod tests;
