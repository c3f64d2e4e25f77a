//! Commit statuses.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Input;
use crate::github::{
    Context,
    access::{Need, STATUSES},
    answer::{Error, Reply, created},
    caller::Caller,
    events,
    paging::Paging,
    store::{NewStatus, Repo, Status},
};

/// GitHub's limits: characters, and statuses of one context on one commit.
const LONGEST_DESCRIPTION: usize = 140;
const MOST_STATUSES: i64 = 1000;

#[derive(Deserialize)]
pub(super) struct Wish {
    state: Option<String>,
    description: Option<String>,
    target_url: Option<String>,
    context: Option<String>,
}

impl Wish {
    fn check(&self) -> Result<(), Error> {
        match self.state.as_deref() {
            Some("error" | "failure" | "pending" | "success") => {}
            Some(_) => return Err(Error::field("Status", "state", "invalid")),
            None => return Err(Error::field("Status", "state", "missing_field")),
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION)
        {
            return Err(Error::custom(
                "Status",
                "description is too long (maximum is 140 characters)",
            ));
        }
        let is_web = |url: &String| {
            url.is_empty() || url.starts_with("http://") || url.starts_with("https://")
        };
        if self.target_url.as_ref().is_some_and(|url| !is_web(url)) {
            return Err(Error::custom(
                "Status",
                "target_url must use http(s) scheme",
            ));
        }
        Ok(())
    }
}

pub(super) async fn create(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, sha)): Path<(String, String, String)>,
    Input(wish): Input<Wish>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(STATUSES))
        .await?;
    wish.check()?;
    let known = context
        .git(&repo)
        .resolve(&sha)
        .await?
        .filter(|found| *found == sha);
    let sha =
        known.ok_or_else(|| Error::Unprocessable(format!("No commit found for SHA: {sha}")))?;
    let name = wish.context.as_deref().unwrap_or("default");
    if context.store.status_count(repo.id, &sha, name).await? >= MOST_STATUSES {
        return Err(Error::custom(
            "Status",
            "This SHA and context has reached the maximum number of statuses.",
        ));
    }
    let author = caller.account()?;
    let new = NewStatus {
        sha: &sha,
        context: name,
        state: wish.state.as_deref().unwrap_or_default(),
        description: wish.description.as_deref(),
        target_url: wish.target_url.as_deref().filter(|url| !url.is_empty()),
        creator: author.id,
    };
    let status = context.store.add_status(repo.id, &new).await?;
    events::status(&context, &repo, &status, author).await?;
    created(context.render().status(&repo, &status, true))
}

pub(super) async fn list(context: &Context, repo: &Repo, sha: &str, paging: &Paging) -> Reply {
    let statuses = context.store.statuses(repo.id, sha).await?;
    paging.reply(statuses, |status| {
        context.render().status(repo, status, true)
    })
}

/// The newest of each context, and what they amount to.
pub(super) async fn combined(context: &Context, repo: &Repo, sha: &str, paging: &Paging) -> Reply {
    let latest = latest(context.store.statuses(repo.id, sha).await?);
    let render = context.render();
    let state = sum(latest.iter().map(|status| status.state.as_str()));
    let total = latest.len();
    let page: Vec<Value> = paging
        .cut(latest)
        .iter()
        .map(|status| render.status(repo, status, false))
        .collect();
    let api = render.repo_url(repo);
    let body = json!({
        "state": state,
        "statuses": page,
        "sha": sha,
        "total_count": total,
        "repository": render.simple_repo(repo),
        "commit_url": format!("{api}/commits/{sha}"),
        "url": format!("{api}/commits/{sha}/status"),
    });
    paging.wrap(total, body)
}

/// The newest of each context, from a list with the newest first.
pub(crate) fn latest(statuses: Vec<Status>) -> Vec<Status> {
    let mut latest: Vec<Status> = Vec::new();
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

fn sum<'a>(states: impl Iterator<Item = &'a str>) -> &'static str {
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
            assert_eq!(sum(states.iter().copied()), expected);
        }
    }
}
