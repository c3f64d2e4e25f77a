//! Statuses and check runs of a commit, as one list.

use askama::Template;
use axum::extract::{Path, State};

use super::{PageLayout, find_public_repo, markdown, render_page, repo_home_path, short_sha};
use crate::github::{
    FakeGithubContext,
    response::{RestError, RestResult},
    routes::latest_by_context,
    store::{StoredCheckRun, StoredRepo, StoredStatus},
};

/// A row of the list.
pub(super) struct CheckRow {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) state: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) href: Option<String>,
}

impl CheckRow {
    fn new(state: &str, name: &str, description: Option<&str>, href: Option<&String>) -> CheckRow {
        let (sign, class) = match state {
            "success" => ("✓", "success"),
            "failure" | "error" | "timed_out" | "action_required" | "startup_failure" => {
                ("✗", "failure")
            }
            "pending" | "queued" | "in_progress" | "waiting" | "requested" => ("●", "pending"),
            _ => ("–", "quiet"),
        };
        CheckRow {
            class,
            sign,
            state: state.replace('_', " "),
            name: name.to_owned(),
            // Prow pads what it appends with wide spaces.
            description: description
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            // The routes accept only http(s) URLs.
            href: href.cloned(),
        }
    }
}

impl From<&StoredStatus> for CheckRow {
    fn from(status: &StoredStatus) -> CheckRow {
        CheckRow::new(
            &status.state,
            &status.context,
            status.description.as_deref(),
            status.target_url.as_ref(),
        )
    }
}

impl From<&StoredCheckRun> for CheckRow {
    fn from(run: &StoredCheckRun) -> CheckRow {
        let fields = &run.fields;
        CheckRow::new(
            fields.conclusion.as_deref().unwrap_or(&fields.status),
            &fields.name,
            fields.title.as_deref(),
            fields.details_url.as_ref(),
        )
    }
}

/// The newest status and check run of each name on a commit. A check run links to its page, which
/// has the details link.
pub(super) async fn list_check_rows(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sha: &str,
) -> Result<Vec<CheckRow>, RestError> {
    let statuses = latest_by_context(context.store.list_statuses(repo.id, sha).await?);
    let mut checks: Vec<CheckRow> = statuses.iter().map(CheckRow::from).collect();
    let mut runs: Vec<StoredCheckRun> = Vec::new();
    for run in context.store.list_check_runs(repo.id, sha).await? {
        if !runs
            .iter()
            .any(|newer| newer.fields.name == run.fields.name)
        {
            runs.push(run);
        }
    }
    checks.extend(runs.iter().map(|run| CheckRow {
        href: Some(format!("{}/runs/{}", repo_home_path(repo), run.id)),
        ..CheckRow::from(run)
    }));
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(checks)
}

#[derive(Template)]
#[template(path = "run.html")]
struct CheckRunPage {
    frame: PageLayout,
    home: String,
    check: CheckRow,
    sha: String,
    title: String,
    texts: Vec<String>,
}

pub(super) async fn show_check_run(
    State(context): State<FakeGithubContext>,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> RestResult {
    let (repo, _) = find_public_repo(&context, &owner, &name).await?;
    let run = context
        .store
        .find_check_run(repo.id, id)
        .await?
        .ok_or(RestError::NotFound)?;
    let fields = &run.fields;
    let texts = [&fields.summary, &fields.text];
    render_page(&CheckRunPage {
        frame: PageLayout::for_repo(&repo),
        home: repo_home_path(&repo),
        check: CheckRow::from(&run),
        sha: fields.head_sha.clone(),
        title: fields.title.clone().unwrap_or_default(),
        texts: texts
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .map(|text| markdown::to_html(text))
            .collect(),
    })
}
