//! The implemented routes. Everything else is answered 501 and recorded.

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

pub(super) use statuses::latest_by_context;

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
    FakeGithubContext,
    access::{self, RequiredPermission},
    caller::Caller,
    middleware, page,
    response::RestError,
    smart_http,
    store::StoredRepo,
};

pub(crate) fn build_router(context: &FakeGithubContext) -> Router {
    let api = Router::new()
        .route("/app", get(apps::get_app))
        .route("/app/installations", get(apps::list_installations))
        .route("/app/installations/{id}", get(apps::get_installation))
        .route(
            "/app/installations/{id}/access_tokens",
            post(apps::create_access_token),
        )
        .route("/app/hook/deliveries", get(apps::list_deliveries))
        .route("/app/hook/deliveries/{id}", get(apps::get_delivery))
        .route(
            "/app/hook/deliveries/{id}/attempts",
            post(apps::redeliver_delivery),
        )
        .route(
            "/installation/repositories",
            get(apps::list_accessible_repos),
        )
        .route("/installation/token", delete(apps::revoke_access_token))
        .route(
            "/orgs/{login}/installation",
            get(apps::get_account_installation),
        )
        .route(
            "/users/{login}/installation",
            get(apps::get_account_installation),
        )
        .route(
            "/repos/{owner}/{repo}/installation",
            get(apps::get_repo_installation),
        )
        .route("/user", get(people::get_authenticated_user))
        .route("/users/{login}", get(people::get_user))
        .route("/orgs/{org}", get(people::get_org))
        .route("/orgs/{org}/members/{login}", get(people::check_membership))
        .route(
            "/orgs/{org}/public_members/{login}",
            get(people::check_public_membership),
        )
        .merge(repo_routes())
        .fallback(not_implemented)
        .method_not_allowed_fallback(not_implemented)
        .layer(layer(context.clone(), middleware::serialize_writes))
        .layer(layer(context.clone(), middleware::add_github_headers));
    Router::new()
        .route("/favicon.ico", get(async || http::StatusCode::NOT_FOUND))
        .route("/{owner}/{repo}/info/refs", get(smart_http::serve_git))
        .route(
            "/{owner}/{repo}/git-upload-pack",
            post(smart_http::serve_git),
        )
        .route(
            "/{owner}/{repo}/git-receive-pack",
            post(smart_http::serve_git),
        )
        .merge(page::page_router().method_not_allowed_fallback(not_implemented))
        .merge(api)
        .layer(axum::middleware::from_fn(page::html_not_found))
        .layer(layer(context.clone(), middleware::check_host_and_origin))
        .with_state(context.clone())
}

/// Whether paths of the API or of pages begin with this word. No account can have it as login.
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

fn repo_routes() -> Router<FakeGithubContext> {
    let of = |path: &str| format!("/repos/{{owner}}/{{repo}}{path}");
    Router::new()
        .route(&of(""), get(repos::get_repo))
        .route(&of("/forks"), post(repos::create_fork))
        .route(
            &of("/collaborators/{login}"),
            get(repos::check_collaborator),
        )
        .route(
            &of("/collaborators/{login}/permission"),
            get(repos::get_collaborator_permission),
        )
        .route(&of("/branches"), get(refs::list_branches))
        .route(&of("/branches/{*branch}"), get(refs::get_branch))
        .route(&of("/git/ref/{*name}"), get(refs::get_ref))
        .route(
            &of("/git/matching-refs/{*prefix}"),
            get(refs::list_matching_refs),
        )
        .route(&of("/git/refs"), post(refs::create_ref))
        .route(
            &of("/git/refs/{*name}"),
            patch(refs::update_ref).delete(refs::delete_ref),
        )
        .route(&of("/git/commits/{sha}"), get(commits::get_git_commit))
        .route(&of("/commits"), get(commits::list_commits))
        .route(&of("/commits/{*rest}"), get(commits::get_commit_resource))
        .route(&of("/compare/{*range}"), get(commits::compare_commits))
        .route(&of("/contents"), get(contents::get_root_content))
        .route(&of("/contents/"), get(contents::get_root_content))
        .route(&of("/contents/{*path}"), get(contents::get_content))
        .route(&of("/statuses/{sha}"), post(statuses::create_status))
        .route(&of("/check-runs"), post(checks::create_check_run))
        .route(
            &of("/check-runs/{id}"),
            get(checks::get_check_run).patch(checks::update_check_run),
        )
        .route(
            &of("/check-runs/{id}/annotations"),
            get(checks::list_annotations),
        )
        .route(
            &of("/check-runs/{id}/rerequest"),
            post(checks::rerequest_check_run),
        )
        .route(
            &of("/pulls"),
            get(pulls::list_pulls).post(pulls::create_pull),
        )
        .route(
            &of("/pulls/{number}"),
            get(pulls::get_pull).patch(pulls::update_pull),
        )
        .route(&of("/pulls/{number}/files"), get(pulls::list_pull_files))
        .route(
            &of("/pulls/{number}/commits"),
            get(pulls::list_pull_commits),
        )
        .route(
            &of("/pulls/{number}/merge"),
            put(pulls::merge_pull).get(pulls::check_if_merged),
        )
        .route(&of("/pulls/{number}/reviews"), get(pulls::list_reviews))
        .route(&of("/issues/{number}"), get(issues::get_issue))
        .route(
            &of("/issues/{number}/comments"),
            get(issues::list_comments).post(issues::create_comment),
        )
        .route(
            &of("/issues/comments/{id}"),
            get(issues::get_comment)
                .patch(issues::update_comment)
                .delete(issues::delete_comment),
        )
        .route(
            &of("/issues/{number}/labels"),
            get(issues::list_issue_labels).post(issues::add_labels),
        )
        .route(
            &of("/issues/{number}/labels/{name}"),
            delete(issues::remove_label),
        )
        .route(&of("/labels"), get(issues::list_repo_labels))
}

async fn not_implemented(method: Method, uri: Uri) -> RestError {
    RestError::Unbuilt(format!("{method} {}", uri.path()))
}

impl FakeGithubContext {
    /// Finds the repository, if the caller has the permission that the route requires.
    async fn find_repo(
        &self,
        caller: &Caller,
        (owner, name): (&str, &str),
        need: RequiredPermission,
    ) -> Result<StoredRepo, RestError> {
        let repo = self
            .store
            .find_repo_by_name(owner, name)
            .await?
            .ok_or(RestError::NotFound)?;
        access::check_access(&self.store, caller, &repo, need).await?;
        Ok(repo)
    }
}

/// The body as JSON, whatever its content type. An empty body is `{}`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<FakeGithubContext> for JsonBody<T> {
    type Rejection = RestError;

    async fn from_request(
        request: Request,
        context: &FakeGithubContext,
    ) -> Result<JsonBody<T>, RestError> {
        let body = Bytes::from_request(request, context)
            .await
            .map_err(|_| RestError::NotJson)?;
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let value: serde_json::Value =
            serde_json::from_slice(text).map_err(|_| RestError::NotJson)?;
        let input = serde_json::from_value(value)
            .map_err(|error| RestError::Unprocessable(format!("Invalid request.\n\n{error}")))?;
        Ok(JsonBody(input))
    }
}
