//! Reads trees and blobs of a mirror through one `git cat-file --batch`: one process for all of
//! them instead of two for each.
//!
//! An object that the mirror does not have is reported as missing, not fetched one by one.

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStdin, ChildStdout},
};

use super::git::{
    DamagedMirror, GitProcess, MirrorGit, TransientGitError, UnreadableRepository, is_sha,
};

/// Most bytes of one tree: some 100,000 entries.
const MAX_TREE: usize = 8 << 20;

/// A running `git cat-file`; it ends when this is dropped.
pub(super) struct CatFileBatch {
    _process: GitProcess,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the mirror has under an object's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MirrorObject {
    Missing,
    /// Its bytes are still unread: no other object can be requested.
    TooLarge,
    Bytes(Vec<u8>),
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MirrorTreeEntry {
    pub(super) mode: String,
    pub(super) object: String,
    /// The path from the root of the repository.
    pub(super) path: String,
}

impl MirrorTreeEntry {
    pub(super) fn is_folder(&self) -> bool {
        self.mode == "40000"
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

impl CatFileBatch {
    pub(super) fn start_batch(git: &MirrorGit<'_>) -> anyhow::Result<Self> {
        let mut process = git.start_interactive(&["cat-file", "--batch"])?;
        let (questions, answers) = process.take_pipes();
        Ok(Self {
            _process: process,
            questions,
            answers: BufReader::new(answers),
        })
    }

    /// The entries of a tree, or of a commit's tree. `folder` is put in front of their names.
    pub(super) async fn read_tree(
        &mut self,
        sha: &str,
        folder: &str,
    ) -> anyhow::Result<Vec<MirrorTreeEntry>> {
        match self.request_object(sha, "^{tree}", MAX_TREE).await? {
            MirrorObject::Bytes(bytes) => parse_tree(&bytes, folder)
                .ok_or_else(|| DamagedMirror(format!("the tree {sha} makes no sense")).into()),
            MirrorObject::TooLarge => {
                Err(UnreadableRepository::with_reason("a folder has too many entries").into())
            }
            // Trees are fetched with their commits.
            MirrorObject::Missing => {
                Err(DamagedMirror(format!("the tree {sha} is missing")).into())
            }
        }
    }

    /// Reads an object of at most `max` bytes.
    pub(super) async fn read_object(
        &mut self,
        sha: &str,
        max: usize,
    ) -> anyhow::Result<MirrorObject> {
        self.request_object(sha, "", max).await
    }

    async fn request_object(
        &mut self,
        sha: &str,
        part: &str,
        max: usize,
    ) -> anyhow::Result<MirrorObject> {
        if !is_sha(sha) {
            bail!("{sha:?} is no object's name");
        }
        let ended = || TransientGitError(UnreadableRepository::with_reason("git cat-file ended"));
        let question = format!("{sha}{part}\n");
        let asked = self.questions.write_all(question.as_bytes()).await;
        asked.map_err(|_| ended())?;
        let mut header = String::new();
        if self.answers.read_line(&mut header).await? == 0 {
            return Err(ended().into());
        }
        let header = header.trim_end();
        if header.ends_with(" missing") {
            return Ok(MirrorObject::Missing);
        }
        let size: usize = header
            .rsplit_once(' ')
            .and_then(|(_, size)| size.parse().ok())
            .context("git cat-file printed no size")?;
        if size > max {
            return Ok(MirrorObject::TooLarge);
        }
        // The content, and a line end after it.
        let mut bytes = vec![0; size + 1];
        let read = self.answers.read_exact(&mut bytes).await;
        read.map_err(|_| ended())?;
        bytes.pop();
        Ok(MirrorObject::Bytes(bytes))
    }
}

/// Reads any number of `<mode> <name>\0<20 bytes>`. `None` when it is no tree.
fn parse_tree(mut bytes: &[u8], folder: &str) -> Option<Vec<MirrorTreeEntry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let (meta, rest) = bytes.split_at(end);
        let object = rest.get(1..21)?;
        let meta = String::from_utf8_lossy(meta);
        let (mode, name) = meta.split_once(' ')?;
        entries.push(MirrorTreeEntry {
            mode: mode.to_owned(),
            object: hex::encode(object),
            path: format!("{folder}{name}"),
        });
        bytes = &rest[21..];
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read() {
        let mut tree = b"100644 a file.yaml\0".to_vec();
        tree.extend([0x89; 20]);
        tree.extend(b"40000 sub\0");
        tree.extend([0x01; 20]);
        let read = parse_tree(&tree, ".prow/").unwrap();
        assert_eq!(read[0].path, ".prow/a file.yaml");
        assert_eq!(read[0].object, "89".repeat(20));
        assert!(read[0].is_file() && read[1].is_folder());
        assert_eq!(parse_tree(b"", ""), Some(Vec::new()));
        for damaged in [&b"nonsense\0"[..], b"100644 a\0short", b"100644"] {
            assert_eq!(parse_tree(damaged, ""), None);
        }
    }
}
