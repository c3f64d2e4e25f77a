//! The routes that are built. Everything else is answered 501 and noted.

mod apps;
mod checks;
mod commits;
mod contents;
mod issues;
mod people;
mod pulls;
mod refs;
mod repos;
mod statuses;

pub(super) use statuses::latest;

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequest, Request},
    middleware::from_fn_with_state as layer,
    routing::{delete, get, patch, post, put},
};
use http::{Method, Uri};
use serde::de::DeserializeOwned;

use super::{
    Context,
    access::{self, Need},
    answer::Error,
    caller::Caller,
    guard, page, smart_http,
    store::Repo,
};

pub(crate) fn router(context: &Context) -> Router {
    let api = Router::new()
        .route("/app", get(apps::app))
        .route("/app/installations", get(apps::installations))
        .route("/app/installations/{id}", get(apps::installation))
        .route(
            "/app/installations/{id}/access_tokens",
            post(apps::access_token),
        )
        .route("/app/hook/deliveries", get(apps::deliveries))
        .route("/app/hook/deliveries/{id}", get(apps::delivery))
        .route("/app/hook/deliveries/{id}/attempts", post(apps::redeliver))
        .route("/installation/repositories", get(apps::repositories))
        .route("/installation/token", delete(apps::revoke))
        .route(
            "/orgs/{login}/installation",
            get(apps::account_installation),
        )
        .route(
            "/users/{login}/installation",
            get(apps::account_installation),
        )
        .route(
            "/repos/{owner}/{repo}/installation",
            get(apps::repo_installation),
        )
        .route("/user", get(people::me))
        .route("/users/{login}", get(people::user))
        .route("/orgs/{org}", get(people::organization))
        .route("/orgs/{org}/members/{login}", get(people::member))
        .route(
            "/orgs/{org}/public_members/{login}",
            get(people::public_member),
        )
        .merge(of_repositories())
        .fallback(unbuilt)
        .method_not_allowed_fallback(unbuilt)
        .layer(layer(context.clone(), guard::in_turn))
        .layer(layer(context.clone(), guard::like_github));
    Router::new()
        .route("/favicon.ico", get(async || http::StatusCode::NOT_FOUND))
        .route("/{owner}/{repo}/info/refs", get(smart_http::serve))
        .route("/{owner}/{repo}/git-upload-pack", post(smart_http::serve))
        .route("/{owner}/{repo}/git-receive-pack", post(smart_http::serve))
        .merge(page::router().method_not_allowed_fallback(unbuilt))
        .merge(api)
        .layer(axum::middleware::from_fn(page::for_people))
        .layer(layer(context.clone(), guard::clients_only))
        .with_state(context.clone())
}

/// Whether paths of the API or of people's pages begin like this: no account can have that login.
#[must_use]
pub fn is_reserved(login: &str) -> bool {
    const TAKEN: [&str; 8] = [
        "app",
        "apps",
        "installation",
        "orgs",
        "repos",
        "settings",
        "user",
        "users",
    ];
    TAKEN.iter().any(|taken| login.eq_ignore_ascii_case(taken))
}

fn of_repositories() -> Router<Context> {
    let of = |path: &str| format!("/repos/{{owner}}/{{repo}}{path}");
    Router::new()
        .route(&of(""), get(repos::get))
        .route(&of("/forks"), post(repos::fork))
        .route(&of("/collaborators/{login}"), get(repos::collaborator))
        .route(
            &of("/collaborators/{login}/permission"),
            get(repos::permission),
        )
        .route(&of("/branches"), get(refs::branches))
        .route(&of("/branches/{*branch}"), get(refs::branch))
        .route(&of("/git/ref/{*name}"), get(refs::get))
        .route(&of("/git/matching-refs/{*prefix}"), get(refs::matching))
        .route(&of("/git/refs"), post(refs::create))
        .route(
            &of("/git/refs/{*name}"),
            patch(refs::update).delete(refs::delete),
        )
        .route(&of("/git/commits/{sha}"), get(commits::git_commit))
        .route(&of("/commits"), get(commits::list))
        .route(&of("/commits/{*rest}"), get(commits::of))
        .route(&of("/compare/{*range}"), get(commits::compare))
        .route(&of("/contents"), get(contents::root))
        .route(&of("/contents/"), get(contents::root))
        .route(&of("/contents/{*path}"), get(contents::get))
        .route(&of("/statuses/{sha}"), post(statuses::create))
        .route(&of("/check-runs"), post(checks::create))
        .route(
            &of("/check-runs/{id}"),
            get(checks::get).patch(checks::update),
        )
        .route(
            &of("/check-runs/{id}/annotations"),
            get(checks::annotations),
        )
        .route(&of("/check-runs/{id}/rerequest"), post(checks::rerequest))
        .route(&of("/pulls"), get(pulls::list).post(pulls::create))
        .route(&of("/pulls/{number}"), get(pulls::get).patch(pulls::update))
        .route(&of("/pulls/{number}/files"), get(pulls::files))
        .route(&of("/pulls/{number}/commits"), get(pulls::commits))
        .route(
            &of("/pulls/{number}/merge"),
            put(pulls::merge).get(pulls::is_merged),
        )
        .route(&of("/pulls/{number}/reviews"), get(pulls::reviews))
        .route(&of("/issues/{number}"), get(issues::get))
        .route(
            &of("/issues/{number}/comments"),
            get(issues::comments).post(issues::add_comment),
        )
        .route(
            &of("/issues/comments/{id}"),
            get(issues::comment)
                .patch(issues::edit_comment)
                .delete(issues::delete_comment),
        )
        .route(
            &of("/issues/{number}/labels"),
            get(issues::labels).post(issues::add_labels),
        )
        .route(
            &of("/issues/{number}/labels/{name}"),
            delete(issues::remove_label),
        )
        .route(&of("/labels"), get(issues::repo_labels))
}

async fn unbuilt(method: Method, uri: Uri) -> Error {
    Error::Unbuilt(format!("{method} {}", uri.path()))
}

impl Context {
    /// The repository, if the caller may do there what the route needs.
    async fn repo(
        &self,
        caller: &Caller,
        (owner, name): (&str, &str),
        need: Need,
    ) -> Result<Repo, Error> {
        let repo = self
            .store
            .repo_by_name(owner, name)
            .await?
            .ok_or(Error::NotFound)?;
        access::check(&self.store, caller, &repo, need).await?;
        Ok(repo)
    }
}

/// The body as JSON whatever its content type says; none at all is `{}`.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Context> for Input<T> {
    type Rejection = Error;

    async fn from_request(request: Request, context: &Context) -> Result<Input<T>, Error> {
        let body = Bytes::from_request(request, context)
            .await
            .map_err(|_| Error::NotJson)?;
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|_| Error::NotJson)?;
        let input = serde_json::from_value(value)
            .map_err(|error| Error::Unprocessable(format!("Invalid request.\n\n{error}")))?;
        Ok(Input(input))
    }
}
