//! Routes of check runs, which only Apps write.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{CHECKS, RequiredPermission},
    caller::Caller,
    events,
    pagination::Pagination,
    response::{RestError, RestResult, reply_created, reply_json},
    store::{CheckRunFields, StoredApp, StoredCheckRun, StoredRepo, current_timestamp},
};

#[derive(Deserialize)]
pub(super) struct CheckRunBody {
    name: Option<String>,
    head_sha: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    output: Option<CheckOutputBody>,
}

#[derive(Deserialize)]
struct CheckOutputBody {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[serde(default)]
    annotations: Vec<CheckAnnotationBody>,
}

/// An annotation on lines of a file. Each request adds its annotations, as on GitHub.
#[derive(Deserialize, Serialize)]
struct CheckAnnotationBody {
    path: String,
    start_line: u64,
    end_line: u64,
    start_column: Option<u64>,
    end_column: Option<u64>,
    annotation_level: String,
    message: String,
    title: Option<String>,
    raw_details: Option<String>,
}

/// GitHub's limits: annotations of one request, bytes of a text.
const MOST_ANNOTATIONS: usize = 50;
const LONGEST_TEXT: usize = 65_535;

impl CheckOutputBody {
    fn validate_output(&self) -> Result<(), RestError> {
        let wrong = |field| Err(RestError::field_error("CheckRun", field, "invalid"));
        let too_long =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT);
        if self.title.is_none() {
            return Err(RestError::field_error("CheckRun", "title", "missing_field"));
        }
        if self.summary.is_none() {
            return Err(RestError::field_error(
                "CheckRun",
                "summary",
                "missing_field",
            ));
        }
        if too_long(&self.summary) {
            return wrong("summary");
        }
        if too_long(&self.text) {
            return wrong("text");
        }
        let levels = ["notice", "warning", "failure"];
        let fits = |one: &CheckAnnotationBody| {
            levels.contains(&one.annotation_level.as_str())
                && !one.path.is_empty()
                && one.start_line > 0
                && one.end_line >= one.start_line
        };
        if self.annotations.len() > MOST_ANNOTATIONS || !self.annotations.iter().all(fits) {
            return wrong("annotations");
        }
        Ok(())
    }
}

impl CheckRunBody {
    fn validate_body(&self) -> Result<(), RestError> {
        let status = self.status.as_deref().unwrap_or("queued");
        if ![
            "queued",
            "in_progress",
            "completed",
            "waiting",
            "requested",
            "pending",
        ]
        .contains(&status)
        {
            return Err(RestError::field_error("CheckRun", "status", "invalid"));
        }
        let conclusions = [
            "success",
            "failure",
            "neutral",
            "cancelled",
            "skipped",
            "timed_out",
            "action_required",
            "stale",
        ];
        if self
            .conclusion
            .as_deref()
            .is_some_and(|conclusion| !conclusions.contains(&conclusion))
        {
            return Err(RestError::field_error("CheckRun", "conclusion", "invalid"));
        }
        if self.status.as_deref() == Some("completed") && self.conclusion.is_none() {
            return Err(RestError::field_error(
                "CheckRun",
                "conclusion",
                "missing_field",
            ));
        }
        self.output
            .as_ref()
            .map_or(Ok(()), CheckOutputBody::validate_output)
    }

    /// Overwrites `fields` with what the body contains.
    fn apply_to_fields(self, fields: &mut CheckRunFields) {
        // A conclusion completes a run, even without a status.
        if self.conclusion.is_some() {
            fields.status = "completed".to_owned();
            fields.conclusion = self.conclusion;
            fields.completed_at = Some(self.completed_at.unwrap_or_else(current_timestamp));
        } else if let Some(status) = self.status {
            fields.status = status;
            fields.conclusion = None;
            fields.completed_at = None;
        }
        fields.name = self
            .name
            .unwrap_or_else(|| std::mem::take(&mut fields.name));
        fields.details_url = self.details_url.or(fields.details_url.take());
        fields.external_id = self
            .external_id
            .unwrap_or_else(|| std::mem::take(&mut fields.external_id));
        fields.started_at = self
            .started_at
            .unwrap_or_else(|| std::mem::take(&mut fields.started_at));
        if let Some(output) = self.output {
            fields.title = output.title;
            fields.summary = output.summary;
            fields.text = output.text;
            let added = output.annotations.into_iter().map(|one| json!(one));
            fields.annotations.extend(added);
        }
    }
}

fn require_installation_app(caller: &Caller) -> Result<&StoredApp, RestError> {
    match caller {
        Caller::Installation(token) => Ok(&token.app),
        Caller::Anonymous => Err(RestError::AuthenticationRequired),
        _ => Err(RestError::Forbidden(
            "You must authenticate via a GitHub App.".to_owned(),
        )),
    }
}

pub(super) async fn create_check_run(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    JsonBody(wish): JsonBody<CheckRunBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CHECKS),
        )
        .await?;
    let app = require_installation_app(&caller)?;
    wish.validate_body()?;
    if wish.name.is_none() {
        return Err(RestError::field_error("CheckRun", "name", "missing_field"));
    }
    let wanted = wish
        .head_sha
        .as_deref()
        .ok_or_else(|| RestError::field_error("CheckRun", "head_sha", "missing_field"))?;
    let known = context
        .open_bare_repo(&repo)
        .resolve_commit(wanted)
        .await?
        .filter(|found| found == wanted);
    let head_sha = known
        .ok_or_else(|| RestError::Unprocessable(format!("No commit found for SHA: {wanted}")))?;
    let mut fields = CheckRunFields {
        head_sha,
        status: "queued".to_owned(),
        started_at: current_timestamp(),
        ..CheckRunFields::default()
    };
    wish.apply_to_fields(&mut fields);
    let id = context
        .store
        .add_check_run(repo.id, app.id, &fields)
        .await?;
    let run = find_check_run(&context, &repo, id).await?;
    events::emit_check_run(&context, &repo, &run, &app.bot, "created").await?;
    if run.fields.conclusion.is_some() {
        events::emit_check_run(&context, &repo, &run, &app.bot, "completed").await?;
    }
    reply_created(context.json_renderer().render_check_run(&repo, &run))
}

async fn find_check_run(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    id: i64,
) -> Result<StoredCheckRun, RestError> {
    context
        .store
        .find_check_run(repo.id, id)
        .await?
        .ok_or(RestError::NotFound)
}

pub(super) async fn get_check_run(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CHECKS),
        )
        .await?;
    reply_json(
        context
            .json_renderer()
            .render_check_run(&repo, &find_check_run(&context, &repo, id).await?),
    )
}

pub(super) async fn update_check_run(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
    JsonBody(wish): JsonBody<CheckRunBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CHECKS),
        )
        .await?;
    let app = require_installation_app(&caller)?;
    wish.validate_body()?;
    let mut run = find_check_run(&context, &repo, id).await?;
    if run.app.id != app.id {
        return Err(RestError::NotByIntegration);
    }
    let completes = run.fields.conclusion.is_none() && wish.conclusion.is_some();
    wish.apply_to_fields(&mut run.fields);
    context.store.save_check_run(&run).await?;
    if completes {
        events::emit_check_run(&context, &repo, &run, &app.bot, "completed").await?;
    }
    reply_json(context.json_renderer().render_check_run(&repo, &run))
}

pub(super) async fn list_annotations(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CHECKS),
        )
        .await?;
    let run = find_check_run(&context, &repo, id).await?;
    let page = format!(
        "{}/{}/blob/{}",
        context.url,
        repo.full_name(),
        run.fields.head_sha
    );
    paging.reply_with_page(run.fields.annotations, |one| {
        let mut one = one.clone();
        one["blob_href"] = format!("{page}/{}", one["path"].as_str().unwrap_or_default()).into();
        one
    })
}

/// The button "Re-run": sends a webhook to the App and does nothing else.
pub(super) async fn rerequest_check_run(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CHECKS),
        )
        .await?;
    let run = find_check_run(&context, &repo, id).await?;
    if run.fields.status != "completed" {
        return Err(RestError::Unprocessable(
            "This check run is not completed".to_owned(),
        ));
    }
    events::emit_check_run(
        &context,
        &repo,
        &run,
        caller.require_account()?,
        "rerequested",
    )
    .await?;
    Ok((StatusCode::CREATED, Json(json!({}))).into_response())
}

pub(super) async fn list_check_runs(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sha: &str,
    paging: &Pagination,
) -> RestResult {
    let mut runs = context.store.list_check_runs(repo.id, sha).await?;
    if let Some(name) = paging.query_parameter("check_name") {
        runs.retain(|run| run.fields.name == name);
    }
    if let Some(app) = paging.query_parameter("app_id") {
        runs.retain(|run| run.app.id.to_string() == app);
    }
    if let Some(status) = paging.query_parameter("status") {
        runs.retain(|run| run.fields.status == status);
    }
    if paging.query_parameter("filter") != Some("all") {
        let mut seen: Vec<(i64, String)> = Vec::new();
        runs.retain(|run| {
            let key = (run.app.id, run.fields.name.clone());
            let newest = !seen.contains(&key);
            seen.push(key);
            newest
        });
    }
    let total = runs.len();
    let page: Vec<Value> = paging
        .take_page(runs)
        .iter()
        .map(|run| context.json_renderer().render_check_run(repo, run))
        .collect();
    paging.reply_with_links(total, json!({"total_count": total, "check_runs": page}))
}
