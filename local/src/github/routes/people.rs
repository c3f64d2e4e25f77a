//! Routes of users, organisations and memberships.

use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::{StatusCode, header};
use serde_json::json;

use crate::github::{
    FakeGithubContext,
    access::PermissionLevel,
    caller::Caller,
    render::extend_object,
    response::{RestError, RestResult, reply_json, reply_no_content},
    store::{AccountKind, StoredAccount},
};

pub(super) async fn get_authenticated_user(
    State(context): State<FakeGithubContext>,
    caller: Caller,
) -> RestResult {
    let Caller::User(user) = &caller else {
        caller.require_account()?;
        return Err(RestError::NotByIntegration);
    };
    let repos = context.store.list_repos_of(user.id).await?.len();
    let mut body = context.json_renderer().render_full_user(user, repos);
    let private = json!({
        "private_gists": 0,
        "total_private_repos": 0,
        "owned_private_repos": 0,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": false,
    });
    extend_object(&mut body, private);
    reply_json(body)
}

pub(super) async fn get_user(
    State(context): State<FakeGithubContext>,
    Path(login): Path<String>,
) -> RestResult {
    let account = context
        .store
        .find_account_by_login(&login)
        .await?
        .ok_or(RestError::NotFound)?;
    let repos = context.store.list_repos_of(account.id).await?.len();
    reply_json(context.json_renderer().render_full_user(&account, repos))
}

async fn find_org(context: &FakeGithubContext, login: &str) -> Result<StoredAccount, RestError> {
    let account = context.store.find_account_by_login(login).await?;
    account
        .filter(|account| account.kind == AccountKind::Organization)
        .ok_or(RestError::NotFound)
}

pub(super) async fn get_org(
    State(context): State<FakeGithubContext>,
    Path(login): Path<String>,
) -> RestResult {
    let account = find_org(&context, &login).await?;
    let repos = context.store.list_repos_of(account.id).await?.len();
    reply_json(
        context
            .json_renderer()
            .render_full_organization(&account, repos),
    )
}

/// 204 for a member, 404 for others. A caller who may not know is redirected to the public members.
pub(super) async fn check_membership(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((org_login, login)): Path<(String, String)>,
) -> RestResult {
    let org = find_org(&context, &org_login).await?;
    let may_know = match &caller {
        Caller::Installation(token) => {
            if token.account.id != org.id
                || !token
                    .permissions
                    .allows_level("members", PermissionLevel::Read)
            {
                return Err(RestError::NotByIntegration);
            }
            true
        }
        Caller::User(user) => context.store.is_member(org.id, user.id).await?,
        Caller::App(_) | Caller::Anonymous => false,
    };
    if !may_know {
        let address = format!("{}/orgs/{}/public_members/{login}", context.url, org.login);
        return Ok((StatusCode::FOUND, [(header::LOCATION, address)]).into_response());
    }
    let account = context
        .store
        .find_account_by_login(&login)
        .await?
        .ok_or(RestError::NotFound)?;
    if context.store.is_member(org.id, account.id).await? {
        reply_no_content()
    } else {
        Err(RestError::NotFound)
    }
}

/// No membership is public here.
pub(super) async fn check_public_membership() -> RestError {
    RestError::NotFound
}
