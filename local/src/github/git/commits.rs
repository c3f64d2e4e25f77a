//! Reads and makes commits.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context as _;

use super::{BareRepo, git_command, run_to_end};

#[derive(Clone, Debug)]
pub(crate) struct GitSignature {
    pub(crate) name: String,
    pub(crate) email: String,
    /// RFC 3339, with its original time zone.
    pub(crate) date: String,
}

#[derive(Clone, Debug)]
pub(crate) struct GitCommit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: GitSignature,
    pub(crate) committer: GitSignature,
    pub(crate) message: String,
}

/// Ten fields per commit, each followed by NUL, which no commit can contain.
const LOG_FORMAT: &str =
    "--format=tformat:%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B";
const FIELDS_PER_COMMIT: usize = 10;

impl BareRepo {
    /// The commits of a range such as `a..b`, or from one hash on, newest first, at most `limit`.
    pub(crate) async fn list_commits(
        &self,
        range: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<GitCommit>> {
        let limit = format!("--max-count={limit}");
        Ok(parse_commits(
            &self
                .run_git(&["log", "-z", LOG_FORMAT, &limit, "--end-of-options", range])
                .await?,
        ))
    }

    pub(crate) async fn read_commit(&self, sha: &str) -> anyhow::Result<GitCommit> {
        self.list_commits(sha, 1)
            .await?
            .pop()
            .with_context(|| format!("no commit {sha}"))
    }

    pub(crate) async fn count_commits(&self, range: &str) -> anyhow::Result<i64> {
        let text = self
            .run_git(&["rev-list", "--count", "--end-of-options", range])
            .await?;
        text.trim()
            .parse()
            .context("git rev-list --count gave no number")
    }

    /// Makes a commit. `author` is the committer, too.
    pub(crate) async fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        author: &GitSignature,
    ) -> anyhow::Result<String> {
        let mut git = git_command();
        git.arg("--git-dir")
            .arg(self.dir())
            .args(["commit-tree", tree]);
        for parent in parents {
            git.args(["-p", parent]);
        }
        git.env("GIT_AUTHOR_NAME", &author.name)
            .env("GIT_AUTHOR_EMAIL", &author.email)
            .env("GIT_AUTHOR_DATE", &author.date)
            .env("GIT_COMMITTER_NAME", &author.name)
            .env("GIT_COMMITTER_EMAIL", &author.email)
            .env("GIT_COMMITTER_DATE", &author.date);
        let output = run_to_end(&mut git, Some(message.as_bytes())).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// The new commits of a push to a branch, oldest first, at most `limit`. `before` is `None` for
    /// a new branch.
    pub(crate) async fn list_pushed_commits(
        &self,
        branch: &str,
        before: Option<&str>,
        after: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<GitCommit>> {
        let limit = format!("--max-count={limit}");
        let exclude = format!("--exclude={branch}");
        let mut args = vec!["log", "-z", LOG_FORMAT, &limit, after, "--not"];
        match before {
            Some(before) => args.push(before),
            None => args.extend([exclude.as_str(), "--branches"]),
        }
        let mut commits = parse_commits(&self.run_git(&args).await?);
        commits.reverse();
        Ok(commits)
    }

    /// The paths that each of these commits added, removed and modified against its first parent.
    pub(crate) async fn list_changed_paths(
        &self,
        commits: &[GitCommit],
    ) -> anyhow::Result<HashMap<String, ChangedPaths>> {
        // git would answer twice for a hash that is there twice.
        let hashes: BTreeSet<&str> = commits.iter().map(|commit| commit.sha.as_str()).collect();
        let input: String = hashes.iter().map(|sha| format!("{sha}\n")).collect();
        let args = [
            "diff-tree",
            "--stdin",
            "-r",
            "-z",
            "--root",
            "--no-renames",
            "--name-status",
            "--diff-merges=first-parent",
        ];
        let output = self.run_git_bytes(&args, Some(input.as_bytes())).await?;
        Ok(parse_changed_paths(&String::from_utf8_lossy(&output)))
    }
}

#[derive(Debug, Default)]
pub(crate) struct ChangedPaths {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) modified: Vec<String>,
}

/// `hash\0` and then `STATUS\0path\0` for each path of that commit.
fn parse_changed_paths(text: &str) -> HashMap<String, ChangedPaths> {
    let mut commits: HashMap<String, ChangedPaths> = HashMap::new();
    let mut current = String::new();
    let mut words = text.split('\0').map(|word| word.trim_start_matches('\n'));
    while let Some(word) = words.next() {
        if word.len() == 40 {
            current = word.to_owned();
            continue;
        }
        let Some(path) = words.next() else { break };
        let touched = commits.entry(current.clone()).or_default();
        match word {
            "A" => touched.added.push(path.to_owned()),
            "D" => touched.removed.push(path.to_owned()),
            _ => touched.modified.push(path.to_owned()),
        }
    }
    commits
}

fn parse_commits(text: &str) -> Vec<GitCommit> {
    let fields: Vec<&str> = text.split('\0').collect();
    let commits = fields
        .chunks_exact(FIELDS_PER_COMMIT)
        .map(|field| GitCommit {
            sha: field[0].to_owned(),
            tree: field[1].to_owned(),
            parents: field[2].split_whitespace().map(str::to_owned).collect(),
            author: GitSignature {
                name: field[3].to_owned(),
                email: field[4].to_owned(),
                date: field[5].to_owned(),
            },
            committer: GitSignature {
                name: field[6].to_owned(),
                email: field[7].to_owned(),
                date: field[8].to_owned(),
            },
            message: field[9].trim_end_matches('\n').to_owned(),
        });
    commits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_told_apart() {
        let one = "h\0t\0p q\0A\0a@x\0d1\0C\0c@x\0d2\0subject\n\nbody\n\0";
        let commits = parse_commits(&one.repeat(2));
        assert_eq!(commits.len(), 2);
        assert_eq!(commits[1].parents, ["p", "q"]);
        assert_eq!(commits[1].message, "subject\n\nbody");
    }
}
