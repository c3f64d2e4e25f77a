//! Apps, installations, check runs, deliveries.

use serde_json::{Value, json};

use super::{Render, node_id};
use crate::github::{
    access::Permissions,
    store::{App, CheckRun, DeliveryRow, Installation, Kind, Repo},
};

/// What an App hears of: all that the stand-in sends beside `ping` and `installation`.
pub(crate) const EVENTS: &[&str] = &[
    "check_run",
    "create",
    "delete",
    "issue_comment",
    "pull_request",
    "push",
    "status",
];

impl Render<'_> {
    pub(crate) fn app(&self, app: &App) -> Value {
        let page = format!("{}/apps/{}", self.url, app.slug);
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": node_id("App", app.id),
            "owner": self.user(&app.bot),
            "name": app.slug,
            "description": "",
            "external_url": page,
            "html_url": page,
            "created_at": app.created_at,
            "updated_at": app.created_at,
            "permissions": Permissions::default().to_value(),
            "events": EVENTS,
        })
    }

    pub(crate) fn installation(&self, app: &App, installation: &Installation) -> Value {
        let id = installation.id;
        let account = &installation.account;
        let kind = if account.kind == Kind::Organization {
            "Organization"
        } else {
            "User"
        };
        json!({
            "id": id,
            "account": self.user(account),
            "repository_selection": "all",
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.url),
            "repositories_url": format!("{}/installation/repositories", self.url),
            "html_url": format!("{}/settings/installations/{id}", self.url),
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": account.id,
            "target_type": kind,
            "permissions": installation.permissions.to_value(),
            "events": EVENTS,
            "created_at": installation.created_at,
            "updated_at": installation.created_at,
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": null,
            "suspended_at": null,
        })
    }

    pub(crate) fn check_run(&self, repo: &Repo, run: &CheckRun) -> Value {
        let fields = &run.fields;
        let url = format!("{}/check-runs/{}", self.repo_url(repo), run.id);
        let page = format!("{}/runs/{}", self.repo_page(repo), run.id);
        json!({
            "id": run.id,
            "head_sha": fields.head_sha,
            "node_id": node_id("CheckRun", run.id),
            "external_id": fields.external_id,
            "url": url,
            "html_url": page,
            "details_url": fields.details_url.as_deref().unwrap_or(&page),
            "status": fields.status,
            "conclusion": fields.conclusion,
            "started_at": fields.started_at,
            "completed_at": fields.completed_at,
            "output": {
                "title": fields.title,
                "summary": fields.summary,
                "text": fields.text,
                "annotations_count": fields.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "name": fields.name,
            "check_suite": { "id": run.id },
            "app": self.app(&run.app),
            "pull_requests": [],
        })
    }

    /// A check run as webhooks show it: its suite is spelt out.
    pub(crate) fn sent_check_run(&self, repo: &Repo, run: &CheckRun) -> Value {
        let fields = &run.fields;
        let mut value = self.check_run(repo, run);
        value["check_suite"] = json!({
            "id": run.id,
            "node_id": node_id("CheckSuite", run.id),
            "head_branch": null,
            "head_sha": fields.head_sha,
            "status": fields.status,
            "conclusion": fields.conclusion,
            "url": format!("{}/check-suites/{}", self.repo_url(repo), run.id),
            "before": null,
            "after": fields.head_sha,
            "pull_requests": [],
            "app": self.app(&run.app),
            "created_at": fields.started_at,
            "updated_at": fields.completed_at.as_ref().unwrap_or(&fields.started_at),
        });
        value
    }

    /// One entry of the list of deliveries; `None` while unsent.
    pub(crate) fn delivery(&self, row: &DeliveryRow) -> Option<Value> {
        let answer = row.answer.as_ref()?;
        let seconds =
            std::time::Duration::from_millis(answer.duration_ms.unsigned_abs()).as_secs_f64();
        Some(json!({
            "id": row.id,
            "guid": row.guid,
            "delivered_at": row.delivered_at,
            "redelivery": row.redelivery,
            "duration": seconds,
            "status": answer.status,
            "status_code": answer.status_code,
            "event": row.event,
            "action": row.action,
            "installation_id": row.installation,
            "repository_id": row.repo,
            "throttled_at": null,
        }))
    }

    /// A delivery with what was sent and answered.
    pub(crate) fn full_delivery(&self, row: &DeliveryRow) -> Option<Value> {
        let answer = row.answer.as_ref()?;
        let mut value = self.delivery(row)?;
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        value["url"] = "".into();
        value["request"] =
            json!({"headers": json(&answer.request_headers), "payload": json(&row.payload)});
        value["response"] =
            json!({"headers": json(&answer.response_headers), "payload": answer.response});
        Some(value)
    }
}
