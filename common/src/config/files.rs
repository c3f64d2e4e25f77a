//! Lists the files of an installation's configuration and reads their text. [`super::loader`]
//! interprets it.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path as FilePath, PathBuf},
};

use flate2::read::GzDecoder;

use super::{
    ConfigErrors, ConfigOptions, Diagnostic,
    prowignore::{self, ProwIgnore},
};

/// Maximum size of a configuration file, compressed or not.
const MAX_BYTES: u64 = 32 << 20;

/// Reads a file's text; gzip is recognised by its first bytes.
pub(super) fn read_text(path: &FilePath) -> Result<String, ConfigErrors> {
    read_bytes(path)
        .map_err(|message| Diagnostic::in_file("file", path.display().to_string(), message).into())
}

fn read_bytes(path: &FilePath) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let metadata = file.metadata();
    let size = metadata
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > MAX_BYTES {
        return Err(too_large());
    }
    let bytes = take_all(file)?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        take_all(GzDecoder::new(bytes.as_slice()))?
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn take_all(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("is larger than {} MiB", MAX_BYTES >> 20)
}

/// The files in addition to `config.yaml`, in the order of their paths.
#[derive(Debug, Default)]
pub(super) struct ConfigFileList {
    /// Supplemental files of `config.yaml`.
    pub(super) supplemental: Vec<PathBuf>,
    pub(super) jobs: Vec<PathBuf>,
}

impl ConfigFileList {
    /// Finds the files that `options` name.
    pub(super) fn list_files(options: &ConfigOptions) -> Result<Self, ConfigErrors> {
        let mut walk = FileWalk::default();
        for dir in &options.supplemental_prow_config_dir {
            let suffix = &options.supplemental_prow_configs_filename_suffix;
            walk.walk_root(dir, &|name| name.ends_with(suffix));
        }
        let supplemental = walk.take_files();
        if let Some(path) = &options.job_config_path {
            walk.walk_root(path, &|name| {
                name.ends_with(".yaml") || name.ends_with(".yml")
            });
        }
        let jobs = walk.take_files();
        walk.refuse_duplicate_names(&jobs);
        if walk.problems.is_empty() {
            Ok(Self { supplemental, jobs })
        } else {
            Err(ConfigErrors(walk.problems))
        }
    }
}

/// Collects files below folders.
#[derive(Default)]
struct FileWalk {
    files: Vec<PathBuf>,
    ignore: ProwIgnore,
    problems: Vec<Diagnostic>,
}

impl FileWalk {
    /// The files that were found since the last call, without ignored ones.
    fn take_files(&mut self) -> Vec<PathBuf> {
        let mut files = std::mem::take(&mut self.files);
        files.sort();
        files
    }

    /// A file is taken whatever its name; in a folder, `wanted` decides by the name.
    fn walk_root(&mut self, root: &FilePath, wanted: &dyn Fn(&str) -> bool) {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return self.files.push(root.to_owned()),
            Err(error) => {
                return self.add_file_diagnostic(root, format!("cannot be read: {error}"));
            }
        }
        let before = self.files.len();
        self.ignore = ProwIgnore::default();
        self.walk_folder(root, root, wanted);
        let ignore = &self.ignore;
        let mut index = 0;
        self.files.retain(|path| {
            index += 1;
            let relative = path.strip_prefix(root).unwrap_or(path);
            index <= before || !ignore.is_ignored(&relative.to_string_lossy())
        });
    }

    fn walk_folder(&mut self, root: &FilePath, dir: &FilePath, wanted: &dyn Fn(&str) -> bool) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return self.add_file_diagnostic(dir, format!("cannot be read: {error}")),
        };
        for entry in entries {
            let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))
            {
                Ok(found) => found,
                Err(error) => {
                    self.add_file_diagnostic(dir, format!("cannot be read: {error}"));
                    continue;
                }
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("..") {
                // Kubernetes keeps the versions of a mounted ConfigMap in such folders.
            } else if kind.is_dir() {
                self.walk_folder(root, &path, wanted);
            } else if name == prowignore::PROWIGNORE_FILE {
                self.add_prowignore(root, dir, &path);
            } else if wanted(&name) && (!kind.is_symlink() || self.is_link_to_file(&path)) {
                self.files.push(path);
            }
        }
    }

    fn add_prowignore(&mut self, root: &FilePath, dir: &FilePath, path: &FilePath) {
        let folder = dir.strip_prefix(root).unwrap_or(dir).to_string_lossy();
        let added = read_bytes(path).and_then(|text| self.ignore.add_file(&folder, &text));
        if let Err(message) = added {
            self.add_file_diagnostic(path, message);
        }
    }

    /// Links to folders are skipped, as in Prow.
    fn is_link_to_file(&mut self, path: &FilePath) -> bool {
        match fs::metadata(path) {
            Ok(target) => !target.is_dir(),
            Err(error) => {
                self.add_file_diagnostic(path, format!("cannot be read: {error}"));
                false
            }
        }
    }

    /// One `ConfigMap` holds all job files, keyed by base name.
    fn refuse_duplicate_names(&mut self, files: &[PathBuf]) {
        let mut seen: BTreeMap<_, &PathBuf> = BTreeMap::new();
        for file in files {
            if let Some(first) = seen.insert(file.file_name(), file) {
                let message = format!("another job file has this name: {}", first.display());
                let path = file.display().to_string();
                let problem = Diagnostic::in_file("file-name", path, message);
                self.problems.push(problem);
            }
        }
    }

    fn add_file_diagnostic(&mut self, path: &FilePath, message: String) {
        let path = path.display().to_string();
        self.problems
            .push(Diagnostic::in_file("file", path, message));
    }
}
