//! Webhook deliveries: those to be sent, and the responses of those that were.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{GithubStore, current_timestamp};

pub(crate) struct OutgoingDelivery<'a> {
    pub(crate) guid: &'a str,
    pub(crate) app: i64,
    pub(crate) installation: Option<i64>,
    pub(crate) repo: Option<i64>,
    pub(crate) event: &'a str,
    pub(crate) action: Option<&'a str>,
    pub(crate) payload: &'a str,
    pub(crate) redelivery: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredDelivery {
    pub(crate) id: i64,
    pub(crate) guid: String,
    pub(crate) app: i64,
    pub(crate) installation: Option<i64>,
    pub(crate) repo: Option<i64>,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) payload: String,
    pub(crate) redelivery: bool,
    pub(crate) delivered_at: String,
    pub(crate) answer: Option<DeliveryResponse>,
}

/// A receiver's response. If there was none, `status` says why and the code is 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliveryResponse {
    pub(crate) request_headers: String,
    pub(crate) status: String,
    pub(crate) status_code: u16,
    pub(crate) duration_ms: i64,
    pub(crate) response_headers: String,
    pub(crate) response: String,
}

impl GithubStore {
    pub(crate) async fn add_delivery(&self, new: &OutgoingDelivery<'_>) -> sqlx::Result<i64> {
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO deliveries (guid, app, installation, repo, event, action, payload, redelivery, delivered_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(new.guid)
        .bind(new.app)
        .bind(new.installation)
        .bind(new.repo)
        .bind(new.event)
        .bind(new.action)
        .bind(new.payload)
        .bind(new.redelivery)
        .bind(current_timestamp())
        .fetch_one(&*self.db)
        .await?;
        Ok(id)
    }

    /// The oldest unsent delivery of a repository (or of none).
    pub(crate) async fn next_unsent_delivery(
        &self,
        repo: Option<i64>,
    ) -> sqlx::Result<Option<StoredDelivery>> {
        let row = sqlx::query(
            "SELECT * FROM deliveries WHERE status IS NULL AND repo IS $1 ORDER BY id LIMIT 1",
        )
        .bind(repo)
        .fetch_optional(&*self.db)
        .await?;
        row.map(|row| read_delivery(&row)).transpose()
    }

    /// The repositories with unsent deliveries, one entry per delivery.
    pub(crate) async fn list_unsent_repos(&self) -> sqlx::Result<Vec<Option<i64>>> {
        let rows: Vec<(Option<i64>,)> =
            sqlx::query_as("SELECT repo FROM deliveries WHERE status IS NULL")
                .fetch_all(&*self.db)
                .await?;
        Ok(rows.into_iter().map(|(repo,)| repo).collect())
    }

    pub(crate) async fn record_delivery_response(
        &self,
        id: i64,
        answer: &DeliveryResponse,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE deliveries SET request_headers = $2, status = $3, status_code = $4, duration_ms = $5,
                response_headers = $6, response = $7, delivered_at = $8 WHERE id = $1",
        )
        .bind(id)
        .bind(&answer.request_headers)
        .bind(&answer.status)
        .bind(answer.status_code)
        .bind(answer.duration_ms)
        .bind(&answer.response_headers)
        .bind(&answer.response)
        .bind(current_timestamp())
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    /// The sent deliveries of an App, newest first: those before an id, at most `limit` (-1 for
    /// all).
    pub(crate) async fn list_deliveries(
        &self,
        app: i64,
        before: Option<i64>,
        limit: i64,
    ) -> sqlx::Result<Vec<StoredDelivery>> {
        let rows = sqlx::query(
            "SELECT * FROM deliveries WHERE app = $1 AND status IS NOT NULL AND ($2 IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(app)
        .bind(before)
        .bind(limit)
        .fetch_all(&*self.db)
        .await?;
        rows.iter().map(read_delivery).collect()
    }

    pub(crate) async fn find_delivery(
        &self,
        app: i64,
        id: i64,
    ) -> sqlx::Result<Option<StoredDelivery>> {
        let row = sqlx::query("SELECT * FROM deliveries WHERE app = $1 AND id = $2")
            .bind(app)
            .bind(id)
            .fetch_optional(&*self.db)
            .await?;
        row.map(|row| read_delivery(&row)).transpose()
    }
}

fn read_delivery(row: &SqliteRow) -> sqlx::Result<StoredDelivery> {
    let answer = match row.try_get::<Option<String>, _>("status")? {
        None => None,
        Some(status) => Some(DeliveryResponse {
            request_headers: row.try_get("request_headers")?,
            status,
            status_code: row.try_get("status_code")?,
            duration_ms: row.try_get("duration_ms")?,
            response_headers: row.try_get("response_headers")?,
            response: row.try_get("response")?,
        }),
    };
    Ok(StoredDelivery {
        id: row.try_get("id")?,
        guid: row.try_get("guid")?,
        app: row.try_get("app")?,
        installation: row.try_get("installation")?,
        repo: row.try_get("repo")?,
        event: row.try_get("event")?,
        action: row.try_get("action")?,
        payload: row.try_get("payload")?,
        redelivery: row.try_get("redelivery")?,
        delivered_at: row.try_get("delivered_at")?,
        answer,
    })
}
