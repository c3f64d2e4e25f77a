//! Loads an installation's configuration, and reloads it when files have changed: a job file by
//! itself, or everything if `config.yaml` or a preset changed, because these affect all jobs.

mod job_files;

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Config, ConfigErrors, ConfigOptions, Diagnostic, JobConfig, Preset, ProwConfig,
    agent::{FileStats, FileWatch, ReloadableConfig},
    content_hash::ContentHash,
    decoration_cache::DecorationCache,
    diagnostics::Diagnostics,
    file_jobs::{FileJobs, ParsedJobFile, all_or_diagnostics},
    files::{self, ConfigFileList},
    job::JobFile,
    parallel, validate,
    yaml::{self, DocumentTrust, GoType, YamlDocument},
};

use job_files::{CompletedJobFiles, complete_job_files};

/// Loads the files that [`ConfigOptions`] name, as often as they change.
#[derive(Debug)]
pub struct ConfigLoader {
    options: ConfigOptions,
    look: FileWatch,
    kept: Option<LoadedState>,
}

/// The jobs of each job file.
type JobsByFile = BTreeMap<PathBuf, Arc<FileJobs>>;

/// The result of the last good load.
#[derive(Debug)]
struct LoadedState {
    config: Arc<Config>,
    stamps: FileStats,
    /// The content of `config.yaml` and its supplemental files.
    main: Vec<(Arc<str>, ContentHash)>,
    /// The jobs of `config.yaml` itself.
    own: Arc<FileJobs>,
    parts: JobsByFile,
    /// The job files that contain presets.
    bring_presets: Vec<PathBuf>,
    supplemental: Vec<PathBuf>,
}

impl ConfigLoader {
    /// Reads nothing yet.
    pub fn new(options: ConfigOptions) -> Self {
        let config = [options.config_path.clone()].into_iter();
        let supplemental = options.supplemental_prow_config_dir.iter().cloned();
        let paths = config
            .chain(options.job_config_path.clone())
            .chain(supplemental);
        Self {
            look: FileWatch::for_paths(paths.collect::<Vec<_>>()),
            options,
            kept: None,
        }
    }

    /// Loads everything once, for a caller that does not reload.
    pub(super) fn load_once(options: &ConfigOptions) -> Result<Arc<Config>, ConfigErrors> {
        refuse_unsupported(options)?;
        let listing = ConfigFileList::list_files(options)?;
        Self::new(options.clone()).load_all(listing)
    }

    /// Reads the jobs of changed files again and keeps those of the others. `None` if that is not
    /// enough.
    fn reload_changed(
        &mut self,
        listing: &ConfigFileList,
    ) -> Option<Result<Arc<Config>, ConfigErrors>> {
        let kept = self.kept.as_mut()?;
        let (now, then) = (self.look.file_stats(), &kept.stamps);
        let is_touched = |path: &FilePath| now.get_stat(path) != then.get_stat(path);
        let main = [&self.options.config_path].into_iter();
        let main: Vec<_> = main.chain(&listing.supplemental).collect();
        if main.iter().any(|path| is_touched(path)) {
            let texts = read_texts(&main).ok()?;
            if hash_contents(&texts) != kept.main {
                return None;
            }
        } else if kept.supplemental != listing.supplemental {
            return None;
        }
        let read = parallel::parallel_map(
            listing.jobs.iter().collect(),
            |_| 0,
            |path: &PathBuf| {
                if kept.parts.contains_key(path) && !is_touched(path) {
                    return Ok(None);
                }
                let text = files::read_text(path)?;
                let before = kept.parts.get(path).map(|part| part.content);
                if before == Some(ContentHash::hash_text(&text)) {
                    return Ok(None);
                }
                Ok(Some((path, read_jobs(path, &text)?)))
            },
        );
        let changed: Vec<_> = match all_or_diagnostics(read) {
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
        let version = match read_version(&self.options) {
            Ok(version) => version,
            Err(errors) => return Some(Err(errors)),
        };
        Some(kept.replace_files(listing, now, version, changed))
    }

    fn load_all(&mut self, listing: ConfigFileList) -> Result<Arc<Config>, ConfigErrors> {
        let mut findings = Diagnostics::default();
        let main = [&self.options.config_path].into_iter();
        let texts = read_texts(&main.chain(&listing.supplemental).collect::<Vec<_>>())?;
        let (mut prow, own) = ProwConfig::assemble_files(&texts, Timestamp::now(), &mut findings)?;
        if let Some(version) = read_version(&self.options)? {
            prow.config_version_sha = version;
        }
        let CompletedJobFiles {
            presets,
            bring_presets,
            own,
            parts,
        } = complete_job_files(&prow, own, &listing, &mut findings)?;
        let config = assemble_config(prow, presets, &own, &parts, &listing, &mut findings);
        findings.into_result(|file| files::read_text(FilePath::new(file)).ok())?;
        let config = Arc::new(config);
        self.kept = Some(LoadedState {
            config: Arc::clone(&config),
            stamps: self.look.file_stats().clone(),
            main: hash_contents(&texts),
            own,
            parts,
            bring_presets,
            supplemental: listing.supplemental,
        });
        Ok(config)
    }
}

impl ReloadableConfig for ConfigLoader {
    type Value = Config;

    fn load_config(&mut self) -> Result<Arc<Config>, ConfigErrors> {
        // Taken before the read, so that a change meanwhile leads to another load.
        self.look.refresh_stats();
        refuse_unsupported(&self.options)?;
        let listing = ConfigFileList::list_files(&self.options)?;
        match self.reload_changed(&listing) {
            Some(result) => result,
            None => self.load_all(listing),
        }
    }

    fn is_stale(&self) -> bool {
        self.look.is_stale()
    }

    fn watched_paths(&self) -> Vec<PathBuf> {
        self.look.watched_paths()
    }
}

impl LoadedState {
    /// Replaces the content of some files; `self` stays unchanged if the new content has errors.
    fn replace_files(
        &mut self,
        listing: &ConfigFileList,
        stamps: &FileStats,
        version: Option<String>,
        changed: Vec<(&PathBuf, ParsedJobFile)>,
    ) -> Result<Arc<Config>, ConfigErrors> {
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
        let decorations = DecorationCache::new(&prow.plank);
        let mut findings = Diagnostics::default();
        let mut fresh = BTreeMap::new();
        for (path, written) in changed {
            let (part, found) = written.complete_jobs(&prow, &presets, &decorations);
            findings.extend(found);
            fresh.insert(path.clone(), Arc::new(part));
        }
        let part_of = |path: &PathBuf| {
            let part = fresh.get(path).or_else(|| self.parts.get(path));
            Some((path.clone(), Arc::clone(part?)))
        };
        let parts: JobsByFile = listing.jobs.iter().filter_map(part_of).collect();
        let config = assemble_config(prow, presets, &self.own, &parts, listing, &mut findings);
        findings.into_result(|file| files::read_text(FilePath::new(file)).ok())?;
        self.parts = parts;
        self.stamps = stamps.clone();
        self.config = Arc::new(config);
        Ok(Arc::clone(&self.config))
    }
}

fn refuse_unsupported(options: &ConfigOptions) -> Result<(), ConfigErrors> {
    let refuse =
        |what: &str, message: &str| Err(Diagnostic::in_file("options", what, message).into());
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

fn read_jobs(path: &FilePath, text: &str) -> Result<ParsedJobFile, ConfigErrors> {
    let file: Arc<str> = path.display().to_string().into();
    let tree = yaml::parse_tree(&file, text, DocumentTrust::Operator)?;
    let document: YamlDocument<JobFile> = yaml::deserialize_tree(
        &file,
        tree.as_ref(),
        GoType::JobConfig,
        DocumentTrust::Operator,
    )?;
    Ok(ParsedJobFile {
        file,
        content: ContentHash::hash_text(text),
        jobs: document.value,
        remarks: document.remarks,
    })
}

/// The names and texts of the files.
fn read_texts(paths: &[&PathBuf]) -> Result<Vec<(Arc<str>, String)>, ConfigErrors> {
    all_or_diagnostics(paths.iter().map(|path| {
        let file: Arc<str> = path.display().to_string().into();
        Ok((file, files::read_text(path)?))
    }))
}

/// The content hashes of the files.
fn hash_contents(texts: &[(Arc<str>, String)]) -> Vec<(Arc<str>, ContentHash)> {
    let texts = texts.iter();
    texts
        .map(|(file, text)| (Arc::clone(file), ContentHash::hash_text(text)))
        .collect()
}

/// The commit of the files, if a file `VERSION` next to `config.yaml` names it.
fn read_version(options: &ConfigOptions) -> Result<Option<String>, ConfigErrors> {
    let path = options.config_path.with_file_name("VERSION");
    match path.exists() {
        true => files::read_text(&path).map(|text| Some(text.trim().to_owned())),
        false => Ok(None),
    }
}

fn assemble_config(
    prow: ProwConfig,
    presets: Vec<Preset>,
    own: &FileJobs,
    parts: &JobsByFile,
    listing: &ConfigFileList,
    findings: &mut Diagnostics,
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
    validate::validate_job_config(&jobs, findings);
    Config {
        prow,
        jobs,
        unknown_fields,
        files: 1 + listing.supplemental.len() + listing.jobs.len(),
    }
}

#[cfg(test)]
mod tests;
