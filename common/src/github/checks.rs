//! Check runs. Only Apps can make them, and an App changes only its own.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    GithubClient, GithubError, GithubResult,
    api::{encode_path, encode_segment, repo_path},
};

/// A check run as GitHub returns it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GithubCheckRun {
    pub id: u64,
    /// The id that its App gave it.
    #[serde(default, deserialize_with = "crate::prowjob::null_default")]
    pub external_id: String,
    pub status: CheckStatus,
    pub conclusion: Option<CheckConclusion>,
    pub output: CheckRunOutput,
    pub app: Option<CheckRunApp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckRunOutput {
    /// The number of stored annotations; each request adds to it.
    #[serde(default)]
    pub annotations_count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckRunApp {
    #[serde(default)]
    pub slug: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Queued,
    InProgress,
    Completed,
    /// A conclusion of GitHub's that is not listed here.
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    Success,
    Failure,
    Cancelled,
    #[serde(other)]
    Other,
}

/// A change to a check run. A field that is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckRunChange {
    pub status: CheckStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<CheckConclusion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<CheckOutput>,
}

/// The text of a check run. `summary` and `text` are Markdown of at most 65,535 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckOutput {
    pub title: String,
    pub summary: String,
    pub text: String,
    /// At most [`MAX_ANNOTATIONS`] in one request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<CheckAnnotation>,
}

/// GitHub's limit on the annotations of one request.
pub const MAX_ANNOTATIONS: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckAnnotation {
    pub path: String,
    pub start_line: u64,
    pub end_line: u64,
    /// `failure`, `warning` or `notice`.
    pub annotation_level: String,
    pub message: String,
}

impl GithubClient {
    /// All check runs with this name on a commit, newest first, of any App.
    pub async fn list_check_runs(
        &self,
        org: &str,
        repo: &str,
        sha: &str,
        name: &str,
    ) -> GithubResult<Vec<GithubCheckRun>> {
        #[derive(Deserialize)]
        struct CheckRunsPage {
            check_runs: Vec<GithubCheckRun>,
        }
        let path = format!(
            "{}/commits/{}/check-runs?filter=all&check_name={}",
            repo_path(org, repo),
            encode_segment(sha),
            encode_segment(name)
        );
        let mut runs = Vec::new();
        self.for_each_page(org, &path, |answer| {
            runs.extend(answer.parse_json::<CheckRunsPage>()?.check_runs);
            Ok(())
        })
        .await?;
        Ok(runs)
    }

    /// Creates a check run on a commit.
    pub async fn create_check_run(
        &self,
        org: &str,
        repo: &str,
        new: &CheckRunRequest<'_>,
    ) -> GithubResult<GithubCheckRun> {
        let path = format!("{}/check-runs", repo_path(org, repo));
        let answer = self
            .send_write(org, Method::POST, &path, Some(&json!(new)))
            .await?;
        answer.parse_json()
    }

    pub async fn update_check_run(
        &self,
        org: &str,
        repo: &str,
        id: u64,
        change: &CheckRunChange,
    ) -> GithubResult<GithubCheckRun> {
        let path = format!("{}/check-runs/{id}", repo_path(org, repo));
        let answer = self
            .send_write(org, Method::PATCH, &path, Some(&json!(change)))
            .await?;
        answer.parse_json()
    }

    /// The names of the entries of a folder in a commit; empty if there is no such folder. GitHub
    /// lists at most 1,000.
    pub async fn list_directory(
        &self,
        org: &str,
        repo: &str,
        sha: &str,
        folder: &str,
    ) -> GithubResult<Vec<String>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum DirectoryContents {
            Folder(Vec<DirectoryEntry>),
            File {},
        }
        #[derive(Deserialize)]
        struct DirectoryEntry {
            name: String,
        }
        let path = format!(
            "{}/contents/{}?ref={}",
            repo_path(org, repo),
            encode_path(folder),
            encode_segment(sha)
        );
        match self.get_possibly_missing(org, &path).await {
            Ok(answer) => Ok(match answer.parse_json()? {
                DirectoryContents::Folder(entries) => {
                    entries.into_iter().map(|entry| entry.name).collect()
                }
                DirectoryContents::File {} => Vec::new(),
            }),
            Err(GithubError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// A check run to be created.
#[derive(Clone, Debug, Serialize)]
pub struct CheckRunRequest<'a> {
    pub name: &'a str,
    pub head_sha: &'a str,
    pub external_id: &'a str,
    #[serde(flatten)]
    pub state: &'a CheckRunChange,
}
