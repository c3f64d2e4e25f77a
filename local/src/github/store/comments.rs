//! Comments and labels of pull requests.

use super::{Account, Repo, Store, now};

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) author: Account,
    pub(crate) association: &'static str,
    pub(crate) body: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

type CommentRow = (i64, i64, i64, String, String, String);
type LabelRow = (i64, String, String, Option<String>);

impl From<LabelRow> for Label {
    fn from((id, name, color, description): LabelRow) -> Label {
        Label {
            id,
            name,
            color,
            description,
        }
    }
}

impl Store {
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
        .bind(now())
        .fetch_one(&*self.db)
        .await?;
        Ok(id)
    }

    pub(crate) async fn comment(&self, repo: &Repo, id: i64) -> sqlx::Result<Option<Comment>> {
        let rows = sqlx::query_as(
            "SELECT id, number, author, body, created_at, updated_at FROM comments WHERE repo = $1 AND id = $2",
        )
        .bind(repo.id)
        .bind(id)
        .fetch_all(&*self.db)
        .await?;
        Ok(self.with_authors(repo, rows).await?.pop())
    }

    /// Oldest first.
    pub(crate) async fn comments(&self, repo: &Repo, number: i64) -> sqlx::Result<Vec<Comment>> {
        let rows = sqlx::query_as(
            "SELECT id, number, author, body, created_at, updated_at FROM comments
             WHERE repo = $1 AND number = $2 ORDER BY id",
        )
        .bind(repo.id)
        .bind(number)
        .fetch_all(&*self.db)
        .await?;
        self.with_authors(repo, rows).await
    }

    async fn with_authors(&self, repo: &Repo, rows: Vec<CommentRow>) -> sqlx::Result<Vec<Comment>> {
        let mut comments = Vec::with_capacity(rows.len());
        for (id, number, author, body, created_at, updated_at) in rows {
            let author = self.account(author).await?;
            let association = self.association(repo, &author).await?;
            comments.push(Comment {
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

    pub(crate) async fn comment_count(&self, repo: i64, number: i64) -> sqlx::Result<i64> {
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
            .bind(now())
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

    /// The repository's label of that name; a grey one is made where there is none, as GitHub does.
    pub(crate) async fn ensure_label(&self, repo: i64, name: &str) -> sqlx::Result<Label> {
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

    pub(crate) async fn labels_of_repo(&self, repo: i64) -> sqlx::Result<Vec<Label>> {
        let rows: Vec<LabelRow> = sqlx::query_as(
            "SELECT id, name, color, description FROM labels WHERE repo = $1 ORDER BY id",
        )
        .bind(repo)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(Label::from).collect())
    }

    pub(crate) async fn labels_of_pull(&self, pull: i64) -> sqlx::Result<Vec<Label>> {
        let rows: Vec<LabelRow> = sqlx::query_as(
            "SELECT l.id, l.name, l.color, l.description FROM labels l
             JOIN pull_labels p ON p.label = l.id WHERE p.pull = $1 ORDER BY p.rowid",
        )
        .bind(pull)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(Label::from).collect())
    }

    /// True when it was not there before.
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
