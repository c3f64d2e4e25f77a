//! The artifacts of a job: which files become which objects.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::prowjob::GcsConfiguration;
use common::storage::{Attributes, content_type};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Failure, Source, Upload};

/// Which files of an item are censored, by their path below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    /// Excluding wins; without an include pattern all others are included.
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        Ok(Self {
            include: if include.is_empty() {
                None
            } else {
                Some(globs(include)?)
            },
            exclude: globs(exclude)?,
        })
    }

    fn applies(&self, path: &Path) -> bool {
        !self.exclude.is_match(path)
            && self
                .include
                .as_ref()
                .is_none_or(|include| include.is_match(path))
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) uploads: Vec<Upload>,
    pub(crate) failures: Vec<Failure>,
}

/// All files of `items` (files, or folders with all below them), to lie below `dir`.
///
/// An item that does not exist has no files. Folders that are links are not entered; a file
/// that is a link is checked when it is opened.
pub(crate) fn walk(
    items: &[String],
    dir: &str,
    config: &GcsConfiguration,
    filter: &Filter,
) -> Walk {
    let mut walk = Walk::default();
    let mut taken = HashSet::new();
    for item in items {
        let root = Path::new(item);
        let mut files = Vec::new();
        if let Err(e) = collect(root, &mut files) {
            walk.failures.push(Failure {
                key: item.clone(),
                reason: e.to_string(),
                uncensored: false,
            });
        }
        files.sort();
        for path in files {
            let relative = path
                .strip_prefix(root)
                .ok()
                .filter(|r| !r.as_os_str().is_empty());
            let relative = relative.map_or_else(
                || PathBuf::from(path.file_name().unwrap_or_default()),
                Path::to_owned,
            );
            let upload = plan(&path, root, &relative, dir, config, filter);
            if taken.insert(upload.key.clone()) {
                walk.uploads.push(upload);
            } else {
                let reason = "another file has that name already".to_owned();
                walk.failures.push(Failure {
                    key: path.display().to_string(),
                    reason,
                    uncensored: false,
                });
            }
        }
    }
    walk
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if kind.is_file() || (kind.is_symlink() && !fs::metadata(path).is_ok_and(|m| m.is_dir()))
    {
        files.push(path.to_owned());
    }
    Ok(())
}

fn plan(
    path: &Path,
    root: &Path,
    relative: &Path,
    dir: &str,
    config: &GcsConfiguration,
    filter: &Filter,
) -> Upload {
    let name = relative.to_string_lossy().replace('#', "%23");
    let (name, attributes) = describe(&name, config);
    let extension = name
        .rsplit('/')
        .next()
        .and_then(|file| file.rsplit_once('.'))
        .map_or("", |(_, e)| e);
    let compress = config
        .compress_file_types
        .iter()
        .any(|t| t == "*" || t.trim_start_matches('.') == extension);
    let mut attributes = attributes;
    if compress && attributes.content_type.is_none() {
        attributes.content_type = Some("text/plain; charset=utf-8".to_owned());
    }
    let source = Source::File {
        path: path.to_owned(),
        below: root.to_owned(),
        censor: filter.applies(relative),
        compress: compress && attributes.content_encoding.is_none(),
    };
    Upload {
        key: format!("{dir}/{name}"),
        source,
        attributes,
    }
}

/// The object's name and type: `x.txt.gz` is the text `x.txt` that happens to be compressed.
fn describe(name: &str, config: &GcsConfiguration) -> (String, Attributes) {
    let Some(inner) = name
        .strip_suffix(".gz")
        .filter(|inner| !inner.is_empty() && !inner.ends_with('/'))
    else {
        let content_type = content_type(name, &config.media_types);
        return (
            name.to_owned(),
            Attributes {
                content_type,
                ..Attributes::default()
            },
        );
    };
    let attributes = match content_type(inner, &config.media_types) {
        Some(inner) => Attributes {
            content_type: Some(inner),
            content_encoding: Some("gzip".to_owned()),
            ..Attributes::default()
        },
        None => Attributes::of_type("application/gzip"),
    };
    (inner.to_owned(), attributes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_and_types() {
        let config = GcsConfiguration::default();
        for (name, object, content_type, encoding) in [
            ("a.txt", "a.txt", Some("text/plain; charset=utf-8"), None),
            (
                "a.txt.gz",
                "a.txt",
                Some("text/plain; charset=utf-8"),
                Some("gzip"),
            ),
            (
                "a.unheardof.gz",
                "a.unheardof",
                Some("application/gzip"),
                None,
            ),
            ("a", "a", None, None),
            (".gz", ".gz", Some("application/gzip"), None),
            ("d/.gz", "d/.gz", Some("application/gzip"), None),
        ] {
            let (found, attributes) = describe(name, &config);
            assert_eq!(found, object);
            assert_eq!(attributes.content_type.as_deref(), content_type, "{name}");
            assert_eq!(attributes.content_encoding.as_deref(), encoding, "{name}");
        }
    }

    #[test]
    fn filters_as_the_censoring_options_say() {
        for (include, exclude, path, expected) in [
            (&[][..], &[][..], "a/b.txt", true),
            (&["**/*.log"], &[], "a/b.txt", false),
            (&["**/*.log"], &[], "a/b.log", true),
            (&["**/*.log"], &[], "b.log", true),
            (&["*.log"], &[], "a/b.log", false),
            (&[], &["a/**"], "a/b/c", false),
            (&["a/**"], &["a/b/**"], "a/b/c", false),
        ] {
            let list =
                |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
            let filter = Filter::new(&list(include), &list(exclude)).unwrap();
            assert_eq!(filter.applies(Path::new(path)), expected, "{path}");
        }
        assert!(Filter::new(&["[".to_owned()], &[]).is_err());
    }

    #[test]
    fn walks_files_once_and_no_linked_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("artifacts");
        fs::create_dir_all(root.join("sub")).unwrap();
        for name in ["a.txt", "a.txt.gz", "sub/x#1.log"] {
            fs::write(root.join(name), "x").unwrap();
        }
        symlink("/etc", root.join("etc")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let items = [
            root.to_str().unwrap().to_owned(),
            "/no/such/item".to_owned(),
        ];
        let walk = walk(
            &items,
            "dir/artifacts",
            &GcsConfiguration::default(),
            &Filter::default(),
        );
        let keys: Vec<_> = walk.uploads.iter().map(|u| u.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "dir/artifacts/a.txt",
                "dir/artifacts/loop",
                "dir/artifacts/sub/x%231.log"
            ]
        );
        assert_eq!(walk.failures.len(), 1, "{:?}", walk.failures);
    }

    #[test]
    fn an_item_may_be_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("report.html");
        fs::write(&file, "x").unwrap();
        let walk = walk(
            &[file.to_str().unwrap().to_owned()],
            "d",
            &GcsConfiguration::default(),
            &Filter::default(),
        );
        assert_eq!(walk.uploads[0].key, "d/report.html");
    }
}
