//! Pull requests. Their numbers are a repository's issue numbers, since there are no other issues.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{GithubStore, StoredAccount, StoredLabel, StoredRepo, current_timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullState {
    Open,
    Closed,
}

impl PullState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PullState::Open => "open",
            PullState::Closed => "closed",
        }
    }
}

/// The size of a pull request, from the merge base to its head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PullStats {
    pub(crate) commits: i64,
    pub(crate) additions: i64,
    pub(crate) deletions: i64,
    pub(crate) changed_files: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredPull {
    pub(crate) id: i64,
    pub(crate) repo: StoredRepo,
    pub(crate) number: i64,
    pub(crate) author: StoredAccount,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) state: PullState,
    pub(crate) draft: bool,
    pub(crate) base_ref: String,
    pub(crate) base_sha: String,
    pub(crate) head_repo: StoredRepo,
    pub(crate) head_ref: String,
    pub(crate) head_sha: String,
    /// The test merge while it is open, the merge commit after it is merged.
    pub(crate) merge_sha: Option<String>,
    pub(crate) mergeable: Option<bool>,
    pub(crate) sizes: PullStats,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) merged_at: Option<String>,
    pub(crate) merged_by: Option<StoredAccount>,
    pub(crate) labels: Vec<StoredLabel>,
    pub(crate) comments: i64,
    pub(crate) association: &'static str,
}

impl StoredPull {
    pub(crate) fn is_merged(&self) -> bool {
        self.merged_at.is_some()
    }
}

pub(crate) struct NewPull<'a> {
    pub(crate) repo: i64,
    pub(crate) author: i64,
    pub(crate) title: &'a str,
    pub(crate) body: Option<&'a str>,
    pub(crate) draft: bool,
    pub(crate) base_ref: &'a str,
    pub(crate) base_sha: &'a str,
    pub(crate) head_repo: i64,
    pub(crate) head_ref: &'a str,
    pub(crate) head_sha: &'a str,
}

impl GithubStore {
    /// Adds it with the next free number. Returns the number.
    pub(crate) async fn add_pull(&self, new: &NewPull<'_>) -> sqlx::Result<i64> {
        let (number,): (i64,) = sqlx::query_as(
            "INSERT INTO pulls (repo, number, author, title, body, state, draft, base_ref, base_sha, head_repo,
                head_ref, head_sha, commits, additions, deletions, changed_files, created_at, updated_at)
             VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM pulls WHERE repo = $1), $2, $3, $4, 'open', $5,
                $6, $7, $8, $9, $10, 0, 0, 0, 0, $11, $11) RETURNING number",
        )
        .bind(new.repo)
        .bind(new.author)
        .bind(new.title)
        .bind(new.body)
        .bind(new.draft)
        .bind(new.base_ref)
        .bind(new.base_sha)
        .bind(new.head_repo)
        .bind(new.head_ref)
        .bind(new.head_sha)
        .bind(current_timestamp())
        .fetch_one(&*self.db)
        .await?;
        Ok(number)
    }

    pub(crate) async fn find_pull(
        &self,
        repo: i64,
        number: i64,
    ) -> sqlx::Result<Option<StoredPull>> {
        let row = sqlx::query("SELECT * FROM pulls WHERE repo = $1 AND number = $2")
            .bind(repo)
            .bind(number)
            .fetch_optional(&*self.db)
            .await?;
        match row {
            Some(row) => Ok(Some(self.build_pull(row).await?)),
            None => Ok(None),
        }
    }

    /// All pull requests of a repository, newest first.
    pub(crate) async fn list_pulls(&self, repo: i64) -> sqlx::Result<Vec<StoredPull>> {
        let rows = sqlx::query("SELECT * FROM pulls WHERE repo = $1 ORDER BY number DESC")
            .bind(repo)
            .fetch_all(&*self.db)
            .await?;
        self.build_pulls(rows).await
    }

    /// The open pull requests with this head branch.
    pub(crate) async fn list_open_pulls_from(
        &self,
        head_repo: i64,
        head_ref: &str,
    ) -> sqlx::Result<Vec<StoredPull>> {
        let rows = sqlx::query("SELECT * FROM pulls WHERE head_repo = $1 AND head_ref = $2 AND state = 'open' ORDER BY id")
            .bind(head_repo)
            .bind(head_ref)
            .fetch_all(&*self.db)
            .await?;
        self.build_pulls(rows).await
    }

    /// The open pull requests with this base branch.
    pub(crate) async fn list_open_pulls_into(
        &self,
        repo: i64,
        base_ref: &str,
    ) -> sqlx::Result<Vec<StoredPull>> {
        let rows = sqlx::query(
            "SELECT * FROM pulls WHERE repo = $1 AND base_ref = $2 AND state = 'open' ORDER BY id",
        )
        .bind(repo)
        .bind(base_ref)
        .fetch_all(&*self.db)
        .await?;
        self.build_pulls(rows).await
    }

    async fn build_pulls(&self, rows: Vec<SqliteRow>) -> sqlx::Result<Vec<StoredPull>> {
        let mut pulls = Vec::with_capacity(rows.len());
        for row in rows {
            pulls.push(self.build_pull(row).await?);
        }
        Ok(pulls)
    }

    async fn build_pull(&self, row: SqliteRow) -> sqlx::Result<StoredPull> {
        let id: i64 = row.try_get("id")?;
        let number: i64 = row.try_get("number")?;
        let repo = self.get_repo(row.try_get("repo")?).await?;
        let author = self.get_account(row.try_get("author")?).await?;
        let merged_by = match row.try_get::<Option<i64>, _>("merged_by")? {
            Some(account) => Some(self.get_account(account).await?),
            None => None,
        };
        let state: String = row.try_get("state")?;
        Ok(StoredPull {
            id,
            number,
            title: row.try_get("title")?,
            body: row.try_get("body")?,
            state: if state == "open" {
                PullState::Open
            } else {
                PullState::Closed
            },
            draft: row.try_get("draft")?,
            base_ref: row.try_get("base_ref")?,
            base_sha: row.try_get("base_sha")?,
            head_repo: self.get_repo(row.try_get("head_repo")?).await?,
            head_ref: row.try_get("head_ref")?,
            head_sha: row.try_get("head_sha")?,
            merge_sha: row.try_get("merge_sha")?,
            mergeable: row.try_get("mergeable")?,
            sizes: PullStats {
                commits: row.try_get("commits")?,
                additions: row.try_get("additions")?,
                deletions: row.try_get("deletions")?,
                changed_files: row.try_get("changed_files")?,
            },
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            closed_at: row.try_get("closed_at")?,
            merged_at: row.try_get("merged_at")?,
            labels: self.list_labels_of_pull(id).await?,
            comments: self.count_comments(repo.id, number).await?,
            association: self.author_association(&repo, &author).await?,
            repo,
            author,
            merged_by,
        })
    }

    /// Writes what may change in a pull request, and updates `updated_at`.
    pub(crate) async fn save_pull(&self, pull: &StoredPull) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE pulls SET title = $2, body = $3, state = $4, draft = $5, base_ref = $6, base_sha = $7,
                head_sha = $8, merge_sha = $9, mergeable = $10, commits = $11, additions = $12, deletions = $13,
                changed_files = $14, closed_at = $15, merged_at = $16, merged_by = $17, updated_at = $18
             WHERE id = $1",
        )
        .bind(pull.id)
        .bind(&pull.title)
        .bind(&pull.body)
        .bind(pull.state.as_str())
        .bind(pull.draft)
        .bind(&pull.base_ref)
        .bind(&pull.base_sha)
        .bind(&pull.head_sha)
        .bind(&pull.merge_sha)
        .bind(pull.mergeable)
        .bind(pull.sizes.commits)
        .bind(pull.sizes.additions)
        .bind(pull.sizes.deletions)
        .bind(pull.sizes.changed_files)
        .bind(&pull.closed_at)
        .bind(&pull.merged_at)
        .bind(pull.merged_by.as_ref().map(|account| account.id))
        .bind(current_timestamp())
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    /// GitHub's `author_association`.
    pub(crate) async fn author_association(
        &self,
        repo: &StoredRepo,
        account: &StoredAccount,
    ) -> sqlx::Result<&'static str> {
        if repo.owner.id == account.id {
            return Ok("OWNER");
        }
        if self.is_member(repo.owner.id, account.id).await? {
            return Ok("MEMBER");
        }
        if self
            .find_collaborator_permission(repo.id, account.id)
            .await?
            .is_some()
        {
            return Ok("COLLABORATOR");
        }
        let merged: Option<(i64,)> = sqlx::query_as(
            "SELECT 1 FROM pulls WHERE repo = $1 AND author = $2 AND merged_at IS NOT NULL LIMIT 1",
        )
        .bind(repo.id)
        .bind(account.id)
        .fetch_optional(&*self.db)
        .await?;
        Ok(if merged.is_some() {
            "CONTRIBUTOR"
        } else {
            "NONE"
        })
    }
}
