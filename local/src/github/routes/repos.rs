//! Routes of repositories: the repository itself, forks, collaborators.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::StatusCode;
use serde::Deserialize;

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{self, METADATA, RepoRole, RequiredPermission},
    caller::Caller,
    render::extend_object,
    response::{RestError, RestResult, reply_json, reply_no_content},
    store::StoredRepo,
};

pub(super) async fn get_repo(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(METADATA),
        )
        .await?;
    reply_json(render_repo_for_caller(&context, &repo, &caller).await?)
}

async fn render_repo_for_caller(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    caller: &Caller,
) -> Result<serde_json::Value, RestError> {
    let parent = match repo.fork_of {
        Some(parent) => Some(context.store.get_repo(parent).await?),
        None => None,
    };
    let role = match caller {
        Caller::User(user) => access::find_repo_role(&context.store, repo, user).await?,
        _ => RepoRole::Read,
    };
    Ok(context
        .json_renderer()
        .render_full_repo(repo, parent.as_ref(), role))
}

#[derive(Deserialize)]
pub(super) struct CreateForkBody {
    organization: Option<String>,
    name: Option<String>,
}

/// Forks to the caller's account. An existing fork is returned, as on GitHub.
pub(super) async fn create_fork(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    JsonBody(wish): JsonBody<CreateForkBody>,
) -> RestResult {
    let source = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(METADATA),
        )
        .await?;
    let Caller::User(user) = &caller else {
        caller.require_account()?;
        return Err(RestError::NotByIntegration);
    };
    let target = match &wish.organization {
        None => user.clone(),
        Some(org) => context
            .store
            .find_account_by_login(org)
            .await?
            .ok_or(RestError::NotFound)?,
    };
    if target.id != user.id && !context.store.is_member(target.id, user.id).await? {
        return Err(RestError::Forbidden(
            "You may not fork into this organization.".to_owned(),
        ));
    }
    if target.id == source.owner.id {
        return Err(RestError::Forbidden(
            "A repository cannot be forked by its owner.".to_owned(),
        ));
    }
    let fork_name = wish.name.as_deref().unwrap_or(&source.name);
    if !crate::github::seed::is_valid_name(fork_name) {
        return Err(RestError::field_error("Repository", "name", "invalid"));
    }
    let there = context
        .store
        .find_repo_by_name(&target.login, fork_name)
        .await?;
    if there
        .as_ref()
        .is_some_and(|there| there.fork_of != Some(source.id))
    {
        return Err(RestError::custom_error(
            "Repository",
            "name already exists on this account",
        ));
    }
    let id = context
        .store
        .ensure_repo(target.id, fork_name, source.private, Some(source.id))
        .await?;
    context
        .open_bare_repo_by_id(id)
        .init_or_clone(Some(&context.open_bare_repo(&source)))
        .await?;
    let fork = context.store.get_repo(id).await?;
    let body = render_repo_for_caller(&context, &fork, &caller).await?;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// 204 for users with more permissions than everybody, 404 for others.
pub(super) async fn check_collaborator(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> RestResult {
    caller.require_account()?;
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(METADATA),
        )
        .await?;
    let account = context
        .store
        .find_account_by_login(&login)
        .await?
        .ok_or(RestError::NotFound)?;
    let invited = context
        .store
        .find_collaborator_permission(repo.id, account.id)
        .await?
        .is_some();
    let role = access::find_repo_role(&context.store, &repo, &account).await?;
    if invited || role >= RepoRole::Write {
        reply_no_content()
    } else {
        Err(RestError::NotFound)
    }
}

pub(super) async fn get_collaborator_permission(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> RestResult {
    caller.require_account()?;
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(METADATA),
        )
        .await?;
    let account = context
        .store
        .find_account_by_login(&login)
        .await?
        .ok_or(RestError::NotFound)?;
    let role = access::find_repo_role(&context.store, &repo, &account).await?;
    let mut user = context.json_renderer().render_user(&account);
    let more = serde_json::json!({
        "role_name": role.as_str(),
        "permissions": {
            "admin": role >= RepoRole::Admin,
            "maintain": role >= RepoRole::Admin,
            "push": role >= RepoRole::Write,
            "triage": role >= RepoRole::Write,
            "pull": role >= RepoRole::Read,
        },
    });
    extend_object(&mut user, more);
    reply_json(
        serde_json::json!({"permission": role.as_str(), "role_name": role.as_str(), "user": user}),
    )
}
