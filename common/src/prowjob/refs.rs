//! The commit that a job runs on, and the pull requests that are merged into it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::spec::{is_false, is_zero, null_default};

/// A repository at a base commit with pull requests on top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Refs {
    #[serde(deserialize_with = "null_default")]
    pub org: String,
    #[serde(deserialize_with = "null_default")]
    pub repo: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub repo_link: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub base_ref: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub base_sha: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub base_link: String,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub pulls: Vec<Pull>,
    /// Where the clone lands below `src/`, instead of the repository's own path.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub path_alias: String,
    /// The test starts in this repository's clone.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub workdir: bool,
    /// This reference is never the main one of `started.json`.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub auxiliary: bool,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub clone_uri: String,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub skip_submodules: bool,
    /// 0 fetches the whole history.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub clone_depth: i64,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub skip_fetch_head: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobless_fetch: Option<bool>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub sparse_checkout_files: Vec<String>,
}

/// One pull request of [`Refs`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pull {
    #[serde(deserialize_with = "pull_number")]
    #[schemars(with = "i64")]
    pub number: u64,
    #[serde(deserialize_with = "null_default")]
    pub author: String,
    #[serde(deserialize_with = "null_default")]
    pub sha: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub title: String,
    /// A ref to fetch instead of `pull/N/head`.
    #[serde(
        rename = "ref",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub git_ref: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub head_ref: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub link: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub commit_link: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub author_link: String,
}

/// A number below 1 is read as 0: no pull request has it.
fn pull_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = Option::<i64>::deserialize(deserializer)?;
    Ok(number.unwrap_or_default().try_into().unwrap_or_default())
}

impl Refs {
    /// The path alias, else the repository's URL without its scheme, else its path on GitHub.
    pub fn import_path(&self) -> String {
        if !self.path_alias.is_empty() {
            return self.path_alias.clone();
        }
        match self.repo_link.rsplit("://").next() {
            Some(link) if !link.is_empty() => link.to_owned(),
            _ => format!("github.com/{}", self.org_repo()),
        }
    }

    /// The folder of the clone: below `src/` of `root`, without empty, `.` and `..` segments.
    pub fn clone_dir(&self, root: &str) -> String {
        let mut segments = Vec::new();
        let below = self.import_path();
        for segment in root.split('/').chain(["src"]).chain(below.split('/')) {
            match (segment, segments.last()) {
                ("" | ".", _) => {}
                ("..", Some(last)) if *last != ".." => drop(segments.pop()),
                ("..", None) if root.starts_with('/') => {}
                _ => segments.push(segment),
            }
        }
        let root = if root.starts_with('/') { "/" } else { "" };
        format!("{root}{}", segments.join("/"))
    }

    /// `org/repo`.
    pub fn org_repo(&self) -> String {
        format!("{}/{}", self.org, self.repo)
    }
}

/// The form of `PULL_REFS` and of the repositories in `started.json`:
/// `base_ref[:base_sha]`, then `,number:sha[:ref]` a pull request.
impl fmt::Display for Refs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base_ref)?;
        if !self.base_sha.is_empty() {
            write!(f, ":{}", self.base_sha)?;
        }
        for pull in &self.pulls {
            write!(f, ",{}:{}", pull.number, pull.sha)?;
            if !pull.git_ref.is_empty() {
                write!(f, ":{}", pull.git_ref)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_pull_refs() {
        let pull = |number, sha: &str, git_ref: &str| Pull {
            number,
            sha: sha.into(),
            git_ref: git_ref.into(),
            ..Pull::default()
        };
        let refs = |base_sha: &str, pulls| Refs {
            base_ref: "main".into(),
            base_sha: base_sha.into(),
            pulls,
            ..Refs::default()
        };
        for (refs, text) in [
            (refs("", vec![]), "main"),
            (refs("abc", vec![]), "main:abc"),
            (refs("abc", vec![pull(1, "def", "")]), "main:abc,1:def"),
            (
                refs("abc", vec![pull(1, "def", "refs/x"), pull(2, "012", "")]),
                "main:abc,1:def:refs/x,2:012",
            ),
        ] {
            assert_eq!(refs.to_string(), text);
        }
    }

    #[test]
    fn a_clone_lands_in_a_clean_path() {
        let refs = |alias: &str, link: &str| Refs {
            org: "o".into(),
            repo: "r".into(),
            path_alias: alias.into(),
            repo_link: link.into(),
            ..Refs::default()
        };
        for (refs, root, expected) in [
            (refs("", ""), "/go", "/go/src/github.com/o/r"),
            (refs("", "https://h/a/b"), "/go", "/go/src/h/a/b"),
            (refs("", "https://h/https://i/b"), "/go", "/go/src/i/b"),
            (
                refs("k8s.io//x/", "https://h/a"),
                "/go/",
                "/go/src/k8s.io/x",
            ),
            (refs("/k8s.io/./x", ""), "/go", "/go/src/k8s.io/x"),
            (refs("../x", ""), "/go", "/go/x"),
            (refs("../../../x", ""), "/go", "/x"),
            (refs("x", ""), "go", "go/src/x"),
            (refs("../../../x", ""), "go", "../x"),
            (refs("../../../../x", ""), "go", "../../x"),
            (refs("x", ""), "../../go", "../../go/src/x"),
        ] {
            assert_eq!(refs.clone_dir(root), expected, "{refs:?}");
        }
        let gerrit = Refs {
            org: "https://g".into(),
            ..refs("", "")
        };
        assert_eq!(gerrit.clone_dir("/go"), "/go/src/github.com/https:/g/r");
    }
}
