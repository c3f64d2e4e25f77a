//! Routes of an App: its installations, tokens and deliveries.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::AppPermissions,
    caller::{Caller, hash_token},
    pagination::Pagination,
    response::{RestError, RestResult, reply_created, reply_json, reply_no_content},
    store::{OutgoingDelivery, StoredApp, StoredDelivery, StoredInstallation},
    webhook_sender,
};

pub(super) async fn get_app(
    State(context): State<FakeGithubContext>,
    caller: Caller,
) -> RestResult {
    reply_json(context.json_renderer().render_app(caller.require_app()?))
}

pub(super) async fn list_installations(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    paging: Pagination,
) -> RestResult {
    let app = caller.require_app()?;
    let installations = context.store.list_installations_of_app(app.id).await?;
    paging.reply_with_page(installations, |installation| {
        context
            .json_renderer()
            .render_installation(app, installation)
    })
}

pub(super) async fn get_installation(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path(id): Path<i64>,
) -> RestResult {
    let app = caller.require_app()?;
    let installation = find_own_installation(&context, app, id).await?;
    reply_json(
        context
            .json_renderer()
            .render_installation(app, &installation),
    )
}

pub(super) async fn get_account_installation(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path(login): Path<String>,
) -> RestResult {
    reply_account_installation(&context, caller.require_app()?, &login).await
}

pub(super) async fn get_repo_installation(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
) -> RestResult {
    let app = caller.require_app()?;
    context
        .store
        .find_repo_by_name(&owner, &name)
        .await?
        .ok_or(RestError::NotFound)?;
    reply_account_installation(&context, app, &owner).await
}

async fn reply_account_installation(
    context: &FakeGithubContext,
    app: &StoredApp,
    login: &str,
) -> RestResult {
    let installations = context.store.list_installations_of_app(app.id).await?;
    let found = installations
        .iter()
        .find(|found| found.account.login.eq_ignore_ascii_case(login));
    reply_json(
        context
            .json_renderer()
            .render_installation(app, found.ok_or(RestError::NotFound)?),
    )
}

async fn find_own_installation(
    context: &FakeGithubContext,
    app: &StoredApp,
    id: i64,
) -> Result<StoredInstallation, RestError> {
    context
        .store
        .find_installation(id)
        .await?
        .filter(|found| found.app == app.id)
        .ok_or(RestError::NotFound)
}

#[derive(Deserialize)]
pub(super) struct AccessTokenBody {
    permissions: Option<Value>,
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<i64>>,
}

pub(super) async fn create_access_token(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path(id): Path<i64>,
    JsonBody(wish): JsonBody<AccessTokenBody>,
) -> RestResult {
    let app = caller.require_app()?;
    let installation = find_own_installation(&context, app, id).await?;
    let permissions = match &wish.permissions {
        None => installation.permissions.clone(),
        Some(wanted) => narrow_permissions(wanted, &installation.permissions)?,
    };
    let repositories = choose_repositories(&context, &installation, &wish).await?;
    let ids: Option<Vec<i64>> = repositories
        .as_ref()
        .map(|repos| repos.iter().map(|repo| repo.id).collect());
    let token = format!("ghs_{}", uuid::Uuid::new_v4().simple());
    let lifetime = SignedDuration::try_from(context.token_lifetime).map_err(anyhow::Error::from)?;
    let expires = Timestamp::now() + lifetime;
    let expires = expires.round(Unit::Second).map_err(anyhow::Error::from)?;
    context
        .store
        .add_installation_token(
            &hash_token(&token),
            id,
            &permissions,
            ids.as_deref(),
            expires.as_second(),
        )
        .await?;
    let mut body = json!({
        "token": token,
        "expires_at": expires.to_string(),
        "permissions": permissions.to_value(),
        "repository_selection": if repositories.is_some() { "selected" } else { "all" },
    });
    if let Some(repositories) = repositories {
        body["repositories"] = repositories
            .iter()
            .map(|repo| context.json_renderer().render_repo(repo))
            .collect();
    }
    reply_created(body)
}

fn narrow_permissions(wanted: &Value, have: &AppPermissions) -> Result<AppPermissions, RestError> {
    let wanted = AppPermissions::from_value(wanted).ok_or_else(|| {
        RestError::Unprocessable("Invalid request. Permissions are read or write.".to_owned())
    })?;
    if have.covers_permissions(&wanted) {
        Ok(wanted)
    } else {
        let message = "The permissions requested are not granted to this installation.";
        Err(RestError::Unprocessable(message.to_owned()))
    }
}

/// The repositories that a token is narrowed to. `None` for all.
async fn choose_repositories(
    context: &FakeGithubContext,
    installation: &StoredInstallation,
    wish: &AccessTokenBody,
) -> Result<Option<Vec<crate::github::store::StoredRepo>>, RestError> {
    if wish.repositories.is_none() && wish.repository_ids.is_none() {
        return Ok(None);
    }
    let (names, ids) = (
        wish.repositories.as_deref().unwrap_or_default(),
        wish.repository_ids.as_deref().unwrap_or_default(),
    );
    let all = context.store.list_repos_of(installation.account.id).await?;
    let known = names
        .iter()
        .all(|name| all.iter().any(|repo| repo.name.eq_ignore_ascii_case(name)))
        && ids.iter().all(|id| all.iter().any(|repo| repo.id == *id));
    if !known {
        let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
        return Err(RestError::Unprocessable(message.to_owned()));
    }
    let named = |name: &str| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    Ok(Some(
        all.into_iter()
            .filter(|repo| named(&repo.name) || ids.contains(&repo.id))
            .collect(),
    ))
}

pub(super) async fn revoke_access_token(
    State(context): State<FakeGithubContext>,
    caller: Caller,
) -> RestResult {
    let Caller::Installation(token) = caller else {
        return Err(RestError::AuthenticationRequired);
    };
    context.store.delete_token(&token.hash).await?;
    reply_no_content()
}

pub(super) async fn list_accessible_repos(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    paging: Pagination,
) -> RestResult {
    let Caller::Installation(token) = caller else {
        return Err(RestError::AuthenticationRequired);
    };
    let mut repos = context.store.list_repos_of(token.account.id).await?;
    repos.retain(|repo| token.covers_repo(repo));
    let total = repos.len();
    let page: Vec<Value> = paging
        .take_page(repos)
        .iter()
        .map(|repo| context.json_renderer().render_repo(repo))
        .collect();
    paging.reply_with_links(total, json!({"total_count": total, "repositories": page}))
}

/// Pages by `cursor`, the id before which the next page begins.
pub(super) async fn list_deliveries(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    paging: Pagination,
) -> RestResult {
    let app = caller.require_app()?;
    let before = match paging.query_parameter("cursor") {
        Some(cursor) => Some(
            cursor
                .parse()
                .map_err(|_| RestError::Unprocessable("Invalid cursor.".to_owned()))?,
        ),
        None => None,
    };
    // One more than requested shows whether there is another page.
    let limit = i64::try_from(paging.per_page)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut rows = context.store.list_deliveries(app.id, before, limit).await?;
    let more = rows.len() > paging.per_page;
    rows.truncate(paging.per_page);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    let page: Vec<Value> = rows
        .iter()
        .filter_map(|row| context.json_renderer().render_delivery(row))
        .collect();
    let mut response = Json(page).into_response();
    if let Some(next) = next {
        let link = format!(
            "<{}>; rel=\"next\"",
            paging.url_with_parameter("cursor", &next.to_string())
        );
        response.headers_mut().insert(
            header::LINK,
            HeaderValue::from_str(&link).map_err(anyhow::Error::from)?,
        );
    }
    Ok(response)
}

pub(super) async fn get_delivery(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path(id): Path<i64>,
) -> RestResult {
    let row = find_own_delivery(&context, &caller, id).await?;
    reply_json(
        context
            .json_renderer()
            .render_full_delivery(&row)
            .ok_or(RestError::NotFound)?,
    )
}

async fn find_own_delivery(
    context: &FakeGithubContext,
    caller: &Caller,
    id: i64,
) -> Result<StoredDelivery, RestError> {
    context
        .store
        .find_delivery(caller.require_app()?.id, id)
        .await?
        .ok_or(RestError::NotFound)
}

/// Sends the same payload again, with the same delivery id.
pub(super) async fn redeliver_delivery(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path(id): Path<i64>,
) -> RestResult {
    let row = find_own_delivery(&context, &caller, id).await?;
    let delivery = OutgoingDelivery {
        guid: &row.guid,
        app: row.app,
        installation: row.installation,
        repo: row.repo,
        event: &row.event,
        action: row.action.as_deref(),
        payload: &row.payload,
        redelivery: true,
    };
    webhook_sender::enqueue_delivery(&context, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
