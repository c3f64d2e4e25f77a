//! The changes between two commits, file by file.

use super::BareRepo;
use crate::github::store::PullStats;

/// GitHub leaves out a longer patch.
const LARGEST_PATCH: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct FileChange {
    /// The blob after the change. For a removed file the blob before it.
    pub(crate) sha: String,
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) additions: i64,
    pub(crate) deletions: i64,
    /// Hunks only. `None` for a binary file.
    pub(crate) patch: Option<String>,
}

/// How a head relates to a base.
pub(crate) struct CommitComparison {
    pub(crate) merge_base: String,
    pub(crate) ahead: i64,
    pub(crate) behind: i64,
}

impl CommitComparison {
    pub(crate) fn status_name(&self) -> &'static str {
        match (self.ahead, self.behind) {
            (0, 0) => "identical",
            (_, 0) => "ahead",
            (0, _) => "behind",
            _ => "diverged",
        }
    }
}

impl BareRepo {
    /// The files that differ between two commits. Renames are detected.
    pub(crate) async fn diff_files(&self, old: &str, new: &str) -> anyhow::Result<Vec<FileChange>> {
        let common = [
            "diff",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--full-index",
            "-M",
        ];
        let list = self
            .run_git(&[&common[..], &["--raw", "--abbrev=40", "-z", old, new]].concat())
            .await?;
        let numbers = self
            .run_git(&[&common[..], &["--numstat", "-z", old, new]].concat())
            .await?;
        let patches = self
            .run_git(&[&common[..], &["--patch", old, new]].concat())
            .await?;
        let mut files = parse_raw(&list);
        for (file, (additions, deletions)) in files.iter_mut().zip(parse_numstat(&numbers)) {
            file.additions = additions;
            file.deletions = deletions;
        }
        for (file, patch) in files.iter_mut().zip(split_patches(&patches)) {
            file.patch = patch;
        }
        Ok(files)
    }

    /// `None` if the two have no common history.
    pub(crate) async fn compare_commits(
        &self,
        base: &str,
        head: &str,
    ) -> anyhow::Result<Option<CommitComparison>> {
        let Some(merge_base) = self.find_merge_base(base, head).await? else {
            return Ok(None);
        };
        let ahead = self.count_commits(&format!("{base}..{head}")).await?;
        let behind = self.count_commits(&format!("{head}..{base}")).await?;
        Ok(Some(CommitComparison {
            merge_base,
            ahead,
            behind,
        }))
    }

    /// The size that a pull request shows.
    pub(crate) async fn compute_pull_stats(
        &self,
        base: &str,
        head: &str,
    ) -> anyhow::Result<PullStats> {
        let from = self
            .find_merge_base(base, head)
            .await?
            .unwrap_or_else(|| base.to_owned());
        let numbers = self
            .run_git(&[
                "diff",
                "--no-ext-diff",
                "--numstat",
                "-M",
                "-z",
                &from,
                head,
            ])
            .await?;
        let files = parse_numstat(&numbers);
        Ok(PullStats {
            commits: self.count_commits(&format!("{base}..{head}")).await?,
            additions: files.iter().map(|(added, _)| added).sum(),
            deletions: files.iter().map(|(_, removed)| removed).sum(),
            changed_files: i64::try_from(files.len()).unwrap_or(i64::MAX),
        })
    }
}

/// Parses `:mode mode sha sha STATUS\0path\0`; renames have one more path.
fn parse_raw(text: &str) -> Vec<FileChange> {
    let mut files = Vec::new();
    let mut words = text.split('\0');
    while let Some(head) = words.next().and_then(|word| word.strip_prefix(':')) {
        let fields: Vec<&str> = head.split(' ').collect();
        let (Some(path), [_, _, old, new, status]) = (words.next(), &fields[..]) else {
            break;
        };
        let mut file = FileChange {
            sha: (*new).to_owned(),
            path: path.to_owned(),
            ..FileChange::default()
        };
        file.status = match status.as_bytes().first() {
            Some(b'A') => "added",
            Some(b'D') => {
                file.sha = (*old).to_owned();
                "removed"
            }
            Some(b'R') => {
                file.previous = Some(std::mem::replace(
                    &mut file.path,
                    words.next().unwrap_or_default().to_owned(),
                ));
                "renamed"
            }
            Some(b'T') => "changed",
            _ => "modified",
        };
        files.push(file);
    }
    files
}

/// Parses `added\tremoved\tpath\0`, and for renames `added\tremoved\t\0old\0new\0`. Binary files
/// have `-`.
fn parse_numstat(text: &str) -> Vec<(i64, i64)> {
    let mut numbers = Vec::new();
    let mut words = text.split('\0');
    while let Some(word) = words.next() {
        let fields: Vec<&str> = word.splitn(3, '\t').collect();
        let [added, removed, path] = fields[..] else {
            break;
        };
        numbers.push((added.parse().unwrap_or(0), removed.parse().unwrap_or(0)));
        if path.is_empty() {
            words.nth(1);
        }
    }
    numbers
}

/// The hunks of each file, in git's order.
fn split_patches(text: &str) -> Vec<Option<String>> {
    let mut patches = Vec::new();
    // Content lines begin with a space, `+`, `-` or `\`, so this is always a header.
    let text = format!("\n{text}");
    for part in text.split("\ndiff --git ").skip(1) {
        let hunks = part
            .split_once("\n@@ ")
            .map(|(_, hunks)| format!("@@ {}", hunks.trim_end_matches('\n')));
        patches.push(hunks.filter(|hunks| hunks.len() <= LARGEST_PATCH));
    }
    patches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_have_two_paths() {
        let files = parse_raw(
            ":100644 100644 aaa bbb R090\0old.txt\0new.txt\0:100644 000000 ccc 000 D\0gone\0",
        );
        let [renamed, removed] = &files[..] else {
            panic!("{files:?}")
        };
        assert_eq!(
            (renamed.status, &*renamed.path, renamed.previous.as_deref()),
            ("renamed", "new.txt", Some("old.txt"))
        );
        assert_eq!(
            (removed.status, &*removed.path, &*removed.sha),
            ("removed", "gone", "ccc")
        );
        assert_eq!(
            parse_numstat("3\t1\t\0old.txt\0new.txt\0-\t-\tpicture\0"),
            [(3, 1), (0, 0)]
        );
    }

    #[test]
    fn a_patch_is_its_hunks() {
        let text = "diff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-diff --git \n+b\n\
                    diff --git a/p b/p\nBinary files differ\n";
        let patches = split_patches(text);
        assert_eq!(
            patches,
            [Some("@@ -1 +1 @@\n-diff --git \n+b".to_owned()), None]
        );
    }
}
