//! Which files of a tree configure jobs, and their contents.
//!
//! The folder `.prow/` goes before `.prow.yaml`, that before `prow-jobs.yaml`; exactly one of
//! them is read. In the folder, `.prowignore` leaves files out.

use std::{collections::HashMap, time::Duration};

use common::config::{
    self,
    prowignore::{self, ProwIgnore},
};

use super::{
    Files, Problem,
    git::{Git, Unreadable},
    objects::{Entry, Object, Objects},
};

/// Most bytes of all files together: what one file may have, too.
const MAX_BYTES: usize = config::inrepo::MAX_BYTES;

/// Most files below `.prow/`.
const MAX_FILES: usize = 500;

/// Most folders below `.prow/`.
const MAX_FOLDERS: usize = 200;

/// Reads the files of the commit or tree `sha`. Contents that are not here are fetched within
/// `limit`.
pub(super) async fn read(
    git: &Git<'_>,
    sha: &str,
    limit: Duration,
) -> anyhow::Result<Result<Files, Problem>> {
    let mut reading = Reading {
        git,
        limit,
        objects: Objects::open(git)?,
    };
    let top = reading.objects.tree(sha, "").await?;
    let found = match choose(&top) {
        Some(folder) if folder.is_folder() => match reading.folder(folder).await? {
            Ok(mut below) => {
                let ignore = top.iter().find(|entry| entry.path == prowignore::FILE);
                below.extend(ignore.cloned());
                below
            }
            Err(problem) => return Ok(Err(problem)),
        },
        Some(file) => vec![file.clone()],
        None => return Ok(Ok(Files::new())),
    };
    let (ignores, yaml) = match check(found) {
        Ok(checked) => checked,
        Err(problem) => return Ok(Err(problem)),
    };
    let ignore = match reading.contents(ignores).await?.and_then(|it| ignore(&it)) {
        Ok(ignore) => ignore,
        Err(problem) => return Ok(Err(problem)),
    };
    let counts = yaml
        .into_iter()
        .filter(|entry| !ignore.leaves_out(&entry.path));
    reading.contents(counts.collect()).await
}

struct Reading<'a> {
    git: &'a Git<'a>,
    limit: Duration,
    objects: Objects,
}

impl Reading<'_> {
    /// Everything below a folder.
    async fn folder(&mut self, folder: &Entry) -> anyhow::Result<Result<Vec<Entry>, Problem>> {
        let mut found = Vec::new();
        let mut folders = vec![folder.clone()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            seen += 1;
            if seen > MAX_FOLDERS {
                return Ok(Err(invalid(
                    ".prow",
                    &format!("more than {MAX_FOLDERS} folders"),
                )));
            }
            let prefix = format!("{}/", folder.path);
            let entries = self.objects.tree(&folder.object, &prefix).await?;
            let (below, files) = entries.into_iter().partition(Entry::is_folder);
            folders.extend::<Vec<_>>(below);
            found.extend::<Vec<_>>(files);
        }
        Ok(Ok(found))
    }

    /// The texts of files. What the mirror does not have yet is fetched at once.
    async fn contents(&mut self, entries: Vec<Entry>) -> anyhow::Result<Result<Files, Problem>> {
        let mut contents = HashMap::new();
        let mut missing = Vec::new();
        let mut left = MAX_BYTES;
        for fetched in [false, true] {
            for Entry { object, path, .. } in &entries {
                if contents.contains_key(path) {
                    continue;
                }
                match self.objects.get(object, left).await? {
                    Object::Bytes(bytes) => {
                        left -= bytes.len();
                        let Ok(text) = String::from_utf8(bytes) else {
                            return Ok(Err(invalid(path, "the file is not UTF-8")));
                        };
                        contents.insert(path.clone(), text);
                    }
                    Object::TooLarge => {
                        let message = "the job configuration is larger than 1 MiB";
                        return Ok(Err(invalid(path, message)));
                    }
                    Object::Missing if fetched => {
                        return Err(Unreadable::because(format!("{path} is missing")).into());
                    }
                    Object::Missing => missing.push(object.as_str()),
                }
            }
            if missing.is_empty() {
                break;
            }
            self.fetch(&missing).await?;
        }
        let texts = entries.into_iter().filter_map(|entry| {
            let text = contents.remove(&entry.path)?;
            Some((entry.path, text))
        });
        Ok(Ok(texts.collect()))
    }

    async fn fetch(&self, objects: &[&str]) -> anyhow::Result<()> {
        let mut args = vec![
            "-c",
            // Nothing that is here says anything about file contents.
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
        self.git.run(&args, self.limit).await.map(drop)
    }
}

/// The entry that counts. A plain file called `.prow` is somebody else's.
fn choose(top: &[Entry]) -> Option<&Entry> {
    let named = |name: &str| top.iter().find(|entry| entry.path == name);
    named(".prow")
        .filter(|entry| !entry.is_file())
        .or_else(|| named(".prow.yaml"))
        .or_else(|| named("prow-jobs.yaml"))
}

/// The `.prowignore` files, and the YAML files in the order of their names. What is no plain
/// file is refused: a link could lead out of the repository.
fn check(entries: Vec<Entry>) -> Result<(Vec<Entry>, Vec<Entry>), Problem> {
    if let Some(entry) = entries.iter().find(|entry| !entry.is_file()) {
        return Err(invalid(
            &entry.path,
            "expected a plain file, found a symbolic link or a submodule",
        ));
    }
    let is_yaml = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml");
    let (mut yaml, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| is_yaml(&entry.path));
    if yaml.len() > MAX_FILES {
        return Err(invalid(".prow", &format!("more than {MAX_FILES} files")));
    }
    yaml.sort_by(|a, b| a.path.cmp(&b.path));
    let ignores = others
        .into_iter()
        .filter(|entry| split(&entry.path).1 == prowignore::FILE);
    Ok((ignores.collect(), yaml))
}

fn ignore(files: &Files) -> Result<ProwIgnore, Problem> {
    let mut ignore = ProwIgnore::default();
    for (path, text) in files {
        let added = ignore.add(split(path).0, text);
        added.map_err(|message| invalid(path, &message))?;
    }
    Ok(ignore)
}

/// Folder and name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn invalid(path: &str, message: &str) -> Problem {
    Problem::Invalid(config::Problem::in_file("in-repo-file", path, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: &str, path: &str) -> Entry {
        Entry {
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
            assert_eq!(choose(&top), chosen, "{name}");
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
        let (ignores, yaml) = check(found).unwrap();
        let paths = |entries: Vec<Entry>| entries.into_iter().map(|e| e.path).collect::<Vec<_>>();
        assert_eq!(paths(yaml), [".prow/a/x.yaml", ".prow/b.yml"]);
        assert_eq!(paths(ignores), [".prow/a/.prowignore"]);
        for mode in ["120000", "160000"] {
            assert!(check(vec![entry(mode, ".prow/a.yaml")]).is_err());
        }
    }

    #[test]
    fn patterns_count_from_the_folder_they_stand_in() {
        let files = vec![
            (".prowignore".to_owned(), ".prow/old/".to_owned()),
            (".prow/.prowignore".to_owned(), "wip-*.yaml".to_owned()),
        ];
        let ignore = ignore(&files).unwrap();
        assert!(ignore.leaves_out(".prow/old/a.yaml"));
        assert!(ignore.leaves_out(".prow/sub/wip-1.yaml"));
        assert!(!ignore.leaves_out(".prow/a.yaml"));
    }
}
