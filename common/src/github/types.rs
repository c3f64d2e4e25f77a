//! GitHub's objects, with the fields Prow looks at. The same types read REST answers and
//! webhook payloads.

use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PullRequest {
    pub number: u64,
    #[serde(default)]
    pub title: String,
    /// `open` or `closed`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub merged: bool,
    /// `None` while GitHub has not worked it out.
    #[serde(default)]
    pub mergeable: Option<bool>,
    #[serde(default, deserialize_with = "or_ghost")]
    pub user: User,
    #[serde(default, deserialize_with = "label_names")]
    pub labels: Vec<String>,
    pub base: Branch,
    pub head: Branch,
    #[serde(default)]
    pub html_url: String,
}

/// One end of a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Branch {
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub sha: String,
    /// `None` when the fork was deleted.
    #[serde(default)]
    pub repo: Option<Repo>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RepoObject")]
pub struct Repo {
    pub owner: String,
    pub name: String,
    pub html_url: String,
}

#[derive(Deserialize)]
struct RepoObject {
    name: String,
    #[serde(default)]
    html_url: String,
    owner: Owner,
}

/// Push payloads call the owner's login `name`.
#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
    name: Option<String>,
}

impl From<RepoObject> for Repo {
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
pub struct User {
    pub login: String,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub html_url: String,
}

/// GitHub's stand-in for a deleted account.
impl Default for User {
    fn default() -> Self {
        Self {
            login: "ghost".into(),
            kind: "User".into(),
            html_url: String::new(),
        }
    }
}

fn or_ghost<'de, D: Deserializer<'de>>(deserializer: D) -> Result<User, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

fn label_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels = Option::<Vec<Label>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(labels.into_iter().map(|label| label.name).collect())
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub state: StatusState,
    pub context: String,
    /// GitHub takes at most 140 characters.
    #[serde(default, deserialize_with = "crate::prowjob::null_default")]
    pub description: String,
    #[serde(
        default,
        deserialize_with = "crate::prowjob::null_default",
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
    #[serde(default, deserialize_with = "or_ghost")]
    pub user: User,
    #[serde(default, deserialize_with = "crate::prowjob::null_default")]
    pub body: String,
    #[serde(default)]
    pub html_url: String,
}
