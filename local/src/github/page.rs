//! Pages for people: what GitHub's links lead to, small, without a form and without a secret.
//!
//! Anybody on the machine may look, so private repositories are not shown, and tokens are named by
//! the file they are in, which only their owner can read.

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
    Context,
    answer::{Error, Reply},
    git::Git,
    render::in_url,
    store::Repo,
};

const STYLE: &str = include_str!("page/style.css");
/// Shows what has changed.
const SCRIPT: &str = include_str!("page/live.js");

/// Nothing but the two texts above is obeyed, whatever strangers wrote.
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

pub(super) fn router() -> Router<Context> {
    let of = |path: &str| format!("/{{owner}}/{{repo}}{path}");
    Router::new()
        .route("/", get(people::home))
        .route("/apps/{slug}", get(people::app))
        .route("/settings/installations/{id}", get(people::installation))
        .route("/{owner}", get(people::account))
        .route(&of(""), get(repo::repository))
        .route(&of("/branches"), get(repo::branches))
        .route(&of("/tags"), get(repo::branches))
        .route(&of("/pulls"), get(repo::pulls))
        .route(&of("/issues"), get(repo::pulls))
        .route(&of("/issues/{number}"), get(pull::issue))
        .route(&of("/pull/{number}"), get(pull::conversation))
        .route(&of("/pull/{number}/checks"), get(pull::conversation))
        .route(&of("/pull/{number}/commits"), get(pull::commits))
        .route(&of("/pull/{number}/commits/{sha}"), get(pull::commit))
        .route(&of("/pull/{number}/files"), get(pull::files))
        .route(&of("/runs/{id}"), get(checks::run))
        .route(&of("/commits"), get(commit::default_history))
        .route(&of("/commits/{*rev}"), get(commit::history))
        .route(&of("/commit/{sha}"), get(commit::one))
        .route(&of("/commit/{sha}/checks"), get(commit::one))
        .route(&of("/compare/{*range}"), get(commit::compare))
        .route(&of("/tree/{*rest}"), get(files::tree))
        .route(&of("/blob/{*rest}"), get(files::blob))
        .route(&of("/raw/{*rest}"), get(files::raw))
}

/// A link, and its words.
#[derive(Debug)]
struct Link {
    label: String,
    href: String,
}

impl Link {
    fn new(label: impl Into<String>, href: impl Into<String>) -> Link {
        Link {
            label: label.into(),
            href: href.into(),
        }
    }
}

/// What stands around every page.
struct Frame {
    style: &'static str,
    script: &'static str,
    /// From the start page to the one above this.
    above: Vec<Link>,
}

impl Frame {
    fn new(above: Vec<Link>) -> Frame {
        Frame {
            style: STYLE,
            script: SCRIPT,
            above,
        }
    }

    /// Of a page within a repository.
    fn within(repo: &Repo) -> Frame {
        Frame::new(vec![
            Link::new(
                &*repo.owner.login,
                format!("/{}", in_url(&repo.owner.login)),
            ),
            Link::new(&*repo.name, home_of(repo)),
        ])
    }
}

fn home_of(repo: &Repo) -> String {
    format!("/{}", in_url(&repo.full_name()))
}

fn show(page: &impl Template) -> Reply {
    answer(StatusCode::OK, page)
}

fn answer(status: StatusCode, page: &impl Template) -> Reply {
    let html = page.render().map_err(anyhow::Error::from)?;
    let mut response = (status, Html(html)).into_response();
    secure(response.headers_mut());
    Ok(response)
}

fn secure(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// What a file holds, to be looked at and never obeyed.
fn plain(bytes: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (kind, bytes).into_response();
    secure(response.headers_mut());
    response
}

fn redirect(to: &str) -> Reply {
    Ok(Redirect::to(to).into_response())
}

/// A repository that anybody may look at.
async fn public(context: &Context, owner: &str, name: &str) -> Result<(Repo, Git), Error> {
    if context.store.account_by_login(owner).await?.is_none() {
        // No account, so perhaps a part of the API that is not there.
        return Err(Error::Unbuilt(format!("GET /{owner}/{name}")));
    }
    let repo = context
        .store
        .repo_by_name(owner, name)
        .await?
        .filter(|repo| !repo.private)
        .ok_or(Error::NotFound)?;
    let git = context.git(&repo);
    Ok((repo, git))
}

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing {
    frame: Frame,
    path: String,
}

/// Tells a person with a browser that there is nothing here, in words instead of JSON.
pub(super) async fn for_people(request: Request, next: Next) -> Response {
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
    let frame = Frame::new(Vec::new());
    answer(StatusCode::NOT_FOUND, &Missing { frame, path })
        .unwrap_or_else(axum::response::IntoResponse::into_response)
}

/// The first twelve of a commit's name.
fn short(sha: &str) -> &str {
    sha.get(..12).unwrap_or(sha)
}

/// `1 commit`, `2 commits`.
fn count(number: impl Borrow<i64>, thing: &str) -> String {
    let number = *number.borrow();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// GitHub's times, for people.
fn when(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(
        |_| time.to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
