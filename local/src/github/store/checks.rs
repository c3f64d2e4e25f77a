//! Check runs.

use serde_json::{Value, json};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{GithubStore, StoredApp};

#[derive(Clone, Debug)]
pub(crate) struct StoredCheckRun {
    pub(crate) id: i64,
    pub(crate) app: StoredApp,
    pub(crate) fields: CheckRunFields,
}

/// The content of a check run, without its App.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckRunFields {
    pub(crate) head_sha: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) external_id: String,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) started_at: String,
    pub(crate) completed_at: Option<String>,
    pub(crate) annotations: Vec<Value>,
}

impl GithubStore {
    pub(crate) async fn add_check_run(
        &self,
        repo: i64,
        app: i64,
        new: &CheckRunFields,
    ) -> sqlx::Result<i64> {
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO check_runs (repo, app, head_sha, name, status, conclusion, details_url, external_id, title,
                summary, text, started_at, completed_at, annotations)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id",
        )
        .bind(repo)
        .bind(app)
        .bind(&new.head_sha)
        .bind(&new.name)
        .bind(&new.status)
        .bind(&new.conclusion)
        .bind(&new.details_url)
        .bind(&new.external_id)
        .bind(&new.title)
        .bind(&new.summary)
        .bind(&new.text)
        .bind(&new.started_at)
        .bind(&new.completed_at)
        .bind(json!(new.annotations).to_string())
        .fetch_one(&*self.db)
        .await?;
        Ok(id)
    }

    pub(crate) async fn save_check_run(&self, run: &StoredCheckRun) -> sqlx::Result<()> {
        let fields = &run.fields;
        sqlx::query(
            "UPDATE check_runs SET name = $2, status = $3, conclusion = $4, details_url = $5, external_id = $6,
                title = $7, summary = $8, text = $9, started_at = $10, completed_at = $11,
                annotations = $12 WHERE id = $1",
        )
        .bind(run.id)
        .bind(&fields.name)
        .bind(&fields.status)
        .bind(&fields.conclusion)
        .bind(&fields.details_url)
        .bind(&fields.external_id)
        .bind(&fields.title)
        .bind(&fields.summary)
        .bind(&fields.text)
        .bind(&fields.started_at)
        .bind(&fields.completed_at)
        .bind(json!(fields.annotations).to_string())
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    pub(crate) async fn find_check_run(
        &self,
        repo: i64,
        id: i64,
    ) -> sqlx::Result<Option<StoredCheckRun>> {
        let row = sqlx::query("SELECT * FROM check_runs WHERE repo = $1 AND id = $2")
            .bind(repo)
            .bind(id)
            .fetch_optional(&*self.db)
            .await?;
        match row {
            Some(row) => Ok(Some(self.build_check_run(row).await?)),
            None => Ok(None),
        }
    }

    /// The check runs of one commit, newest first.
    pub(crate) async fn list_check_runs(
        &self,
        repo: i64,
        sha: &str,
    ) -> sqlx::Result<Vec<StoredCheckRun>> {
        let rows = sqlx::query(
            "SELECT * FROM check_runs WHERE repo = $1 AND head_sha = $2 ORDER BY id DESC",
        )
        .bind(repo)
        .bind(sha)
        .fetch_all(&*self.db)
        .await?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            runs.push(self.build_check_run(row).await?);
        }
        Ok(runs)
    }

    async fn build_check_run(&self, row: SqliteRow) -> sqlx::Result<StoredCheckRun> {
        let app = self
            .find_app(row.try_get("app")?)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        Ok(StoredCheckRun {
            id: row.try_get("id")?,
            app,
            fields: CheckRunFields {
                head_sha: row.try_get("head_sha")?,
                name: row.try_get("name")?,
                status: row.try_get("status")?,
                conclusion: row.try_get("conclusion")?,
                details_url: row.try_get("details_url")?,
                external_id: row.try_get("external_id")?,
                title: row.try_get("title")?,
                summary: row.try_get("summary")?,
                text: row.try_get("text")?,
                started_at: row.try_get("started_at")?,
                completed_at: row.try_get("completed_at")?,
                annotations: serde_json::from_str(row.try_get("annotations")?).unwrap_or_default(),
            },
        })
    }
}
