//! GitHub's objects, with the fields that Prow reads. The same types parse REST responses and
//! webhook payloads.
//!
//! A missing or null field has its zero value, as in Go: GitHub omits fields in unexpected cases.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::prowjob::{null_default, null_defaults};

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GithubPullRequest {
    #[serde(deserialize_with = "null_default")]
    pub number: u64,
    #[serde(deserialize_with = "null_default")]
    pub title: String,
    /// `open` or `closed`.
    #[serde(deserialize_with = "null_default")]
    pub state: String,
    #[serde(deserialize_with = "null_default")]
    pub draft: bool,
    /// `None` until GitHub has computed it.
    pub mergeable: Option<bool>,
    /// Every change updates it, to the second.
    pub updated_at: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    pub user: GithubUser,
    #[serde(deserialize_with = "label_names")]
    pub labels: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub base: PullRequestBranch,
    #[serde(deserialize_with = "null_default")]
    pub head: PullRequestBranch,
    #[serde(deserialize_with = "null_default")]
    pub html_url: String,
}

/// The base or the head of a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PullRequestBranch {
    #[serde(rename = "ref", deserialize_with = "null_default")]
    pub git_ref: String,
    #[serde(deserialize_with = "null_default")]
    pub sha: String,
    /// `None` when the fork was deleted.
    pub repo: Option<GithubRepo>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RepoObject")]
pub struct GithubRepo {
    pub owner: String,
    pub name: String,
    pub html_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RepoObject {
    #[serde(deserialize_with = "null_default")]
    name: String,
    #[serde(deserialize_with = "null_default")]
    html_url: String,
    #[serde(deserialize_with = "null_default")]
    owner: RepoOwner,
}

/// Push payloads give the owner's login as `name`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RepoOwner {
    login: Option<String>,
    name: Option<String>,
}

impl From<RepoObject> for GithubRepo {
    fn from(repo: RepoObject) -> Self {
        let owner = repo.owner.login.or(repo.owner.name).unwrap_or_default();
        Self {
            owner,
            name: repo.name,
            html_url: repo.html_url,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GithubUser {
    #[serde(deserialize_with = "or_ghost")]
    pub login: String,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub html_url: String,
}

/// GitHub's placeholder for a deleted account.
impl Default for GithubUser {
    fn default() -> Self {
        Self {
            login: "ghost".into(),
            kind: "User".into(),
            html_url: String::new(),
        }
    }
}

fn or_ghost<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let login = Option::<String>::deserialize(deserializer)?;
    Ok(login.unwrap_or_else(|| GithubUser::default().login))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GithubLabel {
    #[serde(deserialize_with = "null_default")]
    name: String,
}

fn label_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels: Vec<GithubLabel> = null_defaults(deserializer)?;
    Ok(labels.into_iter().map(|label| label.name).collect())
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    pub state: StatusState,
    pub context: String,
    /// GitHub takes at most 140 characters.
    #[serde(default, deserialize_with = "null_default")]
    pub description: String,
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub target_url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusState {
    Pending,
    Success,
    Failure,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssueComment {
    pub id: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub user: GithubUser,
    #[serde(default, deserialize_with = "null_default")]
    pub body: String,
    #[serde(default, deserialize_with = "null_default")]
    pub html_url: String,
}
