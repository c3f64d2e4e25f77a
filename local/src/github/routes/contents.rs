//! Files and folders at a commit.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, header};
use serde_json::Value;

use crate::github::{
    Context,
    access::{CONTENTS, Need},
    answer::{Error, Reply, ok},
    caller::Caller,
    paging::Paging,
    render::DEFAULT_BRANCH,
};

/// GitHub gives larger files raw only.
const LARGEST_JSON: u64 = 1024 * 1024;

pub(super) async fn root(
    context: State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    paging: Paging,
) -> Reply {
    get(
        context,
        caller,
        Path((owner, name, String::new())),
        headers,
        paging,
    )
    .await
}

pub(super) async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, path)): Path<(String, String, String)>,
    headers: HeaderMap,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let rev = paging.parameter("ref").unwrap_or(DEFAULT_BRANCH);
    let commit = git.resolve(rev).await?.ok_or(Error::NotFound)?;
    let path = path.trim_matches('/');
    let entry = if path.is_empty() {
        None
    } else {
        Some(git.entry(&commit, path).await?.ok_or(Error::NotFound)?)
    };
    let render = context.render();
    let Some(file) = entry.filter(|entry| entry.kind != "tree") else {
        let entries = git.folder(&commit, path).await?;
        return ok(entries
            .iter()
            .map(|entry| render.content(&repo, rev, entry, None))
            .collect::<Value>());
    };
    if file.kind == "commit" {
        return Err(Error::Unbuilt("contents of a submodule".to_owned()));
    }
    let blob = git.blob(&file.sha).await?;
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
            .map_err(|error| Error::Internal(error.into()));
    }
    if file.size > LARGEST_JSON {
        let message = "This API returns blobs up to 1 MB in size. The requested blob is too large to fetch via the API.";
        return Err(Error::Forbidden(message.to_owned()));
    }
    ok(render.content(&repo, rev, &file, Some(&blob)))
}
