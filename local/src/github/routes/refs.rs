//! Routes of branches and refs: read, create, update and delete without a push.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{CONTENTS, RequiredPermission},
    caller::Caller,
    git::GitRef,
    pagination::Pagination,
    push,
    render::encode_url_path,
    response::{RestError, RestResult, reply_created, reply_json, reply_no_content},
    store::StoredRepo,
};

pub(super) async fn list_branches(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let refs = context
        .open_bare_repo(&repo)
        .list_refs("refs/heads/")
        .await?;
    paging.reply_with_page(refs, |found| {
        context.json_renderer().render_short_branch(&repo, found)
    })
}

pub(super) async fn get_branch(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let sha = git
        .find_branch_tip(&branch)
        .await?
        .ok_or(RestError::NotFound)?;
    let render = context.json_renderer();
    let in_url = encode_url_path(&branch);
    let api = format!("{}/branches/{in_url}", render.repo_url(&repo));
    reply_json(json!({
        "name": branch,
        "commit": render.render_commit(&repo, &git.read_commit(&sha).await?),
        "_links": { "self": api, "html": format!("{}/tree/{in_url}", render.repo_html_url(&repo)) },
        "protected": false,
        "protection": { "enabled": false },
        "protection_url": format!("{api}/protection"),
    }))
}

pub(super) async fn get_ref(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let found = find_ref(&context, &repo, &found).await?;
    reply_json(context.json_renderer().render_git_ref(&repo, &found))
}

/// Accepts `heads/x` and `refs/heads/x`.
fn full_ref_name(name: &str) -> String {
    format!("refs/{}", name.trim_start_matches("refs/"))
}

async fn find_ref(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    name: &str,
) -> Result<GitRef, RestError> {
    context
        .open_bare_repo(repo)
        .find_ref(&full_ref_name(name))
        .await?
        .ok_or(RestError::NotFound)
}

pub(super) async fn list_matching_refs(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, prefix)): Path<(String, String, String)>,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let refs = context
        .open_bare_repo(&repo)
        .list_refs(&full_ref_name(&prefix))
        .await?;
    paging.reply_with_page(refs, |found| {
        context.json_renderer().render_git_ref(&repo, found)
    })
}

#[derive(Deserialize)]
pub(super) struct CreateRefBody {
    r#ref: Option<String>,
    sha: Option<String>,
}

pub(super) async fn create_ref(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    JsonBody(new): JsonBody<CreateRefBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let name = new
        .r#ref
        .ok_or_else(|| RestError::field_error("Reference", "ref", "missing_field"))?;
    if !(name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        || !git.is_valid_ref(&name).await?
    {
        return Err(RestError::Unprocessable(
            "Reference name is not valid".to_owned(),
        ));
    }
    if git.find_ref(&name).await?.is_some() {
        return Err(RestError::Unprocessable(
            "Reference already exists".to_owned(),
        ));
    }
    let sha = require_commit(&context, &repo, new.sha.as_deref()).await?;
    let before = git.list_refs("refs/").await?;
    git.set_ref(&name, &sha).await?;
    push::process_ref_updates(&context, &repo, &before, caller.require_account()?).await?;
    reply_created(
        context
            .json_renderer()
            .render_git_ref(&repo, &find_ref(&context, &repo, &name).await?),
    )
}

async fn require_commit(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sha: Option<&str>,
) -> Result<String, RestError> {
    let sha = sha.ok_or_else(|| RestError::field_error("Reference", "sha", "missing_field"))?;
    let known = context
        .open_bare_repo(repo)
        .resolve_commit(sha)
        .await?
        .filter(|found| found == sha);
    known.ok_or_else(|| RestError::Unprocessable("Object does not exist".to_owned()))
}

#[derive(Deserialize)]
pub(super) struct UpdateRefBody {
    sha: Option<String>,
    #[serde(default)]
    force: bool,
}

pub(super) async fn update_ref(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
    JsonBody(change): JsonBody<UpdateRefBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let found = find_writable_ref(&context, &repo, &found).await?;
    let sha = require_commit(&context, &repo, change.sha.as_deref()).await?;
    if !change.force && !git.is_ancestor(&found.sha, &sha).await? {
        return Err(RestError::Unprocessable(
            "Update is not a fast forward".to_owned(),
        ));
    }
    let before = git.list_refs("refs/").await?;
    git.set_ref(&found.name, &sha).await?;
    push::process_ref_updates(&context, &repo, &before, caller.require_account()?).await?;
    reply_json(
        context
            .json_renderer()
            .render_git_ref(&repo, &GitRef { sha, ..found }),
    )
}

pub(super) async fn delete_ref(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_write(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let found = find_writable_ref(&context, &repo, &found).await?;
    let before = git.list_refs("refs/").await?;
    git.delete_ref(&found.name).await?;
    push::process_ref_updates(&context, &repo, &before, caller.require_account()?).await?;
    reply_no_content()
}

/// Only branches and tags: refs of pull requests belong to the server.
async fn find_writable_ref(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    name: &str,
) -> Result<GitRef, RestError> {
    let found = find_ref(context, repo, name)
        .await
        .map_err(|error| match error {
            RestError::NotFound => RestError::Unprocessable("Reference does not exist".to_owned()),
            other => other,
        })?;
    if found.name.starts_with("refs/heads/") || found.name.starts_with("refs/tags/") {
        Ok(found)
    } else {
        Err(RestError::Unprocessable(
            "Reference cannot be updated".to_owned(),
        ))
    }
}
