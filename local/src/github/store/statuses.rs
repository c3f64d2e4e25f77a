//! Commit statuses.

use super::{GithubStore, StoredAccount, current_timestamp};

#[derive(Clone, Debug)]
pub(crate) struct StoredStatus {
    pub(crate) id: i64,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: StoredAccount,
    pub(crate) created_at: String,
}

pub(crate) struct NewStatus<'a> {
    pub(crate) sha: &'a str,
    pub(crate) context: &'a str,
    pub(crate) state: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) target_url: Option<&'a str>,
    pub(crate) creator: i64,
}

type StatusRow = (
    i64,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    i64,
    String,
);

impl GithubStore {
    pub(crate) async fn add_status(
        &self,
        repo: i64,
        new: &NewStatus<'_>,
    ) -> sqlx::Result<StoredStatus> {
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO statuses (repo, sha, context, state, description, target_url, creator, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(repo)
        .bind(new.sha)
        .bind(new.context)
        .bind(new.state)
        .bind(new.description)
        .bind(new.target_url)
        .bind(new.creator)
        .bind(current_timestamp())
        .fetch_one(&*self.db)
        .await?;
        let statuses = self.list_statuses(repo, new.sha).await?;
        statuses
            .into_iter()
            .find(|status| status.id == id)
            .ok_or(sqlx::Error::RowNotFound)
    }

    /// Every status of a commit, newest first.
    pub(crate) async fn list_statuses(
        &self,
        repo: i64,
        sha: &str,
    ) -> sqlx::Result<Vec<StoredStatus>> {
        let rows: Vec<StatusRow> = sqlx::query_as(
            "SELECT id, sha, context, state, description, target_url, creator, created_at FROM statuses
             WHERE repo = $1 AND sha = $2 ORDER BY id DESC",
        )
        .bind(repo)
        .bind(sha)
        .fetch_all(&*self.db)
        .await?;
        let mut statuses = Vec::with_capacity(rows.len());
        for (id, sha, context, state, description, target_url, creator, created_at) in rows {
            let creator = self.get_account(creator).await?;
            statuses.push(StoredStatus {
                id,
                sha,
                context,
                state,
                description,
                target_url,
                creator,
                created_at,
            });
        }
        Ok(statuses)
    }

    pub(crate) async fn count_statuses(
        &self,
        repo: i64,
        sha: &str,
        context: &str,
    ) -> sqlx::Result<i64> {
        let (count,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM statuses WHERE repo = $1 AND sha = $2 AND context = $3",
        )
        .bind(repo)
        .bind(sha)
        .bind(context)
        .fetch_one(&*self.db)
        .await?;
        Ok(count)
    }
}
