//! Branches and refs: read, and moved without a push.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::Input;
use crate::github::{
    Context,
    access::{CONTENTS, Need},
    answer::{Error, Reply, created, no_content, ok},
    caller::Caller,
    git::GitRef,
    paging::Paging,
    push,
    render::in_url,
    store::Repo,
};

pub(super) async fn branches(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let refs = context.git(&repo).refs("refs/heads/").await?;
    paging.reply(refs, |found| context.render().short_branch(&repo, found))
}

pub(super) async fn branch(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let sha = git.branch(&branch).await?.ok_or(Error::NotFound)?;
    let render = context.render();
    let in_url = in_url(&branch);
    let api = format!("{}/branches/{in_url}", render.repo_url(&repo));
    ok(json!({
        "name": branch,
        "commit": render.commit(&repo, &git.commit(&sha).await?),
        "_links": { "self": api, "html": format!("{}/tree/{in_url}", render.repo_page(&repo)) },
        "protected": false,
        "protection": { "enabled": false },
        "protection_url": format!("{api}/protection"),
    }))
}

pub(super) async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let found = find(&context, &repo, &found).await?;
    ok(context.render().git_ref(&repo, &found))
}

/// `heads/x` or `refs/heads/x`.
fn full_name(name: &str) -> String {
    format!("refs/{}", name.trim_start_matches("refs/"))
}

async fn find(context: &Context, repo: &Repo, name: &str) -> Result<GitRef, Error> {
    context
        .git(repo)
        .find_ref(&full_name(name))
        .await?
        .ok_or(Error::NotFound)
}

pub(super) async fn matching(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, prefix)): Path<(String, String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let refs = context.git(&repo).refs(&full_name(&prefix)).await?;
    paging.reply(refs, |found| context.render().git_ref(&repo, found))
}

#[derive(Deserialize)]
pub(super) struct NewRef {
    r#ref: Option<String>,
    sha: Option<String>,
}

pub(super) async fn create(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    Input(new): Input<NewRef>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let name = new
        .r#ref
        .ok_or_else(|| Error::field("Reference", "ref", "missing_field"))?;
    if !(name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        || !git.valid_ref(&name).await?
    {
        return Err(Error::Unprocessable(
            "Reference name is not valid".to_owned(),
        ));
    }
    if git.find_ref(&name).await?.is_some() {
        return Err(Error::Unprocessable("Reference already exists".to_owned()));
    }
    let sha = commit(&context, &repo, new.sha.as_deref()).await?;
    let before = git.refs("refs/").await?;
    git.set_ref(&name, &sha).await?;
    push::follow(&context, &repo, &before, caller.account()?).await?;
    created(
        context
            .render()
            .git_ref(&repo, &find(&context, &repo, &name).await?),
    )
}

async fn commit(context: &Context, repo: &Repo, sha: Option<&str>) -> Result<String, Error> {
    let sha = sha.ok_or_else(|| Error::field("Reference", "sha", "missing_field"))?;
    let known = context
        .git(repo)
        .resolve(sha)
        .await?
        .filter(|found| found == sha);
    known.ok_or_else(|| Error::Unprocessable("Object does not exist".to_owned()))
}

#[derive(Deserialize)]
pub(super) struct Change {
    sha: Option<String>,
    #[serde(default)]
    force: bool,
}

pub(super) async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
    Input(change): Input<Change>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let found = writable(&context, &repo, &found).await?;
    let sha = commit(&context, &repo, change.sha.as_deref()).await?;
    if !change.force && !git.is_ancestor(&found.sha, &sha).await? {
        return Err(Error::Unprocessable(
            "Update is not a fast forward".to_owned(),
        ));
    }
    let before = git.refs("refs/").await?;
    git.set_ref(&found.name, &sha).await?;
    push::follow(&context, &repo, &before, caller.account()?).await?;
    ok(context.render().git_ref(&repo, &GitRef { sha, ..found }))
}

pub(super) async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, found)): Path<(String, String, String)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::write(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let found = writable(&context, &repo, &found).await?;
    let before = git.refs("refs/").await?;
    git.delete_ref(&found.name).await?;
    push::follow(&context, &repo, &before, caller.account()?).await?;
    no_content()
}

/// Branches and tags only: those of pull requests are the server's.
async fn writable(context: &Context, repo: &Repo, name: &str) -> Result<GitRef, Error> {
    let found = find(context, repo, name)
        .await
        .map_err(|error| match error {
            Error::NotFound => Error::Unprocessable("Reference does not exist".to_owned()),
            other => other,
        })?;
    if found.name.starts_with("refs/heads/") || found.name.starts_with("refs/tags/") {
        Ok(found)
    } else {
        Err(Error::Unprocessable(
            "Reference cannot be updated".to_owned(),
        ))
    }
}
