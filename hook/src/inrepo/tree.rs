//! Finds the files of a tree that configure jobs, and reads them.
//!
//! The folder `.prow/` takes precedence over `.prow.yaml`, and that over `prow-jobs.yaml`; exactly
//! one of them is read. In the folder, `.prowignore` excludes files.

use std::{collections::HashMap, time::Duration};

use common::config::{
    self,
    prowignore::{self, ProwIgnore},
};

use super::{
    InRepoConfigError, InRepoFiles,
    git::{MirrorGit, UnreadableRepository},
    objects::{CatFileBatch, MirrorObject, MirrorTreeEntry},
};

/// Most bytes of all files together. One file may have as many.
const MAX_BYTES: usize = config::inrepo::MAX_BYTES;

/// Most files below `.prow/`.
const MAX_FILES: usize = 500;

/// Most folders below `.prow/`.
const MAX_FOLDERS: usize = 200;

/// Reads the configuration files of the commit or tree `sha`. Contents that the mirror lacks are
/// fetched within `limit`.
pub(super) async fn read_config_files(
    git: &MirrorGit<'_>,
    sha: &str,
    limit: Duration,
) -> anyhow::Result<Result<InRepoFiles, InRepoConfigError>> {
    let mut reading = TreeReader {
        git,
        limit,
        objects: CatFileBatch::start_batch(git)?,
    };
    let top = reading.objects.read_tree(sha, "").await?;
    let found = match choose_config_entry(&top) {
        Some(folder) if folder.is_folder() => match reading.list_folder(folder).await? {
            Ok(mut below) => {
                let ignore = top
                    .iter()
                    .find(|entry| entry.path == prowignore::PROWIGNORE_FILE);
                below.extend(ignore.cloned());
                below
            }
            Err(problem) => return Ok(Err(problem)),
        },
        Some(file) => vec![file.clone()],
        None => return Ok(Ok(InRepoFiles::new())),
    };
    let (ignores, yaml) = match check_entries(found) {
        Ok(checked) => checked,
        Err(problem) => return Ok(Err(problem)),
    };
    let ignore = match reading
        .read_contents(ignores)
        .await?
        .and_then(|it| parse_prowignore(&it))
    {
        Ok(ignore) => ignore,
        Err(problem) => return Ok(Err(problem)),
    };
    let counts = yaml
        .into_iter()
        .filter(|entry| !ignore.is_ignored(&entry.path));
    reading.read_contents(counts.collect()).await
}

struct TreeReader<'a> {
    git: &'a MirrorGit<'a>,
    limit: Duration,
    objects: CatFileBatch,
}

impl TreeReader<'_> {
    /// Everything below a folder.
    async fn list_folder(
        &mut self,
        folder: &MirrorTreeEntry,
    ) -> anyhow::Result<Result<Vec<MirrorTreeEntry>, InRepoConfigError>> {
        let mut found = Vec::new();
        let mut folders = vec![folder.clone()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            seen += 1;
            if seen > MAX_FOLDERS {
                return Ok(Err(invalid_file(
                    ".prow",
                    &format!("more than {MAX_FOLDERS} folders"),
                )));
            }
            let prefix = format!("{}/", folder.path);
            let entries = self.objects.read_tree(&folder.object, &prefix).await?;
            let (below, files) = entries.into_iter().partition(MirrorTreeEntry::is_folder);
            folders.extend::<Vec<_>>(below);
            found.extend::<Vec<_>>(files);
        }
        Ok(Ok(found))
    }

    /// The texts of files. Contents that the mirror lacks are fetched together.
    async fn read_contents(
        &mut self,
        entries: Vec<MirrorTreeEntry>,
    ) -> anyhow::Result<Result<InRepoFiles, InRepoConfigError>> {
        let mut contents = HashMap::new();
        let mut missing = Vec::new();
        let mut left = MAX_BYTES;
        for fetched in [false, true] {
            for MirrorTreeEntry { object, path, .. } in &entries {
                if contents.contains_key(path) {
                    continue;
                }
                match self.objects.read_object(object, left).await? {
                    MirrorObject::Bytes(bytes) => {
                        left -= bytes.len();
                        let Ok(text) = String::from_utf8(bytes) else {
                            return Ok(Err(invalid_file(path, "the file is not UTF-8")));
                        };
                        contents.insert(path.clone(), text);
                    }
                    MirrorObject::TooLarge => {
                        let message = "the job configuration is larger than 1 MiB";
                        return Ok(Err(invalid_file(path, message)));
                    }
                    MirrorObject::Missing if fetched => {
                        return Err(UnreadableRepository::with_reason(format!(
                            "{path} is missing"
                        ))
                        .into());
                    }
                    MirrorObject::Missing => missing.push(object.as_str()),
                }
            }
            if missing.is_empty() {
                break;
            }
            self.fetch_blobs(&missing).await?;
        }
        let texts = entries.into_iter().filter_map(|entry| {
            let text = contents.remove(&entry.path)?;
            Some((entry.path, text))
        });
        Ok(Ok(texts.collect()))
    }

    async fn fetch_blobs(&self, objects: &[&str]) -> anyhow::Result<()> {
        let mut args = vec![
            "-c",
            // The objects that are here say nothing about file contents.
            "fetch.negotiationAlgorithm=noop",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--filter=blob:none",
            "--",
            "origin",
        ];
        args.extend(objects);
        self.git.run_git(&args, self.limit).await.map(drop)
    }
}

/// The entry that configures jobs. A plain file called `.prow` belongs to something else.
fn choose_config_entry(top: &[MirrorTreeEntry]) -> Option<&MirrorTreeEntry> {
    let named = |name: &str| top.iter().find(|entry| entry.path == name);
    named(".prow")
        .filter(|entry| !entry.is_file())
        .or_else(|| named(".prow.yaml"))
        .or_else(|| named("prow-jobs.yaml"))
}

/// The `.prowignore` files, and the YAML files sorted by name. Anything but a plain file is
/// refused: a link could lead out of the repository.
fn check_entries(
    entries: Vec<MirrorTreeEntry>,
) -> Result<(Vec<MirrorTreeEntry>, Vec<MirrorTreeEntry>), InRepoConfigError> {
    if let Some(entry) = entries.iter().find(|entry| !entry.is_file()) {
        return Err(invalid_file(
            &entry.path,
            "expected a plain file, found a symbolic link or a submodule",
        ));
    }
    let is_yaml = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml");
    let (mut yaml, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| is_yaml(&entry.path));
    if yaml.len() > MAX_FILES {
        return Err(invalid_file(
            ".prow",
            &format!("more than {MAX_FILES} files"),
        ));
    }
    yaml.sort_by(|a, b| a.path.cmp(&b.path));
    let ignores = others
        .into_iter()
        .filter(|entry| split_path(&entry.path).1 == prowignore::PROWIGNORE_FILE);
    Ok((ignores.collect(), yaml))
}

fn parse_prowignore(files: &InRepoFiles) -> Result<ProwIgnore, InRepoConfigError> {
    let mut ignore = ProwIgnore::default();
    for (path, text) in files {
        let added = ignore.add_file(split_path(path).0, text);
        added.map_err(|message| invalid_file(path, &message))?;
    }
    Ok(ignore)
}

/// Folder and name.
fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn invalid_file(path: &str, message: &str) -> InRepoConfigError {
    InRepoConfigError::Invalid(config::Diagnostic::in_file("in-repo-file", path, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: &str, path: &str) -> MirrorTreeEntry {
        MirrorTreeEntry {
            mode: mode.into(),
            object: "0".repeat(40),
            path: path.into(),
        }
    }

    #[test]
    fn exactly_one_place_counts() {
        let folder = entry("40000", ".prow");
        let dotted = entry("100644", ".prow.yaml");
        let plain = entry("100644", "prow-jobs.yaml");
        let link = entry("120000", ".prow");
        let file = entry("100644", ".prow");
        for (name, top, chosen) in [
            ("none", vec![], None),
            ("the tutorial's file", vec![&plain], Some(&plain)),
            (
                "Prow's file goes first",
                vec![&dotted, &plain],
                Some(&dotted),
            ),
            (
                "the folder goes before both",
                vec![&folder, &dotted, &plain],
                Some(&folder),
            ),
            (
                "a link in its place is not overlooked",
                vec![&link, &plain],
                Some(&link),
            ),
            ("a file in its place is", vec![&file, &plain], Some(&plain)),
        ] {
            let top: Vec<_> = top.into_iter().cloned().collect();
            assert_eq!(choose_config_entry(&top), chosen, "{name}");
        }
    }

    #[test]
    fn only_plain_yaml_files_are_read() {
        let found = vec![
            entry("100644", ".prow/b.yml"),
            entry("100644", ".prow/README.md"),
            entry("100755", ".prow/a/x.yaml"),
            entry("100644", ".prow/a/.prowignore"),
        ];
        let (ignores, yaml) = check_entries(found).unwrap();
        let paths =
            |entries: Vec<MirrorTreeEntry>| entries.into_iter().map(|e| e.path).collect::<Vec<_>>();
        assert_eq!(paths(yaml), [".prow/a/x.yaml", ".prow/b.yml"]);
        assert_eq!(paths(ignores), [".prow/a/.prowignore"]);
        for mode in ["120000", "160000"] {
            assert!(check_entries(vec![entry(mode, ".prow/a.yaml")]).is_err());
        }
    }

    #[test]
    fn patterns_count_from_the_folder_they_stand_in() {
        let files = vec![
            (".prowignore".to_owned(), ".prow/old/".to_owned()),
            (".prow/.prowignore".to_owned(), "wip-*.yaml".to_owned()),
        ];
        let ignore = parse_prowignore(&files).unwrap();
        assert!(ignore.is_ignored(".prow/old/a.yaml"));
        assert!(ignore.is_ignored(".prow/sub/wip-1.yaml"));
        assert!(!ignore.is_ignored(".prow/a.yaml"));
    }
}
