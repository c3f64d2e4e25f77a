//! Comments and labels of pull requests.

use super::{GithubStore, StoredAccount, StoredRepo, current_timestamp};

#[derive(Clone, Debug)]
pub(crate) struct StoredComment {
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) author: StoredAccount,
    pub(crate) association: &'static str,
    pub(crate) body: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredLabel {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

type CommentRow = (i64, i64, i64, String, String, String);
type LabelRow = (i64, String, String, Option<String>);

impl From<LabelRow> for StoredLabel {
    fn from((id, name, color, description): LabelRow) -> StoredLabel {
        StoredLabel {
            id,
            name,
            color,
            description,
        }
    }
}

impl GithubStore {
    pub(crate) async fn add_comment(
        &self,
        repo: i64,
        number: i64,
        author: i64,
        body: &str,
    ) -> sqlx::Result<i64> {
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO comments (repo, number, author, body, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5) RETURNING id",
        )
        .bind(repo)
        .bind(number)
        .bind(author)
        .bind(body)
        .bind(current_timestamp())
        .fetch_one(&*self.db)
        .await?;
        Ok(id)
    }

    pub(crate) async fn find_comment(
        &self,
        repo: &StoredRepo,
        id: i64,
    ) -> sqlx::Result<Option<StoredComment>> {
        let rows = sqlx::query_as(
            "SELECT id, number, author, body, created_at, updated_at FROM comments WHERE repo = $1 AND id = $2",
        )
        .bind(repo.id)
        .bind(id)
        .fetch_all(&*self.db)
        .await?;
        Ok(self.build_comments(repo, rows).await?.pop())
    }

    /// The comments of a pull request, oldest first.
    pub(crate) async fn list_comments(
        &self,
        repo: &StoredRepo,
        number: i64,
    ) -> sqlx::Result<Vec<StoredComment>> {
        let rows = sqlx::query_as(
            "SELECT id, number, author, body, created_at, updated_at FROM comments
             WHERE repo = $1 AND number = $2 ORDER BY id",
        )
        .bind(repo.id)
        .bind(number)
        .fetch_all(&*self.db)
        .await?;
        self.build_comments(repo, rows).await
    }

    async fn build_comments(
        &self,
        repo: &StoredRepo,
        rows: Vec<CommentRow>,
    ) -> sqlx::Result<Vec<StoredComment>> {
        let mut comments = Vec::with_capacity(rows.len());
        for (id, number, author, body, created_at, updated_at) in rows {
            let author = self.get_account(author).await?;
            let association = self.author_association(repo, &author).await?;
            comments.push(StoredComment {
                id,
                number,
                author,
                association,
                body,
                created_at,
                updated_at,
            });
        }
        Ok(comments)
    }

    pub(crate) async fn count_comments(&self, repo: i64, number: i64) -> sqlx::Result<i64> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM comments WHERE repo = $1 AND number = $2")
                .bind(repo)
                .bind(number)
                .fetch_one(&*self.db)
                .await?;
        Ok(count)
    }

    pub(crate) async fn edit_comment(&self, id: i64, body: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE comments SET body = $2, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(body)
            .bind(current_timestamp())
            .execute(&*self.db)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_comment(&self, id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM comments WHERE id = $1")
            .bind(id)
            .execute(&*self.db)
            .await?;
        Ok(())
    }

    /// The repository's label with this name. A missing one is added in grey, as on GitHub.
    pub(crate) async fn ensure_label(&self, repo: i64, name: &str) -> sqlx::Result<StoredLabel> {
        sqlx::query("INSERT INTO labels (repo, name, color) VALUES ($1, $2, 'ededed') ON CONFLICT DO NOTHING")
            .bind(repo)
            .bind(name)
            .execute(&*self.db)
            .await?;
        let row: LabelRow = sqlx::query_as(
            "SELECT id, name, color, description FROM labels WHERE repo = $1 AND name = $2",
        )
        .bind(repo)
        .bind(name)
        .fetch_one(&*self.db)
        .await?;
        Ok(row.into())
    }

    pub(crate) async fn list_labels_of_repo(&self, repo: i64) -> sqlx::Result<Vec<StoredLabel>> {
        let rows: Vec<LabelRow> = sqlx::query_as(
            "SELECT id, name, color, description FROM labels WHERE repo = $1 ORDER BY id",
        )
        .bind(repo)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(StoredLabel::from).collect())
    }

    pub(crate) async fn list_labels_of_pull(&self, pull: i64) -> sqlx::Result<Vec<StoredLabel>> {
        let rows: Vec<LabelRow> = sqlx::query_as(
            "SELECT l.id, l.name, l.color, l.description FROM labels l
             JOIN pull_labels p ON p.label = l.id WHERE p.pull = $1 ORDER BY p.rowid",
        )
        .bind(pull)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(StoredLabel::from).collect())
    }

    /// Returns true if the pull request did not have the label before.
    pub(crate) async fn add_label(&self, pull: i64, label: i64) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "INSERT INTO pull_labels (pull, label) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(pull)
        .bind(label)
        .execute(&*self.db)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn remove_label(&self, pull: i64, label: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM pull_labels WHERE pull = $1 AND label = $2")
            .bind(pull)
            .bind(label)
            .execute(&*self.db)
            .await?;
        Ok(())
    }
}
