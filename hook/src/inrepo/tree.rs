//! Which files of a tree configure jobs, and their contents.
//!
//! The folder `.prow/` goes before `.prow.yaml`, that before `prow-jobs.yaml`; exactly one of
//! them is read.

use std::time::Duration;

use anyhow::Context as _;
use common::config;

use super::{Files, Problem, git::Git};

/// Most bytes of all files together: what one file may have, too.
const MAX_BYTES: usize = config::inrepo::MAX_BYTES;

/// Most files below `.prow/`.
const MAX_FILES: usize = 500;

/// One line of `git ls-tree`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    mode: String,
    object: String,
    path: String,
}

impl Entry {
    fn is_folder(&self) -> bool {
        self.mode == "040000"
    }

    fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// Reads the files of `tree`.
pub(super) async fn read(
    git: &Git<'_>,
    tree: &str,
    limit: Duration,
) -> anyhow::Result<Result<Files, Problem>> {
    let top = entries(
        &git.run(
            &[
                "ls-tree",
                "-z",
                "--full-tree",
                tree,
                "--",
                ".prow",
                ".prow.yaml",
                "prow-jobs.yaml",
            ],
            limit,
        )
        .await?,
    )?;
    let chosen = match choose(&top) {
        Some(folder) if folder.is_folder() => {
            let args = ["ls-tree", "-r", "-z", "--full-tree", tree, "--", ".prow/"];
            entries(&git.run(&args, limit).await?)?
        }
        Some(file) => vec![file.clone()],
        None => Vec::new(),
    };
    let chosen = match check(chosen) {
        Ok(chosen) => chosen,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut files = Files::new();
    let mut bytes = 0;
    for entry in chosen {
        let size = git.run(&["cat-file", "-s", &entry.object], limit).await?;
        let size: usize = String::from_utf8_lossy(&size)
            .trim()
            .parse()
            .context("git cat-file -s printed no size")?;
        bytes += size;
        if bytes > MAX_BYTES {
            return Ok(Err(invalid(
                &entry.path,
                "the job configuration is larger than 1 MiB",
            )));
        }
        let content = git.run(&["cat-file", "blob", &entry.object], limit).await?;
        match String::from_utf8(content) {
            Ok(text) => files.push((entry.path, text)),
            Err(_) => return Ok(Err(invalid(&entry.path, "the file is not UTF-8"))),
        }
    }
    Ok(Ok(files))
}

/// The entry that counts. A plain file called `.prow` is somebody else's.
fn choose(top: &[Entry]) -> Option<&Entry> {
    let named = |name: &str| top.iter().find(|entry| entry.path == name);
    named(".prow")
        .filter(|entry| !entry.is_file())
        .or_else(|| named(".prow.yaml"))
        .or_else(|| named("prow-jobs.yaml"))
}

/// Keeps the YAML files, in the order of their names. What is no plain file is refused: a link
/// could lead out of the repository.
fn check(entries: Vec<Entry>) -> Result<Vec<Entry>, Problem> {
    for entry in &entries {
        if entry.path.ends_with("/.prowignore") {
            return Err(invalid(&entry.path, "`.prowignore` is not supported yet"));
        }
        if !entry.is_file() {
            return Err(invalid(
                &entry.path,
                "expected a plain file, found a symbolic link or a submodule",
            ));
        }
    }
    let mut yaml: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.path.ends_with(".yaml") || entry.path.ends_with(".yml"))
        .collect();
    if yaml.len() > MAX_FILES {
        return Err(invalid(".prow", &format!("more than {MAX_FILES} files")));
    }
    yaml.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(yaml)
}

fn invalid(path: &str, message: &str) -> Problem {
    Problem::Invalid(config::Problem::in_file("file", path, message).into())
}

/// Reads `<mode> <type> <object>\t<path>\0`.
fn entries(printed: &[u8]) -> anyhow::Result<Vec<Entry>> {
    String::from_utf8_lossy(printed)
        .split_terminator('\0')
        .map(|line| {
            let (meta, path) = line.split_once('\t')?;
            let mut meta = meta.split(' ');
            let (mode, _type, object) = (meta.next()?, meta.next()?, meta.next()?);
            Some(Entry {
                mode: mode.to_owned(),
                object: object.to_owned(),
                path: path.to_owned(),
            })
        })
        .collect::<Option<_>>()
        .context("git ls-tree printed something else")
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
        let folder = entry("040000", ".prow");
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
        ];
        let paths: Vec<_> = check(found).unwrap().into_iter().map(|e| e.path).collect();
        assert_eq!(paths, [".prow/a/x.yaml", ".prow/b.yml"]);
        for mode in ["120000", "160000"] {
            assert!(check(vec![entry(mode, ".prow/a.yaml")]).is_err());
        }
        assert!(check(vec![entry("100644", ".prow/.prowignore")]).is_err());
    }

    #[test]
    fn lines_of_ls_tree_are_read() {
        let printed = b"100644 blob 89abcdef\ta file.yaml\x00040000 tree 01234567\t.prow\0";
        let read = entries(printed).unwrap();
        assert_eq!(read[0].path, "a file.yaml");
        assert!(read[1].is_folder());
        assert!(entries(b"nonsense\0").is_err());
    }
}
