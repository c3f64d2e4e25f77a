//! The artifacts of a job: which files become which objects.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::prowjob::GcsConfiguration;
use common::storage::{ObjectAttributes, content_type, paths};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::censor::Censor;

use super::{ObjectUpload, UploadFailure, UploadSource};

/// Which files of an item are censored, by their path below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CensorFilter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl CensorFilter {
    /// An exclude pattern wins. Without an include pattern, all other files are included.
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        Ok(Self {
            include: if include.is_empty() {
                None
            } else {
                Some(build_globs(include)?)
            },
            exclude: build_globs(exclude)?,
        })
    }

    fn applies_to(&self, path: &Path) -> bool {
        !self.exclude.is_match(path)
            && self
                .include
                .as_ref()
                .is_none_or(|include| include.is_match(path))
    }
}

fn build_globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// Whether any file is uploaded uncensored because a pattern says so. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct UncensoredFiles(Arc<AtomicBool>);

impl UncensoredFiles {
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How deep folders may be nested; each open folder is an open file.
const MAX_DEPTH: usize = 128;
/// Files of a run; their names are remembered, as hashes of eight bytes.
const MAX_FILES: usize = 1_000_000;

/// Walks all files of some items (files, or folders with all below them), one after the other, so
/// that however many there are, they do not wait in memory.
///
/// A folder's files are stored below its name. A file that is an item itself is stored next to the
/// run's own files and cannot have the name of one. An item that does not exist has no files. What
/// cannot be read is a failure, and the walk goes on. Folders that are links are not entered; a
/// file that is a link is checked when it is opened.
pub(crate) struct ArtifactWalk {
    /// The items whose files come next, in reverse.
    items: Vec<PathBuf>,
    /// The item that is being walked.
    root: PathBuf,
    /// Its open folders.
    open: Vec<(PathBuf, fs::ReadDir)>,
    plan: ArtifactPlan,
    /// Hashes of the keys that are taken.
    taken: HashSet<u64>,
    hasher: RandomState,
}

/// How a file becomes an upload.
pub(crate) struct ArtifactPlan {
    /// The run's folder; empty in a local output folder.
    pub(crate) dir: String,
    pub(crate) config: GcsConfiguration,
    pub(crate) filter: CensorFilter,
    /// Masks the secrets in names.
    pub(crate) censor: Censor,
    /// Set if the filter excludes a file from censoring.
    pub(crate) passed_over: UncensoredFiles,
}

impl ArtifactWalk {
    pub(crate) fn new(items: &[String], plan: ArtifactPlan) -> Self {
        Self {
            items: items.iter().rev().map(PathBuf::from).collect(),
            root: PathBuf::new(),
            open: Vec::new(),
            plan,
            taken: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// The file's upload, or why it has none; `None` for a folder and for what is not a file.
    fn visit_path(
        &mut self,
        path: PathBuf,
        kind: fs::FileType,
    ) -> Option<Result<ObjectUpload, UploadFailure>> {
        if kind.is_dir() {
            if self.open.len() >= MAX_DEPTH {
                let reason = format!("folders are nested deeper than {MAX_DEPTH}");
                return Some(Err(file_failure(&path, reason)));
            }
            return match fs::read_dir(&path) {
                Ok(entries) => {
                    self.open.push((path, entries));
                    None
                }
                Err(e) => Some(Err(file_failure(&path, unreadable_folder(&e)))),
            };
        }
        let is_linked_folder = || fs::metadata(&path).is_ok_and(|linked| linked.is_dir());
        let is_file = kind.is_file() || (kind.is_symlink() && !is_linked_folder());
        if !is_file {
            return None;
        }
        Some(self.take_file(&path))
    }

    fn take_file(&mut self, path: &Path) -> Result<ObjectUpload, UploadFailure> {
        let upload = self.plan.plan_upload(path, &self.root);
        if path == self.root && is_run_file(&upload.key[self.plan.dir.len()..]) {
            return Err(file_failure(
                path,
                "the run has a file of that name".to_owned(),
            ));
        }
        if self.taken.len() >= MAX_FILES {
            self.items.clear();
            self.open.clear();
            let reason = format!("there are more than {MAX_FILES} files; the rest was left out");
            return Err(file_failure(path, reason));
        }
        if self.taken.insert(self.hasher.hash_one(&upload.key)) {
            Ok(upload)
        } else {
            let reason = "another file has that name already".to_owned();
            Err(file_failure(path, reason))
        }
    }
}

impl Iterator for ArtifactWalk {
    type Item = Result<ObjectUpload, UploadFailure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (path, kind) = if let Some((folder, entries)) = self.open.last_mut() {
                match entries.next() {
                    Some(Ok(entry)) => (entry.path(), entry.file_type()),
                    Some(Err(e)) => {
                        let failure = file_failure(folder, unreadable_folder(&e));
                        self.open.pop();
                        return Some(Err(failure));
                    }
                    None => {
                        self.open.pop();
                        continue;
                    }
                }
            } else {
                self.root = self.items.pop()?;
                let kind = fs::symlink_metadata(&self.root).map(|metadata| metadata.file_type());
                (self.root.clone(), kind)
            };
            match kind {
                Ok(kind) => {
                    if let Some(found) = self.visit_path(path, kind) {
                        return Some(found);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Some(Err(file_failure(&path, format!("it cannot be read: {e}")))),
            }
        }
    }
}

fn file_failure(path: &Path, reason: String) -> UploadFailure {
    UploadFailure {
        key: path.display().to_string(),
        reason,
        uncensored: false,
    }
}

/// Whether a run itself writes a file of this name into its folder.
fn is_run_file(name: &str) -> bool {
    let name = name.trim_start_matches('/');
    name.ends_with(paths::BUILD_LOG)
        || [
            paths::STARTED,
            paths::FINISHED,
            paths::CLONE_LOG,
            paths::CLONE_RECORDS,
            paths::SIDECAR_LOG,
            paths::PROW_JOB,
            paths::POD_INFO,
            paths::FAILURE_DIGEST,
        ]
        .contains(&name)
}

fn unreadable_folder(error: &io::Error) -> String {
    format!("the folder cannot be read, nor what is in it: {error}")
}

impl ArtifactPlan {
    fn plan_upload(&self, path: &Path, root: &Path) -> ObjectUpload {
        let relative = path
            .strip_prefix(root)
            .ok()
            .filter(|relative| !relative.as_os_str().is_empty());
        let relative = relative.unwrap_or(Path::new(path.file_name().unwrap_or_default()));
        // A folder's own name comes first.
        let folder = root.file_name().filter(|_| path != root);
        let named = folder
            .map_or_else(PathBuf::new, PathBuf::from)
            .join(relative);
        // Masked before the escape of `#`, which could change a secret.
        let name = self.censor.mask_text(&named.to_string_lossy());
        let name = name.replace('#', "%23");
        // If a file or folder has the name without `.gz`, this one keeps its name, so none is lost.
        let is_taken = path.extension().is_some_and(|extension| extension == "gz")
            && fs::symlink_metadata(path.with_extension("")).is_ok();
        let (name, attributes) = if is_taken {
            let attributes = ObjectAttributes {
                content_type: content_type(&name, &self.config.media_types),
                ..ObjectAttributes::default()
            };
            (name, attributes)
        } else {
            name_and_attributes(&name, &self.config)
        };
        let extension = name
            .rsplit('/')
            .next()
            .and_then(|file| file.rsplit_once('.'))
            .map_or("", |(_, extension)| extension);
        let compress = self
            .config
            .compress_file_types
            .iter()
            .flatten()
            .any(|listed| listed == "*" || listed.trim_start_matches('.') == extension);
        let mut attributes = attributes;
        if compress && attributes.content_type.is_none() {
            attributes.content_type = Some("text/plain; charset=utf-8".to_owned());
        }
        let censor = self.filter.applies_to(relative);
        if !censor {
            self.passed_over.0.store(true, Ordering::Relaxed);
        }
        let source = UploadSource::File {
            path: path.to_owned(),
            below: root.to_owned(),
            censor,
            compress: compress && attributes.content_encoding.is_none(),
        };
        ObjectUpload {
            key: match self.dir.as_str() {
                "" => name,
                dir => format!("{dir}/{name}"),
            },
            source,
            attributes,
        }
    }
}

/// The object's name and type: `x.txt.gz` is stored as the compressed text `x.txt`.
fn name_and_attributes(name: &str, config: &GcsConfiguration) -> (String, ObjectAttributes) {
    let Some(inner) = name
        .strip_suffix(".gz")
        .filter(|inner| !inner.is_empty() && !inner.ends_with('/'))
    else {
        let content_type = content_type(name, &config.media_types);
        return (
            name.to_owned(),
            ObjectAttributes {
                content_type,
                ..ObjectAttributes::default()
            },
        );
    };
    let attributes = match content_type(inner, &config.media_types) {
        Some(inner) => ObjectAttributes {
            content_type: Some(inner),
            content_encoding: Some("gzip".to_owned()),
            ..ObjectAttributes::default()
        },
        None => ObjectAttributes::of_type("application/gzip"),
    };
    (inner.to_owned(), attributes)
}

#[cfg(test)]
mod tests;
