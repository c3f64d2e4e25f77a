//! Reads the results, for tests and for the demo's table: pull requests, comments, statuses,
//! deliveries.

use anyhow::bail;
use serde_json::Value;

use super::{FakeGithub, routes::latest_by_context};

/// The newest status of a context on a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedStatus {
    pub context: String,
    /// `pending`, `success`, `failure` or `error`.
    pub state: String,
    pub description: String,
    pub target_url: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedComment {
    pub id: u64,
    pub author: String,
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPull {
    pub number: u64,
    pub title: String,
    pub author: String,
    /// `open` or `closed`.
    pub state: String,
    pub merged: bool,
    pub draft: bool,
    pub base_ref: String,
    pub base_sha: String,
    pub head_ref: String,
    pub head_sha: String,
    pub labels: Vec<String>,
}

/// A webhook that was sent.
#[derive(Clone, Debug)]
pub struct ObservedDelivery {
    pub id: u64,
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    /// 0 if there was no answer.
    pub status_code: u16,
    pub redelivery: bool,
    pub payload: Value,
}

impl FakeGithub {
    /// Returns when every webhook queued so far was answered or has failed.
    pub async fn wait_for_deliveries(&self) {
        self.context.deliverer.wait_until_idle().await;
    }

    /// The webhooks that were sent to an App, oldest first.
    ///
    /// # Errors
    /// When the App is unknown.
    pub async fn list_deliveries(&self, slug: &str) -> anyhow::Result<Vec<ObservedDelivery>> {
        let Some(app) = self.context.store.find_app_by_slug(slug).await? else {
            bail!("no App {slug}")
        };
        let mut deliveries = Vec::new();
        for row in self
            .context
            .store
            .list_deliveries(app.id, None, -1)
            .await?
            .into_iter()
            .rev()
        {
            deliveries.push(ObservedDelivery {
                id: row.id.unsigned_abs(),
                guid: row.guid,
                event: row.event,
                action: row.action,
                status_code: row.answer.map_or(0, |answer| answer.status_code),
                redelivery: row.redelivery,
                payload: serde_json::from_str(&row.payload)?,
            });
        }
        Ok(deliveries)
    }

    /// The requests so far that GitHub would have answered and the stand-in did not.
    #[must_use]
    pub fn list_unimplemented(&self) -> Vec<String> {
        self.context
            .unbuilt
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// The newest status of each context on a commit, by context.
    ///
    /// # Errors
    /// When the repository is unknown.
    pub async fn list_statuses(
        &self,
        owner: &str,
        name: &str,
        sha: &str,
    ) -> anyhow::Result<Vec<ObservedStatus>> {
        let repo = self.require_repo(owner, name).await?;
        let statuses = latest_by_context(self.context.store.list_statuses(repo.id, sha).await?);
        let mut statuses: Vec<ObservedStatus> = statuses
            .into_iter()
            .map(|status| ObservedStatus {
                context: status.context,
                state: status.state,
                description: status.description.unwrap_or_default(),
                target_url: status.target_url.unwrap_or_default(),
            })
            .collect();
        statuses.sort_by(|a, b| a.context.cmp(&b.context));
        Ok(statuses)
    }

    /// The comments on a pull request, oldest first.
    ///
    /// # Errors
    /// When the repository is unknown.
    pub async fn list_comments(
        &self,
        owner: &str,
        name: &str,
        number: u64,
    ) -> anyhow::Result<Vec<ObservedComment>> {
        let repo = self.require_repo(owner, name).await?;
        let comments = self
            .context
            .store
            .list_comments(&repo, i64::try_from(number)?)
            .await?;
        let comments = comments.into_iter().map(|comment| ObservedComment {
            id: comment.id.unsigned_abs(),
            author: comment.author.login,
            body: comment.body,
        });
        Ok(comments.collect())
    }

    /// # Errors
    /// When there is no such pull request.
    pub async fn list_labels(
        &self,
        owner: &str,
        name: &str,
        number: u64,
    ) -> anyhow::Result<Vec<String>> {
        Ok(self.get_pull(owner, name, number).await?.labels)
    }

    /// # Errors
    /// When there is no such pull request.
    pub async fn get_pull(
        &self,
        owner: &str,
        name: &str,
        number: u64,
    ) -> anyhow::Result<ObservedPull> {
        let pull = self.require_pull(owner, name, number).await?;
        Ok(ObservedPull {
            number,
            merged: pull.is_merged(),
            title: pull.title,
            author: pull.author.login,
            state: pull.state.as_str().to_owned(),
            draft: pull.draft,
            base_ref: pull.base_ref,
            base_sha: pull.base_sha,
            head_ref: pull.head_ref,
            head_sha: pull.head_sha,
            labels: pull.labels.into_iter().map(|label| label.name).collect(),
        })
    }

    /// The tip of a branch; `None` where there is no such branch.
    ///
    /// # Errors
    /// When the repository is unknown or git fails.
    pub async fn find_branch_tip(
        &self,
        owner: &str,
        name: &str,
        branch: &str,
    ) -> anyhow::Result<Option<String>> {
        self.context
            .open_bare_repo(&self.require_repo(owner, name).await?)
            .find_branch_tip(branch)
            .await
    }
}
