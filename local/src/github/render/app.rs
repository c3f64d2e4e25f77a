//! Renders Apps, installations, check runs and deliveries.

use serde_json::{Value, json};

use super::{JsonRenderer, node_id};
use crate::github::{
    access::AppPermissions,
    store::{
        AccountKind, StoredApp, StoredCheckRun, StoredDelivery, StoredInstallation, StoredRepo,
    },
};

/// The events of an App: all that the stand-in sends besides `ping` and `installation`.
pub(crate) const APP_EVENTS: &[&str] = &[
    "check_run",
    "create",
    "delete",
    "issue_comment",
    "pull_request",
    "push",
    "status",
];

impl JsonRenderer<'_> {
    pub(crate) fn render_app(&self, app: &StoredApp) -> Value {
        let page = format!("{}/apps/{}", self.url, app.slug);
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": node_id("App", app.id),
            "owner": self.render_user(&app.bot),
            "name": app.slug,
            "description": "",
            "external_url": page,
            "html_url": page,
            "created_at": app.created_at,
            "updated_at": app.created_at,
            "permissions": AppPermissions::default().to_value(),
            "events": APP_EVENTS,
        })
    }

    pub(crate) fn render_installation(
        &self,
        app: &StoredApp,
        installation: &StoredInstallation,
    ) -> Value {
        let id = installation.id;
        let account = &installation.account;
        let kind = if account.kind == AccountKind::Organization {
            "Organization"
        } else {
            "User"
        };
        json!({
            "id": id,
            "account": self.render_user(account),
            "repository_selection": "all",
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.url),
            "repositories_url": format!("{}/installation/repositories", self.url),
            "html_url": format!("{}/settings/installations/{id}", self.url),
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": account.id,
            "target_type": kind,
            "permissions": installation.permissions.to_value(),
            "events": APP_EVENTS,
            "created_at": installation.created_at,
            "updated_at": installation.created_at,
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": null,
            "suspended_at": null,
        })
    }

    pub(crate) fn render_check_run(&self, repo: &StoredRepo, run: &StoredCheckRun) -> Value {
        let fields = &run.fields;
        let url = format!("{}/check-runs/{}", self.repo_url(repo), run.id);
        let page = format!("{}/runs/{}", self.repo_html_url(repo), run.id);
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
            "app": self.render_app(&run.app),
            "pull_requests": [],
        })
    }

    /// A check run as in webhooks: with its whole check suite.
    pub(crate) fn render_webhook_check_run(
        &self,
        repo: &StoredRepo,
        run: &StoredCheckRun,
    ) -> Value {
        let fields = &run.fields;
        let mut value = self.render_check_run(repo, run);
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
            "app": self.render_app(&run.app),
            "created_at": fields.started_at,
            "updated_at": fields.completed_at.as_ref().unwrap_or(&fields.started_at),
        });
        value
    }

    /// An entry of the list of deliveries. `None` if it is unsent.
    pub(crate) fn render_delivery(&self, row: &StoredDelivery) -> Option<Value> {
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

    /// A delivery with its request and response.
    pub(crate) fn render_full_delivery(&self, row: &StoredDelivery) -> Option<Value> {
        let answer = row.answer.as_ref()?;
        let mut value = self.render_delivery(row)?;
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        value["url"] = "".into();
        value["request"] =
            json!({"headers": json(&answer.request_headers), "payload": json(&row.payload)});
        value["response"] =
            json!({"headers": json(&answer.response_headers), "payload": answer.response});
        Some(value)
    }
}
