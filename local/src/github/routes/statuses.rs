//! Routes of commit statuses.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{RequiredPermission, STATUSES},
    caller::Caller,
    events,
    pagination::Pagination,
    response::{RestError, RestResult, reply_created},
    store::{NewStatus, StoredRepo, StoredStatus},
};

/// GitHub's limits: characters of a description, and statuses of one context on one commit.
const LONGEST_DESCRIPTION: usize = 140;
const MOST_STATUSES: i64 = 1000;

#[derive(Deserialize)]
pub(super) struct CreateStatusBody {
    state: Option<String>,
    description: Option<String>,
    target_url: Option<String>,
    context: Option<String>,
}

impl CreateStatusBody {
    fn validate_body(&self) -> Result<(), RestError> {
        match self.state.as_deref() {
            Some("error" | "failure" | "pending" | "success") => {}
            Some(_) => return Err(RestError::field_error("Status", "state", "invalid")),
            None => return Err(RestError::field_error("Status", "state", "missing_field")),
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION)
        {
            return Err(RestError::custom_error(
                "Status",
                "description is too long (maximum is 140 characters)",
            ));
        }
        let is_web = |url: &String| {
            url.is_empty() || url.starts_with("http://") || url.starts_with("https://")
        };
        if self.target_url.as_ref().is_some_and(|url| !is_web(url)) {
            return Err(RestError::custom_error(
                "Status",
                "target_url must use http(s) scheme",
            ));
        }
        Ok(())
    }
}

pub(super) async fn create_status(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, sha)): Path<(String, String, String)>,
    JsonBody(wish): JsonBody<CreateStatusBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(STATUSES),
        )
        .await?;
    wish.validate_body()?;
    let known = context
        .open_bare_repo(&repo)
        .resolve_commit(&sha)
        .await?
        .filter(|found| *found == sha);
    let sha =
        known.ok_or_else(|| RestError::Unprocessable(format!("No commit found for SHA: {sha}")))?;
    let name = wish.context.as_deref().unwrap_or("default");
    if context.store.count_statuses(repo.id, &sha, name).await? >= MOST_STATUSES {
        return Err(RestError::custom_error(
            "Status",
            "This SHA and context has reached the maximum number of statuses.",
        ));
    }
    let author = caller.require_account()?;
    let new = NewStatus {
        sha: &sha,
        context: name,
        state: wish.state.as_deref().unwrap_or_default(),
        description: wish.description.as_deref(),
        target_url: wish.target_url.as_deref().filter(|url| !url.is_empty()),
        creator: author.id,
    };
    let status = context.store.add_status(repo.id, &new).await?;
    events::emit_status(&context, &repo, &status, author).await?;
    reply_created(context.json_renderer().render_status(&repo, &status, true))
}

pub(super) async fn list_statuses(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sha: &str,
    paging: &Pagination,
) -> RestResult {
    let statuses = context.store.list_statuses(repo.id, sha).await?;
    paging.reply_with_page(statuses, |status| {
        context.json_renderer().render_status(repo, status, true)
    })
}

/// The newest status of each context, and their combined state.
pub(super) async fn get_combined_status(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sha: &str,
    paging: &Pagination,
) -> RestResult {
    let latest = latest_by_context(context.store.list_statuses(repo.id, sha).await?);
    let render = context.json_renderer();
    let state = combine_states(latest.iter().map(|status| status.state.as_str()));
    let total = latest.len();
    let page: Vec<Value> = paging
        .take_page(latest)
        .iter()
        .map(|status| render.render_status(repo, status, false))
        .collect();
    let api = render.repo_url(repo);
    let body = json!({
        "state": state,
        "statuses": page,
        "sha": sha,
        "total_count": total,
        "repository": render.render_simple_repo(repo),
        "commit_url": format!("{api}/commits/{sha}"),
        "url": format!("{api}/commits/{sha}/status"),
    });
    paging.reply_with_links(total, body)
}

/// The newest of each context, from a list with the newest first.
pub(crate) fn latest_by_context(statuses: Vec<StoredStatus>) -> Vec<StoredStatus> {
    let mut latest: Vec<StoredStatus> = Vec::new();
    for status in statuses {
        if !latest
            .iter()
            .any(|newer| newer.context.eq_ignore_ascii_case(&status.context))
        {
            latest.push(status);
        }
    }
    latest
}

fn combine_states<'a>(states: impl Iterator<Item = &'a str>) -> &'static str {
    let states: Vec<&str> = states.collect();
    let any = |wanted: &[&str]| states.iter().any(|state| wanted.contains(state));
    if any(&["failure", "error"]) {
        "failure"
    } else if states.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_all_and_nothing_is_pending() {
        for (states, expected) in [
            (&[][..], "pending"),
            (&["success", "success"], "success"),
            (&["success", "pending"], "pending"),
            (&["pending", "error"], "failure"),
        ] {
            assert_eq!(combine_states(states.iter().copied()), expected);
        }
    }
}
