//! The sample repository in this binary, and how a repository's name is found.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use super::git::ContributorGit;

const SAMPLE_FILES: [(&str, &str, u32); 3] = [
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
pub(super) async fn write_sample(git: &ContributorGit, folder: &Path) -> anyhow::Result<()> {
    git.run_git(["init", "--quiet"]).await?;
    for (name, content, mode) in SAMPLE_FILES {
        let path = folder.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    git.run_git(["add", "--all"]).await?;
    git.run_git([
        "commit",
        "--quiet",
        "--message",
        "Tests, and when to run them",
    ])
    .await?;
    Ok(())
}

/// The last two parts of a remote's path, for the forms git knows:
/// `https://host/org/repo.git`, `git@host:org/repo`, `ssh://host/org/repo`.
pub(crate) fn parse_remote_url(url: &str) -> Option<(String, String)> {
    let path = match url.split_once("://") {
        // A path on this machine names no organisation.
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
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
pub(crate) fn find_only_key(jobs: &Value) -> Option<(String, String)> {
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
            ("file:///srv/git/o/r.git", None),
            ("../elsewhere", None),
            ("https://host/only", None),
        ] {
            let name = name.map(|(org, repo)| (org.to_owned(), repo.to_owned()));
            assert_eq!(parse_remote_url(url), name, "{url}");
        }
    }

    #[test]
    fn names_come_from_the_only_key() {
        let keyed = |json: Value| find_only_key(&json).map(|(org, repo)| format!("{org}/{repo}"));
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
