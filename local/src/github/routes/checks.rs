//! Check runs, which only Apps write.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Input;
use crate::github::{
    Context,
    access::{CHECKS, Need},
    answer::{Error, Reply, created, ok},
    caller::Caller,
    events,
    paging::Paging,
    store::{App, CheckRun, NewCheckRun, Repo, now},
};

#[derive(Deserialize)]
pub(super) struct Wish {
    name: Option<String>,
    head_sha: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    output: Option<Output>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

/// A remark on lines of a file. GitHub keeps adding those of each request.
#[derive(Deserialize, Serialize)]
struct Annotation {
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

/// GitHub's own bounds: annotations of one request, bytes of a text.
const MOST_ANNOTATIONS: usize = 50;
const LONGEST_TEXT: usize = 65_535;

impl Output {
    fn check(&self) -> Result<(), Error> {
        let wrong = |field| Err(Error::field("CheckRun", field, "invalid"));
        let too_long =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT);
        if self.title.is_none() {
            return Err(Error::field("CheckRun", "title", "missing_field"));
        }
        if self.summary.is_none() {
            return Err(Error::field("CheckRun", "summary", "missing_field"));
        }
        if too_long(&self.summary) {
            return wrong("summary");
        }
        if too_long(&self.text) {
            return wrong("text");
        }
        let levels = ["notice", "warning", "failure"];
        let fits = |one: &Annotation| {
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

impl Wish {
    fn check(&self) -> Result<(), Error> {
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
            return Err(Error::field("CheckRun", "status", "invalid"));
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
            return Err(Error::field("CheckRun", "conclusion", "invalid"));
        }
        if self.status.as_deref() == Some("completed") && self.conclusion.is_none() {
            return Err(Error::field("CheckRun", "conclusion", "missing_field"));
        }
        self.output.as_ref().map_or(Ok(()), Output::check)
    }

    /// Lays what is given over what is there.
    fn apply(self, fields: &mut NewCheckRun) {
        // A conclusion completes a run even when nobody says so.
        if self.conclusion.is_some() {
            fields.status = "completed".to_owned();
            fields.conclusion = self.conclusion;
            fields.completed_at = Some(self.completed_at.unwrap_or_else(now));
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

fn app_of(caller: &Caller) -> Result<&App, Error> {
    match caller {
        Caller::Installation(token) => Ok(&token.app),
        Caller::Anonymous => Err(Error::AuthenticationRequired),
        _ => Err(Error::Forbidden(
            "You must authenticate via a GitHub App.".to_owned(),
        )),
    }
}

pub(super) async fn create(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    Input(wish): Input<Wish>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CHECKS))
        .await?;
    let app = app_of(&caller)?;
    wish.check()?;
    if wish.name.is_none() {
        return Err(Error::field("CheckRun", "name", "missing_field"));
    }
    let wanted = wish
        .head_sha
        .as_deref()
        .ok_or_else(|| Error::field("CheckRun", "head_sha", "missing_field"))?;
    let known = context
        .git(&repo)
        .resolve(wanted)
        .await?
        .filter(|found| found == wanted);
    let head_sha =
        known.ok_or_else(|| Error::Unprocessable(format!("No commit found for SHA: {wanted}")))?;
    let mut fields = NewCheckRun {
        head_sha,
        status: "queued".to_owned(),
        started_at: now(),
        ..NewCheckRun::default()
    };
    wish.apply(&mut fields);
    let id = context
        .store
        .add_check_run(repo.id, app.id, &fields)
        .await?;
    let run = find(&context, &repo, id).await?;
    events::check_run(&context, &repo, &run, &app.bot, "created").await?;
    if run.fields.conclusion.is_some() {
        events::check_run(&context, &repo, &run, &app.bot, "completed").await?;
    }
    created(context.render().check_run(&repo, &run))
}

async fn find(context: &Context, repo: &Repo, id: i64) -> Result<CheckRun, Error> {
    context
        .store
        .check_run(repo.id, id)
        .await?
        .ok_or(Error::NotFound)
}

pub(super) async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CHECKS))
        .await?;
    ok(context
        .render()
        .check_run(&repo, &find(&context, &repo, id).await?))
}

pub(super) async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
    Input(wish): Input<Wish>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CHECKS))
        .await?;
    let app = app_of(&caller)?;
    wish.check()?;
    let mut run = find(&context, &repo, id).await?;
    if run.app.id != app.id {
        return Err(Error::NotByIntegration);
    }
    let completes = run.fields.conclusion.is_none() && wish.conclusion.is_some();
    wish.apply(&mut run.fields);
    context.store.save_check_run(&run).await?;
    if completes {
        events::check_run(&context, &repo, &run, &app.bot, "completed").await?;
    }
    ok(context.render().check_run(&repo, &run))
}

pub(super) async fn annotations(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CHECKS))
        .await?;
    let run = find(&context, &repo, id).await?;
    let page = format!(
        "{}/{}/blob/{}",
        context.url,
        repo.full_name(),
        run.fields.head_sha
    );
    paging.reply(run.fields.annotations, |one| {
        let mut one = one.clone();
        one["blob_href"] = format!("{page}/{}", one["path"].as_str().unwrap_or_default()).into();
        one
    })
}

/// What the button "Re-run" does: the App is told, nothing else happens.
pub(super) async fn rerequest(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CHECKS))
        .await?;
    let run = find(&context, &repo, id).await?;
    if run.fields.status != "completed" {
        return Err(Error::Unprocessable(
            "This check run is not completed".to_owned(),
        ));
    }
    events::check_run(&context, &repo, &run, caller.account()?, "rerequested").await?;
    Ok((StatusCode::CREATED, Json(json!({}))).into_response())
}

pub(super) async fn list(context: &Context, repo: &Repo, sha: &str, paging: &Paging) -> Reply {
    let mut runs = context.store.check_runs(repo.id, sha).await?;
    if let Some(name) = paging.parameter("check_name") {
        runs.retain(|run| run.fields.name == name);
    }
    if let Some(app) = paging.parameter("app_id") {
        runs.retain(|run| run.app.id.to_string() == app);
    }
    if let Some(status) = paging.parameter("status") {
        runs.retain(|run| run.fields.status == status);
    }
    if paging.parameter("filter") != Some("all") {
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
        .cut(runs)
        .iter()
        .map(|run| context.render().check_run(repo, run))
        .collect();
    paging.wrap(total, json!({"total_count": total, "check_runs": page}))
}
