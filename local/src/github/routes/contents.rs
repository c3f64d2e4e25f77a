//! Routes of files and folders at a commit.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, header};
use serde_json::Value;

use crate::github::{
    FakeGithubContext,
    access::{CONTENTS, RequiredPermission},
    caller::Caller,
    pagination::Pagination,
    render::DEFAULT_BRANCH,
    response::{RestError, RestResult, reply_json},
};

/// GitHub returns larger files only raw.
const LARGEST_JSON: u64 = 1024 * 1024;

pub(super) async fn get_root_content(
    context: State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    paging: Pagination,
) -> RestResult {
    get_content(
        context,
        caller,
        Path((owner, name, String::new())),
        headers,
        paging,
    )
    .await
}

pub(super) async fn get_content(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, path)): Path<(String, String, String)>,
    headers: HeaderMap,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let rev = paging.query_parameter("ref").unwrap_or(DEFAULT_BRANCH);
    let commit = git.resolve_commit(rev).await?.ok_or(RestError::NotFound)?;
    let path = path.trim_matches('/');
    let entry = if path.is_empty() {
        None
    } else {
        Some(
            git.find_entry(&commit, path)
                .await?
                .ok_or(RestError::NotFound)?,
        )
    };
    let render = context.json_renderer();
    let Some(file) = entry.filter(|entry| entry.kind != "tree") else {
        let entries = git.list_folder(&commit, path).await?;
        return reply_json(
            entries
                .iter()
                .map(|entry| render.render_content(&repo, rev, entry, None))
                .collect::<Value>(),
        );
    };
    if file.kind == "commit" {
        return Err(RestError::Unbuilt("contents of a submodule".to_owned()));
    }
    let blob = git.read_blob(&file.sha).await?;
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    if accepts.contains(".raw") {
        let response = Response::builder().header(
            header::CONTENT_TYPE,
            "application/vnd.github.raw; charset=utf-8",
        );
        return response
            .body(Body::from(blob))
            .map_err(|error| RestError::Internal(error.into()));
    }
    if file.size > LARGEST_JSON {
        let message = "This API returns blobs up to 1 MB in size. The requested blob is too large to fetch via the API.";
        return Err(RestError::Forbidden(message.to_owned()));
    }
    reply_json(render.render_content(&repo, rev, &file, Some(&blob)))
}
