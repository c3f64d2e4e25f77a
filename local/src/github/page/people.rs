//! The start page, accounts and Apps.

use askama::Template;
use axum::extract::{Path, State};

use super::{Frame, count, in_url, redirect, show};
use crate::github::{
    Context,
    answer::{Error, Reply},
    store::{Account, App, Installation, Kind, Repo},
};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    repos: Vec<Repo>,
    accounts: Vec<Account>,
    apps: Vec<App>,
}

pub(super) async fn home(State(context): State<Context>) -> Reply {
    let accounts = context.store.accounts().await?;
    let mut repos = Vec::new();
    for account in &accounts {
        repos.extend(public_repos(&context, account).await?);
    }
    show(&Home {
        frame: Frame::new(Vec::new()),
        repos,
        accounts,
        apps: context.store.apps().await?,
    })
}

async fn public_repos(context: &Context, owner: &Account) -> Result<Vec<Repo>, Error> {
    let mut repos = context.store.repos_of(owner.id).await?;
    repos.retain(|repo| !repo.private);
    Ok(repos)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    account: Account,
    /// What it belongs to, or who belongs to it.
    tied: &'static str,
    ties: Vec<Account>,
    token: Option<String>,
    repos: Vec<Repo>,
}

pub(super) async fn account(State(context): State<Context>, Path(login): Path<String>) -> Reply {
    let Some(account) = context.store.account_by_login(&login).await? else {
        // No account, so perhaps a part of the API that is not there.
        return Err(Error::Unbuilt(format!("GET /{login}")));
    };
    if let (Kind::Bot, Some(slug)) = (account.kind, account.login.strip_suffix("[bot]")) {
        return redirect(&format!("/apps/{slug}"));
    }
    let (tied, ties) = match account.kind {
        Kind::Organization => ("Members", context.store.members(account.id).await?),
        _ => ("Member of", context.store.organizations(account.id).await?),
    };
    show(&AccountPage {
        frame: Frame::new(Vec::new()),
        tied,
        ties,
        token: context
            .token_file(&account.login)
            .map(|file| file.display().to_string()),
        repos: public_repos(&context, &account).await?,
        account,
    })
}

#[derive(Template)]
#[template(path = "app.html")]
struct AppPage {
    frame: Frame,
    app: App,
    installations: Vec<Installation>,
}

pub(super) async fn app(State(context): State<Context>, Path(slug): Path<String>) -> Reply {
    let app = context
        .store
        .app_by_slug(&slug)
        .await?
        .ok_or(Error::NotFound)?;
    show_app(&context, app).await
}

async fn show_app(context: &Context, app: App) -> Reply {
    show(&AppPage {
        frame: Frame::new(Vec::new()),
        installations: context.store.installations_of_app(app.id).await?,
        app,
    })
}

/// The page of its App, which lists it.
pub(super) async fn installation(State(context): State<Context>, Path(id): Path<i64>) -> Reply {
    let installation = context
        .store
        .installation(id)
        .await?
        .ok_or(Error::NotFound)?;
    let app = context
        .store
        .app(installation.app)
        .await?
        .ok_or(Error::NotFound)?;
    show_app(&context, app).await
}
