//! The start page, accounts and Apps.

use askama::Template;
use axum::extract::{Path, State};

use super::{PageLayout, encode_url_path, pluralize_count, redirect_to, render_page};
use crate::github::{
    FakeGithubContext,
    response::{RestError, RestResult},
    store::{AccountKind, StoredAccount, StoredApp, StoredInstallation, StoredRepo},
};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: PageLayout,
    repos: Vec<StoredRepo>,
    accounts: Vec<StoredAccount>,
    apps: Vec<StoredApp>,
}

pub(super) async fn show_home(State(context): State<FakeGithubContext>) -> RestResult {
    let accounts = context.store.list_accounts().await?;
    let mut repos = Vec::new();
    for account in &accounts {
        repos.extend(list_public_repos(&context, account).await?);
    }
    render_page(&HomePage {
        frame: PageLayout::new(Vec::new()),
        repos,
        accounts,
        apps: context.store.list_apps().await?,
    })
}

async fn list_public_repos(
    context: &FakeGithubContext,
    owner: &StoredAccount,
) -> Result<Vec<StoredRepo>, RestError> {
    let mut repos = context.store.list_repos_of(owner.id).await?;
    repos.retain(|repo| !repo.private);
    Ok(repos)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: PageLayout,
    account: StoredAccount,
    /// The heading of `ties`, which are its organisations or its members.
    tied: &'static str,
    ties: Vec<StoredAccount>,
    token: Option<String>,
    repos: Vec<StoredRepo>,
}

pub(super) async fn show_account(
    State(context): State<FakeGithubContext>,
    Path(login): Path<String>,
) -> RestResult {
    let Some(account) = context.store.find_account_by_login(&login).await? else {
        // No such account: perhaps a part of GitHub's API that is not implemented.
        return Err(RestError::Unbuilt(format!("GET /{login}")));
    };
    if let (AccountKind::Bot, Some(slug)) = (account.kind, account.login.strip_suffix("[bot]")) {
        return redirect_to(&format!("/apps/{slug}"));
    }
    let (tied, ties) = match account.kind {
        AccountKind::Organization => ("Members", context.store.list_members(account.id).await?),
        _ => (
            "Member of",
            context.store.list_organizations(account.id).await?,
        ),
    };
    render_page(&AccountPage {
        frame: PageLayout::new(Vec::new()),
        tied,
        ties,
        token: context
            .find_token_file(&account.login)
            .map(|file| file.display().to_string()),
        repos: list_public_repos(&context, &account).await?,
        account,
    })
}

#[derive(Template)]
#[template(path = "app.html")]
struct AppPage {
    frame: PageLayout,
    app: StoredApp,
    installations: Vec<StoredInstallation>,
}

pub(super) async fn show_app_by_slug(
    State(context): State<FakeGithubContext>,
    Path(slug): Path<String>,
) -> RestResult {
    let app = context
        .store
        .find_app_by_slug(&slug)
        .await?
        .ok_or(RestError::NotFound)?;
    show_app(&context, app).await
}

async fn show_app(context: &FakeGithubContext, app: StoredApp) -> RestResult {
    render_page(&AppPage {
        frame: PageLayout::new(Vec::new()),
        installations: context.store.list_installations_of_app(app.id).await?,
        app,
    })
}

/// Shows the page of its App, which lists it.
pub(super) async fn show_installation(
    State(context): State<FakeGithubContext>,
    Path(id): Path<i64>,
) -> RestResult {
    let installation = context
        .store
        .find_installation(id)
        .await?
        .ok_or(RestError::NotFound)?;
    let app = context
        .store
        .find_app(installation.app)
        .await?
        .ok_or(RestError::NotFound)?;
    show_app(&context, app).await
}
