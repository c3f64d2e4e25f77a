//! An App about itself: where it is installed, its tokens, its deliveries.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Input;
use crate::github::{
    Context,
    access::Permissions,
    answer::{Error, Reply, created, no_content, ok},
    caller::{Caller, hash},
    deliver,
    paging::Paging,
    store::{App, DeliveryRow, Installation, NewDelivery},
};

pub(super) async fn app(State(context): State<Context>, caller: Caller) -> Reply {
    ok(context.render().app(caller.app()?))
}

pub(super) async fn installations(
    State(context): State<Context>,
    caller: Caller,
    paging: Paging,
) -> Reply {
    let app = caller.app()?;
    let installations = context.store.installations_of_app(app.id).await?;
    paging.reply(installations, |installation| {
        context.render().installation(app, installation)
    })
}

pub(super) async fn installation(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Reply {
    let app = caller.app()?;
    let installation = own(&context, app, id).await?;
    ok(context.render().installation(app, &installation))
}

pub(super) async fn account_installation(
    State(context): State<Context>,
    caller: Caller,
    Path(login): Path<String>,
) -> Reply {
    on_account(&context, caller.app()?, &login).await
}

pub(super) async fn repo_installation(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
) -> Reply {
    let app = caller.app()?;
    context
        .store
        .repo_by_name(&owner, &name)
        .await?
        .ok_or(Error::NotFound)?;
    on_account(&context, app, &owner).await
}

async fn on_account(context: &Context, app: &App, login: &str) -> Reply {
    let installations = context.store.installations_of_app(app.id).await?;
    let found = installations
        .iter()
        .find(|found| found.account.login.eq_ignore_ascii_case(login));
    ok(context
        .render()
        .installation(app, found.ok_or(Error::NotFound)?))
}

async fn own(context: &Context, app: &App, id: i64) -> Result<Installation, Error> {
    context
        .store
        .installation(id)
        .await?
        .filter(|found| found.app == app.id)
        .ok_or(Error::NotFound)
}

#[derive(Deserialize)]
pub(super) struct TokenWish {
    permissions: Option<Value>,
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<i64>>,
}

pub(super) async fn access_token(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<i64>,
    Input(wish): Input<TokenWish>,
) -> Reply {
    let app = caller.app()?;
    let installation = own(&context, app, id).await?;
    let permissions = match &wish.permissions {
        None => installation.permissions.clone(),
        Some(wanted) => narrowed(wanted, &installation.permissions)?,
    };
    let repositories = chosen(&context, &installation, &wish).await?;
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
            &hash(&token),
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
            .map(|repo| context.render().repo(repo))
            .collect();
    }
    created(body)
}

fn narrowed(wanted: &Value, have: &Permissions) -> Result<Permissions, Error> {
    let wanted = Permissions::from_value(wanted).ok_or_else(|| {
        Error::Unprocessable("Invalid request. Permissions are read or write.".to_owned())
    })?;
    if have.contains(&wanted) {
        Ok(wanted)
    } else {
        let message = "The permissions requested are not granted to this installation.";
        Err(Error::Unprocessable(message.to_owned()))
    }
}

/// The repositories a token is narrowed to; `None` for all.
async fn chosen(
    context: &Context,
    installation: &Installation,
    wish: &TokenWish,
) -> Result<Option<Vec<crate::github::store::Repo>>, Error> {
    if wish.repositories.is_none() && wish.repository_ids.is_none() {
        return Ok(None);
    }
    let (names, ids) = (
        wish.repositories.as_deref().unwrap_or_default(),
        wish.repository_ids.as_deref().unwrap_or_default(),
    );
    let all = context.store.repos_of(installation.account.id).await?;
    let known = names
        .iter()
        .all(|name| all.iter().any(|repo| repo.name.eq_ignore_ascii_case(name)))
        && ids.iter().all(|id| all.iter().any(|repo| repo.id == *id));
    if !known {
        let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
        return Err(Error::Unprocessable(message.to_owned()));
    }
    let named = |name: &str| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    Ok(Some(
        all.into_iter()
            .filter(|repo| named(&repo.name) || ids.contains(&repo.id))
            .collect(),
    ))
}

pub(super) async fn revoke(State(context): State<Context>, caller: Caller) -> Reply {
    let Caller::Installation(token) = caller else {
        return Err(Error::AuthenticationRequired);
    };
    context.store.revoke(&token.hash).await?;
    no_content()
}

pub(super) async fn repositories(
    State(context): State<Context>,
    caller: Caller,
    paging: Paging,
) -> Reply {
    let Caller::Installation(token) = caller else {
        return Err(Error::AuthenticationRequired);
    };
    let mut repos = context.store.repos_of(token.account.id).await?;
    repos.retain(|repo| token.covers(repo));
    let total = repos.len();
    let page: Vec<Value> = paging
        .cut(repos)
        .iter()
        .map(|repo| context.render().repo(repo))
        .collect();
    paging.wrap(total, json!({"total_count": total, "repositories": page}))
}

/// Pages by `cursor`, the id before which to go on.
pub(super) async fn deliveries(
    State(context): State<Context>,
    caller: Caller,
    paging: Paging,
) -> Reply {
    let app = caller.app()?;
    let before = match paging.parameter("cursor") {
        Some(cursor) => Some(
            cursor
                .parse()
                .map_err(|_| Error::Unprocessable("Invalid cursor.".to_owned()))?,
        ),
        None => None,
    };
    // One more than asked for tells whether there is another page.
    let limit = i64::try_from(paging.per_page)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut rows = context.store.deliveries(app.id, before, limit).await?;
    let more = rows.len() > paging.per_page;
    rows.truncate(paging.per_page);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    let page: Vec<Value> = rows
        .iter()
        .filter_map(|row| context.render().delivery(row))
        .collect();
    let mut response = Json(page).into_response();
    if let Some(next) = next {
        let link = format!(
            "<{}>; rel=\"next\"",
            paging.address("cursor", &next.to_string())
        );
        response.headers_mut().insert(
            header::LINK,
            HeaderValue::from_str(&link).map_err(anyhow::Error::from)?,
        );
    }
    Ok(response)
}

pub(super) async fn delivery(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Reply {
    let row = sent(&context, &caller, id).await?;
    ok(context
        .render()
        .full_delivery(&row)
        .ok_or(Error::NotFound)?)
}

async fn sent(context: &Context, caller: &Caller, id: i64) -> Result<DeliveryRow, Error> {
    context
        .store
        .delivery(caller.app()?.id, id)
        .await?
        .ok_or(Error::NotFound)
}

/// Sends the same payload under the same delivery id once more.
pub(super) async fn redeliver(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Reply {
    let row = sent(&context, &caller, id).await?;
    let delivery = NewDelivery {
        guid: &row.guid,
        app: row.app,
        installation: row.installation,
        repo: row.repo,
        event: &row.event,
        action: row.action.as_deref(),
        payload: &row.payload,
        redelivery: true,
    };
    deliver::enqueue(&context, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
