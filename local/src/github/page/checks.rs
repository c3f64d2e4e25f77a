//! Statuses and check runs of a commit, as one list.

use askama::Template;
use axum::extract::{Path, State};

use super::{Frame, home_of, markdown, public, short, show};
use crate::github::{
    Context,
    answer::{Error, Reply},
    routes::latest,
    store::{CheckRun, Repo, Status},
};

/// A line of the list.
pub(super) struct Check {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) state: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) href: Option<String>,
}

impl Check {
    fn new(state: &str, name: &str, description: Option<&str>, href: Option<&String>) -> Check {
        let (sign, class) = match state {
            "success" => ("✓", "success"),
            "failure" | "error" | "timed_out" | "action_required" | "startup_failure" => {
                ("✗", "failure")
            }
            "pending" | "queued" | "in_progress" | "waiting" | "requested" => ("●", "pending"),
            _ => ("–", "quiet"),
        };
        Check {
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
            // The routes take http(s) addresses only.
            href: href.cloned(),
        }
    }
}

impl From<&Status> for Check {
    fn from(status: &Status) -> Check {
        Check::new(
            &status.state,
            &status.context,
            status.description.as_deref(),
            status.target_url.as_ref(),
        )
    }
}

impl From<&CheckRun> for Check {
    fn from(run: &CheckRun) -> Check {
        let fields = &run.fields;
        Check::new(
            fields.conclusion.as_deref().unwrap_or(&fields.status),
            &fields.name,
            fields.title.as_deref(),
            fields.details_url.as_ref(),
        )
    }
}

/// The newest of each name on a commit. A check run leads to its own page, which leads on.
pub(super) async fn of(context: &Context, repo: &Repo, sha: &str) -> Result<Vec<Check>, Error> {
    let statuses = latest(context.store.statuses(repo.id, sha).await?);
    let mut checks: Vec<Check> = statuses.iter().map(Check::from).collect();
    let mut runs: Vec<CheckRun> = Vec::new();
    for run in context.store.check_runs(repo.id, sha).await? {
        if !runs
            .iter()
            .any(|newer| newer.fields.name == run.fields.name)
        {
            runs.push(run);
        }
    }
    checks.extend(runs.iter().map(|run| Check {
        href: Some(format!("{}/runs/{}", home_of(repo), run.id)),
        ..Check::from(run)
    }));
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(checks)
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    home: String,
    check: Check,
    sha: String,
    title: String,
    texts: Vec<String>,
}

pub(super) async fn run(
    State(context): State<Context>,
    Path((owner, name, id)): Path<(String, String, i64)>,
) -> Reply {
    let (repo, _) = public(&context, &owner, &name).await?;
    let run = context
        .store
        .check_run(repo.id, id)
        .await?
        .ok_or(Error::NotFound)?;
    let fields = &run.fields;
    let texts = [&fields.summary, &fields.text];
    show(&RunPage {
        frame: Frame::within(&repo),
        home: home_of(&repo),
        check: Check::from(&run),
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
