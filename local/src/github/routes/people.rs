//! Users, organisations, memberships.

use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::{StatusCode, header};
use serde_json::json;

use crate::github::{
    Context,
    access::Level,
    answer::{Error, Reply, no_content, ok},
    caller::Caller,
    render::extend,
    store::{Account, Kind},
};

pub(super) async fn me(State(context): State<Context>, caller: Caller) -> Reply {
    let Caller::User(user) = &caller else {
        caller.account()?;
        return Err(Error::NotByIntegration);
    };
    let repos = context.store.repos_of(user.id).await?.len();
    let mut body = context.render().full_user(user, repos);
    let private = json!({
        "private_gists": 0,
        "total_private_repos": 0,
        "owned_private_repos": 0,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": false,
    });
    extend(&mut body, private);
    ok(body)
}

pub(super) async fn user(State(context): State<Context>, Path(login): Path<String>) -> Reply {
    let account = context
        .store
        .account_by_login(&login)
        .await?
        .ok_or(Error::NotFound)?;
    let repos = context.store.repos_of(account.id).await?.len();
    ok(context.render().full_user(&account, repos))
}

async fn org(context: &Context, login: &str) -> Result<Account, Error> {
    let account = context.store.account_by_login(login).await?;
    account
        .filter(|account| account.kind == Kind::Organization)
        .ok_or(Error::NotFound)
}

pub(super) async fn organization(
    State(context): State<Context>,
    Path(login): Path<String>,
) -> Reply {
    let account = org(&context, &login).await?;
    let repos = context.store.repos_of(account.id).await?.len();
    ok(context.render().full_organization(&account, repos))
}

/// 204 for a member, 404 for none; who may not know is sent to the public list.
pub(super) async fn member(
    State(context): State<Context>,
    caller: Caller,
    Path((org_login, login)): Path<(String, String)>,
) -> Reply {
    let org = org(&context, &org_login).await?;
    let may_know = match &caller {
        Caller::Installation(token) => {
            if token.account.id != org.id || !token.permissions.allows("members", Level::Read) {
                return Err(Error::NotByIntegration);
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
        .account_by_login(&login)
        .await?
        .ok_or(Error::NotFound)?;
    if context.store.is_member(org.id, account.id).await? {
        no_content()
    } else {
        Err(Error::NotFound)
    }
}

/// Nobody shows a membership to the public here.
pub(super) async fn public_member() -> Error {
    Error::NotFound
}
