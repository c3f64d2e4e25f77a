//! Where the demo's repository comes from: the sample in this binary, or a folder of the user's.
//!
//! Either ends as a clone in the demo's own folder; the user's is only read.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, bail};
use serde_json::Value;

use super::git::Git;

const SAMPLE: [(&str, &str, u32); 3] = [
    (
        "prow-jobs.yaml",
        include_str!("../../sample/prow-jobs.yaml"),
        0o644,
    ),
    ("README.md", include_str!("../../sample/README.md"), 0o644),
    (
        "run-tests.sh",
        include_str!("../../sample/run-tests.sh"),
        0o755,
    ),
];

pub(super) const SAMPLE_REPO: (&str, &str) = ("your-org", "your-repo");

/// Makes the sample's first commit.
pub(super) async fn write_sample(git: &Git, folder: &Path) -> anyhow::Result<()> {
    git.run(["init", "--quiet"]).await?;
    for (name, content, mode) in SAMPLE {
        let path = folder.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    git.run(["add", "--all"]).await?;
    git.run([
        "commit",
        "--quiet",
        "--message",
        "Tests, and when to run them",
    ])
    .await?;
    Ok(())
}

/// Checks that the repository at `path` has jobs, before anything is made or started for it.
pub(super) async fn check(path: &Path) -> anyhow::Result<()> {
    let path = absolute(path)?;
    let git = Git::new(Path::new(&path), "", "", "");
    git.run(["rev-parse", "--git-dir"])
        .await
        .with_context(|| format!("--repo {path}"))?;
    git.run(["cat-file", "-e", "HEAD:prow-jobs.yaml"])
        .await
        .with_context(|| format!("--repo {path}: its last commit has no prow-jobs.yaml"))?;
    Ok(())
}

fn absolute(path: &Path) -> anyhow::Result<String> {
    let absolute = path
        .canonicalize()
        .with_context(|| format!("--repo {}", path.display()))?;
    if !absolute.is_dir() {
        bail!("--repo {}: it is no folder", absolute.display());
    }
    let text = absolute.to_str().map(str::to_owned);
    text.context("--repo: the path is not UTF-8")
}

/// Clones the repository at `path`.
pub(super) async fn clone(git: &Git, path: &Path) -> anyhow::Result<()> {
    let path = absolute(path)?;
    git.run([
        "clone",
        "--quiet",
        "--no-hardlinks",
        "--no-tags",
        "--",
        &path,
        ".",
    ])
    .await
    .map(drop)
}

/// Organisation and name of the repository at `path`: from `origin`, else from the only key in
/// its `prow-jobs.yaml`, else `local/<folder>`.
pub(super) async fn name(git: &Git, path: &Path) -> anyhow::Result<(String, String)> {
    let absolute = absolute(path)?;
    let text = absolute.as_str();
    if let Some(name) = git
        .run(["-C", text, "remote", "get-url", "origin"])
        .await
        .ok()
        .and_then(|url| from_url(&url))
    {
        return Ok(name);
    }
    let jobs = git
        .run(["-C", text, "show", "HEAD:prow-jobs.yaml"])
        .await
        .unwrap_or_default();
    if let Some(name) = common::config::yaml::parse("prow-jobs.yaml", &jobs)
        .ok()
        .as_ref()
        .and_then(only_key)
    {
        return Ok(name);
    }
    let folder = Path::new(text)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("repository");
    Ok(("local".to_owned(), folder.to_owned()))
}

/// The last two parts of a remote's path, for the forms git knows:
/// `https://host/org/repo.git`, `git@host:org/repo`, `ssh://host/org/repo`.
pub(crate) fn from_url(url: &str) -> Option<(String, String)> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        // A path on this machine names no organisation.
        None => {
            url.split_once(':')
                .filter(|(host, _)| !host.contains('/'))?
                .1
        }
    };
    let path = path.trim_matches('/');
    let (rest, repo) = path.strip_suffix(".git").unwrap_or(path).rsplit_once('/')?;
    let org = rest.rsplit('/').next()?;
    (!org.is_empty() && !repo.is_empty()).then(|| (org.to_owned(), repo.to_owned()))
}

/// The one `org/repo` that the keyed form of a job file names.
pub(crate) fn only_key(jobs: &Value) -> Option<(String, String)> {
    let mut keys: Vec<&String> = ["presubmits", "postsubmits"]
        .into_iter()
        .filter_map(|kind| jobs.get(kind)?.as_object())
        .flat_map(|repos| repos.keys())
        .collect();
    keys.sort();
    keys.dedup();
    match keys[..] {
        [key] => key
            .split_once('/')
            .map(|(org, repo)| (org.to_owned(), repo.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_remotes() {
        for (url, name) in [
            (
                "https://github.com/kubernetes/test-infra.git",
                Some(("kubernetes", "test-infra")),
            ),
            (
                "https://github.com/kubernetes/test-infra/",
                Some(("kubernetes", "test-infra")),
            ),
            ("git@github.com:o/r.git", Some(("o", "r"))),
            ("ssh://git@host:2222/group/o/r", Some(("o", "r"))),
            ("/srv/git/o/r.git", None),
            ("../elsewhere", None),
            ("https://host/only", None),
        ] {
            let name = name.map(|(org, repo)| (org.to_owned(), repo.to_owned()));
            assert_eq!(from_url(url), name, "{url}");
        }
    }

    #[test]
    fn names_come_from_the_only_key() {
        let keyed = |json: Value| only_key(&json).map(|(org, repo)| format!("{org}/{repo}"));
        assert_eq!(
            keyed(serde_json::json!({"presubmits": {"o/r": []}, "postsubmits": {"o/r": []}})),
            Some("o/r".into())
        );
        assert_eq!(
            keyed(serde_json::json!({"presubmits": {"o/r": [], "o/s": []}})),
            None
        );
        assert_eq!(keyed(serde_json::json!({"presubmits": []})), None);
    }
}
