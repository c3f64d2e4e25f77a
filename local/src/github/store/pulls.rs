//! Pull requests. Their numbers are those of a repository's issues, since nothing else takes one.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Account, Label, Repo, Store, now};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullState {
    Open,
    Closed,
}

impl PullState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            PullState::Open => "open",
            PullState::Closed => "closed",
        }
    }
}

/// How much a pull request changes, from the merge base to its head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) commits: i64,
    pub(crate) additions: i64,
    pub(crate) deletions: i64,
    pub(crate) changed_files: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) id: i64,
    pub(crate) repo: Repo,
    pub(crate) number: i64,
    pub(crate) author: Account,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) state: PullState,
    pub(crate) draft: bool,
    pub(crate) base_ref: String,
    pub(crate) base_sha: String,
    pub(crate) head_repo: Repo,
    pub(crate) head_ref: String,
    pub(crate) head_sha: String,
    /// The test merge while open, what landed once merged.
    pub(crate) merge_sha: Option<String>,
    pub(crate) mergeable: Option<bool>,
    pub(crate) sizes: Sizes,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) merged_at: Option<String>,
    pub(crate) merged_by: Option<Account>,
    pub(crate) labels: Vec<Label>,
    pub(crate) comments: i64,
    pub(crate) association: &'static str,
}

impl Pull {
    pub(crate) fn merged(&self) -> bool {
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

impl Store {
    /// Creates it under the next free number, which is returned.
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
        .bind(now())
        .fetch_one(&*self.db)
        .await?;
        Ok(number)
    }

    pub(crate) async fn pull(&self, repo: i64, number: i64) -> sqlx::Result<Option<Pull>> {
        let row = sqlx::query("SELECT * FROM pulls WHERE repo = $1 AND number = $2")
            .bind(repo)
            .bind(number)
            .fetch_optional(&*self.db)
            .await?;
        match row {
            Some(row) => Ok(Some(self.assemble(row).await?)),
            None => Ok(None),
        }
    }

    /// All of a repository's, newest first.
    pub(crate) async fn pulls(&self, repo: i64) -> sqlx::Result<Vec<Pull>> {
        let rows = sqlx::query("SELECT * FROM pulls WHERE repo = $1 ORDER BY number DESC")
            .bind(repo)
            .fetch_all(&*self.db)
            .await?;
        self.assemble_all(rows).await
    }

    /// The open ones whose head is this branch.
    pub(crate) async fn open_pulls_from(
        &self,
        head_repo: i64,
        head_ref: &str,
    ) -> sqlx::Result<Vec<Pull>> {
        let rows = sqlx::query("SELECT * FROM pulls WHERE head_repo = $1 AND head_ref = $2 AND state = 'open' ORDER BY id")
            .bind(head_repo)
            .bind(head_ref)
            .fetch_all(&*self.db)
            .await?;
        self.assemble_all(rows).await
    }

    /// The open ones that want to go into this branch.
    pub(crate) async fn open_pulls_into(
        &self,
        repo: i64,
        base_ref: &str,
    ) -> sqlx::Result<Vec<Pull>> {
        let rows = sqlx::query(
            "SELECT * FROM pulls WHERE repo = $1 AND base_ref = $2 AND state = 'open' ORDER BY id",
        )
        .bind(repo)
        .bind(base_ref)
        .fetch_all(&*self.db)
        .await?;
        self.assemble_all(rows).await
    }

    async fn assemble_all(&self, rows: Vec<SqliteRow>) -> sqlx::Result<Vec<Pull>> {
        let mut pulls = Vec::with_capacity(rows.len());
        for row in rows {
            pulls.push(self.assemble(row).await?);
        }
        Ok(pulls)
    }

    async fn assemble(&self, row: SqliteRow) -> sqlx::Result<Pull> {
        let id: i64 = row.try_get("id")?;
        let number: i64 = row.try_get("number")?;
        let repo = self.repo(row.try_get("repo")?).await?;
        let author = self.account(row.try_get("author")?).await?;
        let merged_by = match row.try_get::<Option<i64>, _>("merged_by")? {
            Some(account) => Some(self.account(account).await?),
            None => None,
        };
        let state: String = row.try_get("state")?;
        Ok(Pull {
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
            head_repo: self.repo(row.try_get("head_repo")?).await?,
            head_ref: row.try_get("head_ref")?,
            head_sha: row.try_get("head_sha")?,
            merge_sha: row.try_get("merge_sha")?,
            mergeable: row.try_get("mergeable")?,
            sizes: Sizes {
                commits: row.try_get("commits")?,
                additions: row.try_get("additions")?,
                deletions: row.try_get("deletions")?,
                changed_files: row.try_get("changed_files")?,
            },
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            closed_at: row.try_get("closed_at")?,
            merged_at: row.try_get("merged_at")?,
            labels: self.labels_of_pull(id).await?,
            comments: self.comment_count(repo.id, number).await?,
            association: self.association(&repo, &author).await?,
            repo,
            author,
            merged_by,
        })
    }

    /// Writes back what may change in a pull request, and moves `updated_at`.
    pub(crate) async fn save_pull(&self, pull: &Pull) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE pulls SET title = $2, body = $3, state = $4, draft = $5, base_ref = $6, base_sha = $7,
                head_sha = $8, merge_sha = $9, mergeable = $10, commits = $11, additions = $12, deletions = $13,
                changed_files = $14, closed_at = $15, merged_at = $16, merged_by = $17, updated_at = $18
             WHERE id = $1",
        )
        .bind(pull.id)
        .bind(&pull.title)
        .bind(&pull.body)
        .bind(pull.state.name())
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
        .bind(now())
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    /// What GitHub calls `author_association`.
    pub(crate) async fn association(
        &self,
        repo: &Repo,
        account: &Account,
    ) -> sqlx::Result<&'static str> {
        if repo.owner.id == account.id {
            return Ok("OWNER");
        }
        if self.is_member(repo.owner.id, account.id).await? {
            return Ok("MEMBER");
        }
        if self.collaborator(repo.id, account.id).await?.is_some() {
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
