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
    content::Content,
    decorations::Decorations,
    files::{self, Listing},
    findings::Findings,
    job::JobFile,
    parallel,
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
    /// What `config.yaml` and its further parts said.
    main: Vec<(Arc<str>, Content)>,
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

    /// Reads everything once, for who does not come back.
    pub(super) fn once(options: &Options) -> Result<Arc<Config>, Errors> {
        refuse_unsupported(options)?;
        let listing = Listing::of(options)?;
        Self::new(options.clone()).anew(listing)
    }

    /// The jobs of files that have changed are read anew, and those of the others kept, where
    /// that is enough.
    fn again(&mut self, listing: &Listing) -> Option<Result<Arc<Config>, Errors>> {
        let kept = self.kept.as_mut()?;
        let (now, then) = (self.look.stamps(), &kept.stamps);
        let is_touched = |path: &FilePath| now.get(path) != then.get(path);
        let main = [&self.options.config_path].into_iter();
        let main: Vec<_> = main.chain(&listing.supplemental).collect();
        if main.iter().any(|path| is_touched(path)) {
            let texts = texts(&main).ok()?;
            if contents(&texts) != kept.main {
                return None;
            }
        } else if kept.supplemental != listing.supplemental {
            return None;
        }
        let read = parallel::map(
            listing.jobs.iter().collect(),
            |_| 0,
            |path: &PathBuf| {
                if kept.parts.contains_key(path) && !is_touched(path) {
                    return Ok(None);
                }
                let text = files::read(path)?;
                let before = kept.parts.get(path).map(|part| part.content);
                if before == Some(Content::of(&text)) {
                    return Ok(None);
                }
                Ok(Some((path, read_jobs(path, &text)?)))
            },
        );
        let changed: Vec<_> = match all_or_problems(read) {
            Ok(read) => read.into_iter().flatten().collect(),
            Err(errors) => return Some(Err(errors)),
        };
        let brought = |path: &PathBuf| kept.bring_presets.contains(path);
        if changed
            .iter()
            .any(|(path, written)| brought(path) || !written.jobs.presets.is_empty())
            || !kept
                .bring_presets
                .iter()
                .all(|path| listing.jobs.contains(path))
        {
            return None;
        }
        let version = match version(&self.options) {
            Ok(version) => version,
            Err(errors) => return Some(Err(errors)),
        };
        Some(kept.replace(listing, now, version, changed))
    }

    fn anew(&mut self, listing: Listing) -> Result<Arc<Config>, Errors> {
        let mut findings = Findings::default();
        let main = [&self.options.config_path].into_iter();
        let texts = texts(&main.chain(&listing.supplemental).collect::<Vec<_>>())?;
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
            main: contents(&texts),
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
        version: Option<String>,
        changed: Vec<(&PathBuf, Written)>,
    ) -> Result<Arc<Config>, Errors> {
        let mut prow = self.config.prow.clone();
        if let Some(version) = version {
            prow.config_version_sha = version;
        }
        let same_files = self.parts.keys().eq(&listing.jobs);
        let same_version = prow.config_version_sha == self.config.prow.config_version_sha;
        if changed.is_empty() && same_files && same_version {
            self.stamps = stamps.clone();
            return Ok(Arc::clone(&self.config));
        }
        let presets = self.config.jobs.presets.clone();
        let decorations = Decorations::new(&prow.plank);
        let mut findings = Findings::default();
        let mut fresh = BTreeMap::new();
        for (path, written) in changed {
            let (part, found) = written.complete(&prow, &presets, &decorations);
            findings.extend(found);
            fresh.insert(path.clone(), Arc::new(part));
        }
        let part_of = |path: &PathBuf| {
            let part = fresh.get(path).or_else(|| self.parts.get(path));
            Some((path.clone(), Arc::clone(part?)))
        };
        let parts: Parts = listing.jobs.iter().filter_map(part_of).collect();
        let config = assemble(prow, presets, &self.own, &parts, listing, &mut findings);
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
        content: Content::of(text),
        jobs: document.value,
        remarks: document.remarks,
    })
}

/// The files with their names.
fn texts(paths: &[&PathBuf]) -> Result<Vec<(Arc<str>, String)>, Errors> {
    all_or_problems(paths.iter().map(|path| {
        let file: Arc<str> = path.display().to_string().into();
        Ok((file, files::read(path)?))
    }))
}

/// What the files say.
fn contents(texts: &[(Arc<str>, String)]) -> Vec<(Arc<str>, Content)> {
    let texts = texts.iter();
    texts
        .map(|(file, text)| (Arc::clone(file), Content::of(text)))
        .collect()
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
