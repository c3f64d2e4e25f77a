//! Repositories themselves: shown, forked, who works on them.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::StatusCode;
use serde::Deserialize;

use super::Input;
use crate::github::{
    Context,
    access::{self, METADATA, Need, Role},
    answer::{Error, Reply, no_content, ok},
    caller::Caller,
    render::extend,
    store::Repo,
};

pub(super) async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(METADATA))
        .await?;
    ok(full(&context, &repo, &caller).await?)
}

async fn full(context: &Context, repo: &Repo, caller: &Caller) -> Result<serde_json::Value, Error> {
    let parent = match repo.fork_of {
        Some(parent) => Some(context.store.repo(parent).await?),
        None => None,
    };
    let role = match caller {
        Caller::User(user) => access::role(&context.store, repo, user).await?,
        _ => Role::Read,
    };
    Ok(context.render().full_repo(repo, parent.as_ref(), role))
}

#[derive(Deserialize)]
pub(super) struct ForkWish {
    organization: Option<String>,
    name: Option<String>,
}

/// A copy under the caller's own name. A fork that is there already is the answer, as at GitHub.
pub(super) async fn fork(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    Input(wish): Input<ForkWish>,
) -> Reply {
    let source = context
        .repo(&caller, (&owner, &name), Need::read(METADATA))
        .await?;
    let Caller::User(user) = &caller else {
        caller.account()?;
        return Err(Error::NotByIntegration);
    };
    let target = match &wish.organization {
        None => user.clone(),
        Some(org) => context
            .store
            .account_by_login(org)
            .await?
            .ok_or(Error::NotFound)?,
    };
    if target.id != user.id && !context.store.is_member(target.id, user.id).await? {
        return Err(Error::Forbidden(
            "You may not fork into this organization.".to_owned(),
        ));
    }
    if target.id == source.owner.id {
        return Err(Error::Forbidden(
            "A repository cannot be forked by its owner.".to_owned(),
        ));
    }
    let fork_name = wish.name.as_deref().unwrap_or(&source.name);
    if !crate::github::seed::is_name(fork_name) {
        return Err(Error::field("Repository", "name", "invalid"));
    }
    let there = context.store.repo_by_name(&target.login, fork_name).await?;
    if there
        .as_ref()
        .is_some_and(|there| there.fork_of != Some(source.id))
    {
        return Err(Error::custom(
            "Repository",
            "name already exists on this account",
        ));
    }
    let id = context
        .store
        .ensure_repo(target.id, fork_name, source.private, Some(source.id))
        .await?;
    context
        .git_of(id)
        .create(Some(&context.git(&source)))
        .await?;
    let fork = context.store.repo(id).await?;
    let body = full(&context, &fork, &caller).await?;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// 204 for who has more than everybody, 404 for others.
pub(super) async fn collaborator(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Reply {
    caller.account()?;
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(METADATA))
        .await?;
    let account = context
        .store
        .account_by_login(&login)
        .await?
        .ok_or(Error::NotFound)?;
    let invited = context
        .store
        .collaborator(repo.id, account.id)
        .await?
        .is_some();
    let role = access::role(&context.store, &repo, &account).await?;
    if invited || role >= Role::Write {
        no_content()
    } else {
        Err(Error::NotFound)
    }
}

pub(super) async fn permission(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Reply {
    caller.account()?;
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(METADATA))
        .await?;
    let account = context
        .store
        .account_by_login(&login)
        .await?
        .ok_or(Error::NotFound)?;
    let role = access::role(&context.store, &repo, &account).await?;
    let mut user = context.render().user(&account);
    let more = serde_json::json!({
        "role_name": role.name(),
        "permissions": {
            "admin": role >= Role::Admin,
            "maintain": role >= Role::Admin,
            "push": role >= Role::Write,
            "triage": role >= Role::Write,
            "pull": role >= Role::Read,
        },
    });
    extend(&mut user, more);
    ok(serde_json::json!({"permission": role.name(), "role_name": role.name(), "user": user}))
}
