//! A contributor's REST calls to GitHub: fork, open a pull request, merge it.

use anyhow::{Context, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// A user with a token, at one repository.
pub(super) struct ContributorClient {
    http: reqwest::Client,
    repository: String,
    token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct OpenedPullRequest {
    pub(super) number: u64,
    pub(super) html_url: String,
}

impl ContributorClient {
    /// `url` is the API's base; `repository` is `org/repo`.
    pub(super) fn new(url: &str, repository: &str, token: String) -> Self {
        Self {
            http: reqwest::Client::new(),
            repository: format!("{url}/repos/{repository}"),
            token,
        }
    }

    /// Forks the repository to the user's own name; an existing fork is fine.
    pub(super) async fn fork_repository(&self) -> anyhow::Result<()> {
        self.send_request(Method::POST, "/forks", &json!({}))
            .await
            .map(drop)
    }

    pub(super) async fn open_pull_request(
        &self,
        title: &str,
        branch: &str,
    ) -> anyhow::Result<OpenedPullRequest> {
        let body = json!({ "title": title, "head": branch, "base": "main", "body": "Opened by `prow demo`." });
        Ok(serde_json::from_value(
            self.send_request(Method::POST, "/pulls", &body).await?,
        )?)
    }

    pub(super) async fn merge_pull_request(&self, number: u64) -> anyhow::Result<()> {
        self.send_request(Method::PUT, &format!("/pulls/{number}/merge"), &json!({}))
            .await
            .map(drop)
    }

    /// Bodies of the comments on a pull request.
    pub(super) async fn list_comments(&self, number: u64) -> anyhow::Result<Vec<String>> {
        let answer = self
            .send_request(
                Method::GET,
                &format!("/issues/{number}/comments"),
                &Value::Null,
            )
            .await?;
        let bodies = answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|comment| comment["body"].as_str());
        Ok(bodies.map(str::to_owned).collect())
    }

    async fn send_request(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.repository));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request
            .bearer_auth(&self.token)
            .header("User-Agent", "prow-demo")
            .send()
            .await
            .with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("{method} {path}: {status}"))?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {body}");
        }
        Ok(body)
    }
}
