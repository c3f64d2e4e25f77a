//! Pages for people: the targets of GitHub's links. They are small, and have no forms and no
//! secrets.
//!
//! Anybody on the machine may read them. So private repositories are not shown, and a page names
//! the file of a token, which only its owner can read, and not the token.

mod checks;
mod commit;
mod files;
mod markdown;
mod people;
mod pull;
mod repo;

use std::{borrow::Borrow, sync::LazyLock};

use askama::Template;
use axum::{
    Router,
    extract::Request,
    middleware::Next,
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::{
    FakeGithubContext,
    git::BareRepo,
    render::encode_url_path,
    response::{RestError, RestResult},
    store::StoredRepo,
};

const STYLE: &str = include_str!("page/style.css");
/// Updates a page when its content has changed.
const SCRIPT: &str = include_str!("page/live.js");

/// Browsers obey nothing but the two texts above, whatever users wrote.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text| BASE64_STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).expect("plain ASCII")
});

pub(super) fn page_router() -> Router<FakeGithubContext> {
    let of = |path: &str| format!("/{{owner}}/{{repo}}{path}");
    Router::new()
        .route("/", get(people::show_home))
        .route("/apps/{slug}", get(people::show_app_by_slug))
        .route(
            "/settings/installations/{id}",
            get(people::show_installation),
        )
        .route("/{owner}", get(people::show_account))
        .route(&of(""), get(repo::show_repo))
        .route(&of("/branches"), get(repo::show_branches))
        .route(&of("/tags"), get(repo::show_branches))
        .route(&of("/pulls"), get(repo::show_pulls))
        .route(&of("/issues"), get(repo::show_pulls))
        .route(&of("/issues/{number}"), get(pull::redirect_issue))
        .route(&of("/pull/{number}"), get(pull::show_conversation))
        .route(&of("/pull/{number}/checks"), get(pull::show_conversation))
        .route(&of("/pull/{number}/commits"), get(pull::show_pull_commits))
        .route(
            &of("/pull/{number}/commits/{sha}"),
            get(pull::show_pull_commit),
        )
        .route(&of("/pull/{number}/files"), get(pull::show_pull_files))
        .route(&of("/runs/{id}"), get(checks::show_check_run))
        .route(&of("/commits"), get(commit::redirect_to_history))
        .route(&of("/commits/{*rev}"), get(commit::show_history))
        .route(&of("/commit/{sha}"), get(commit::show_commit_page))
        .route(&of("/commit/{sha}/checks"), get(commit::show_commit_page))
        .route(&of("/compare/{*range}"), get(commit::show_comparison))
        .route(&of("/tree/{*rest}"), get(files::show_folder))
        .route(&of("/blob/{*rest}"), get(files::show_file))
        .route(&of("/raw/{*rest}"), get(files::show_raw_file))
}

#[derive(Debug)]
struct HtmlLink {
    label: String,
    href: String,
}

impl HtmlLink {
    fn new(label: impl Into<String>, href: impl Into<String>) -> HtmlLink {
        HtmlLink {
            label: label.into(),
            href: href.into(),
        }
    }
}

/// The parts that every page has.
struct PageLayout {
    style: &'static str,
    script: &'static str,
    /// The links from the start page to the page above this one.
    above: Vec<HtmlLink>,
}

impl PageLayout {
    fn new(above: Vec<HtmlLink>) -> PageLayout {
        PageLayout {
            style: STYLE,
            script: SCRIPT,
            above,
        }
    }

    /// The layout of a page of a repository.
    fn for_repo(repo: &StoredRepo) -> PageLayout {
        PageLayout::new(vec![
            HtmlLink::new(
                &*repo.owner.login,
                format!("/{}", encode_url_path(&repo.owner.login)),
            ),
            HtmlLink::new(&*repo.name, repo_home_path(repo)),
        ])
    }
}

fn repo_home_path(repo: &StoredRepo) -> String {
    format!("/{}", encode_url_path(&repo.full_name()))
}

fn render_page(page: &impl Template) -> RestResult {
    render_page_with_status(StatusCode::OK, page)
}

fn render_page_with_status(status: StatusCode, page: &impl Template) -> RestResult {
    let html = page.render().map_err(anyhow::Error::from)?;
    let mut response = (status, Html(html)).into_response();
    add_security_headers(response.headers_mut());
    Ok(response)
}

fn add_security_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The content of a file as plain text, which browsers show and never obey.
fn plain_text_response(bytes: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (kind, bytes).into_response();
    add_security_headers(response.headers_mut());
    response
}

fn redirect_to(to: &str) -> RestResult {
    Ok(Redirect::to(to).into_response())
}

/// Finds a repository that anybody may read.
async fn find_public_repo(
    context: &FakeGithubContext,
    owner: &str,
    name: &str,
) -> Result<(StoredRepo, BareRepo), RestError> {
    if context.store.find_account_by_login(owner).await?.is_none() {
        // No such account: perhaps a part of GitHub's API that is not implemented.
        return Err(RestError::Unbuilt(format!("GET /{owner}/{name}")));
    }
    let repo = context
        .store
        .find_repo_by_name(owner, name)
        .await?
        .filter(|repo| !repo.private)
        .ok_or(RestError::NotFound)?;
    let git = context.open_bare_repo(&repo);
    Ok((repo, git))
}

#[derive(Template)]
#[template(path = "missing.html")]
struct MissingPage {
    frame: PageLayout,
    path: String,
}

/// Answers 404 to browsers with a page instead of JSON.
pub(super) async fn html_not_found(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let is_person = accept
        .and_then(|kinds| kinds.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/html"));
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let is_missing = matches!(
        response.status(),
        StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED
    );
    if !(is_person && looks && is_missing) {
        return response;
    }
    let frame = PageLayout::new(Vec::new());
    render_page_with_status(StatusCode::NOT_FOUND, &MissingPage { frame, path })
        .unwrap_or_else(axum::response::IntoResponse::into_response)
}

/// The first twelve digits of a commit's hash.
fn short_sha(sha: &str) -> &str {
    sha.get(..12).unwrap_or(sha)
}

/// `1 commit`, `2 commits`.
fn pluralize_count(number: impl Borrow<i64>, thing: &str) -> String {
    let number = *number.borrow();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A time of GitHub's API, for people.
fn format_time(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(
        |_| time.to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
