//! Routes of pull requests.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{CONTENTS, PULLS, RequiredPermission},
    caller::Caller,
    events, merge as merging,
    pagination::Pagination,
    pulls::{self, PullProposal},
    response::{RestError, RestResult, reply_created, reply_json, reply_no_content},
    store::{StoredPull, StoredRepo},
};

/// GitHub's limits for the files and commits of a pull request.
const MOST_FILES: usize = 3000;
const MOST_COMMITS: usize = 250;

type PullRoutePath = Path<(String, String, i64)>;

async fn find_pull(
    context: &FakeGithubContext,
    caller: &Caller,
    target: &PullRoutePath,
    need: RequiredPermission,
) -> Result<(StoredRepo, StoredPull), RestError> {
    let Path((owner, name, number)) = target;
    let repo = context.find_repo(caller, (owner, name), need).await?;
    let pull = pulls::load_pull(context, repo.id, *number).await?;
    Ok((repo, pull))
}

pub(super) async fn list_pulls(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(&caller, (&owner, &name), RequiredPermission::to_read(PULLS))
        .await?;
    let mut found = context.store.list_pulls(repo.id).await?;
    let state = paging.query_parameter("state").unwrap_or("open");
    found.retain(|pull| state == "all" || pull.state.as_str() == state);
    if let Some(base) = paging.query_parameter("base") {
        found.retain(|pull| pull.base_ref == base);
    }
    if let Some(head) = paging.query_parameter("head") {
        found.retain(|pull| format!("{}:{}", pull.head_repo.owner.login, pull.head_ref) == head);
    }
    match paging.query_parameter("sort").unwrap_or("created") {
        "created" => {}
        "updated" => found.sort_by(|a, b| b.updated_at.cmp(&a.updated_at)),
        other => {
            return Err(RestError::Unbuilt(format!(
                "listing pull requests by {other}"
            )));
        }
    }
    if paging.query_parameter("direction") == Some("asc") {
        found.reverse();
    }
    paging.reply_with_page(found, |pull| {
        context.json_renderer().render_simple_pull(pull)
    })
}

#[derive(Deserialize)]
pub(super) struct CreatePullBody {
    title: Option<String>,
    body: Option<String>,
    head: Option<String>,
    base: Option<String>,
    #[serde(default)]
    draft: bool,
}

pub(super) async fn create_pull(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    JsonBody(new): JsonBody<CreatePullBody>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_participate(PULLS),
        )
        .await?;
    let missing = |field: &str| RestError::field_error("PullRequest", field, "missing_field");
    let proposal = PullProposal {
        title: new
            .title
            .as_deref()
            .filter(|title| !title.is_empty())
            .ok_or_else(|| missing("title"))?,
        body: new.body.as_deref(),
        draft: new.draft,
        head: new.head.as_deref().ok_or_else(|| missing("head"))?,
        base: new.base.as_deref().ok_or_else(|| missing("base"))?,
    };
    let pull = pulls::open_pull(&context, &repo, caller.require_account()?, &proposal).await?;
    reply_created(context.json_renderer().render_pull(&pull))
}

pub(super) async fn get_pull(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
) -> RestResult {
    let (_, pull) = find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(PULLS),
    )
    .await?;
    reply_json(context.json_renderer().render_pull(&pull))
}

#[derive(Deserialize)]
pub(super) struct UpdatePullBody {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    base: Option<String>,
}

/// Finds a pull request that the caller may change: its author, or a user who can push.
async fn check_author(
    context: &FakeGithubContext,
    caller: &Caller,
    target: &PullRoutePath,
) -> Result<StoredPull, RestError> {
    let (repo, pull) = find_pull(
        context,
        caller,
        target,
        RequiredPermission::to_participate(PULLS),
    )
    .await?;
    if caller.require_account()?.id != pull.author.id {
        crate::github::access::check_access(
            &context.store,
            caller,
            &repo,
            RequiredPermission::to_write(PULLS),
        )
        .await?;
    }
    Ok(pull)
}

pub(super) async fn update_pull(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
    JsonBody(change): JsonBody<UpdatePullBody>,
) -> RestResult {
    let pull = check_author(&context, &caller, &target).await?;
    let (repo, number) = (pull.repo.id, pull.number);
    let sender = caller.require_account()?;
    let pull = edit_pull(&context, pull, &change, sender).await?;
    match (change.state.as_deref(), pull.state.as_str()) {
        (Some("closed"), "open") => pulls::close_pull(&context, pull, sender).await?,
        (Some("open"), "closed") => pulls::reopen_pull(&context, pull, sender).await?,
        (None | Some("open" | "closed"), _) => {}
        (Some(_), _) => return Err(RestError::field_error("PullRequest", "state", "invalid")),
    }
    reply_json(
        context
            .json_renderer()
            .render_pull(&pulls::load_pull(&context, repo, number).await?),
    )
}

/// Changes title, body and base. The webhook has the old values.
async fn edit_pull(
    context: &FakeGithubContext,
    mut pull: StoredPull,
    change: &UpdatePullBody,
    sender: &crate::github::store::StoredAccount,
) -> Result<StoredPull, RestError> {
    let mut changes = json!({});
    if let Some(title) = change.title.as_ref().filter(|title| **title != pull.title) {
        changes["title"] = json!({"from": std::mem::replace(&mut pull.title, title.clone())});
    }
    if let Some(body) = change
        .body
        .as_ref()
        .filter(|body| Some(*body) != pull.body.as_ref())
    {
        changes["body"] = json!({"from": pull.body.replace(body.clone()).unwrap_or_default()});
    }
    if let Some(base) = change.base.as_ref().filter(|base| **base != pull.base_ref) {
        let tip = context
            .open_bare_repo(&pull.repo)
            .find_branch_tip(base)
            .await?;
        let tip = tip.ok_or_else(|| RestError::field_error("PullRequest", "base", "invalid"))?;
        let base_ref = std::mem::replace(&mut pull.base_ref, base.clone());
        let base_sha = std::mem::replace(&mut pull.base_sha, tip);
        changes["base"] = json!({"ref": {"from": base_ref}, "sha": {"from": base_sha}});
        pulls::refresh_pull(context, &mut pull).await?;
    }
    if changes
        .as_object()
        .is_some_and(|changes| !changes.is_empty())
    {
        context.store.save_pull(&pull).await?;
        pull = pulls::load_pull(context, pull.repo.id, pull.number).await?;
        events::emit_pull_request(
            context,
            &pull,
            sender,
            "edited",
            json!({"changes": changes}),
        )
        .await?;
    }
    Ok(pull)
}

pub(super) async fn list_pull_files(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
    paging: Pagination,
) -> RestResult {
    let (repo, pull) = find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(PULLS),
    )
    .await?;
    let git = context.open_bare_repo(&repo);
    let from = git
        .find_merge_base(&pull.base_sha, &pull.head_sha)
        .await?
        .unwrap_or_else(|| pull.base_sha.clone());
    let mut files = git.diff_files(&from, &pull.head_sha).await?;
    files.truncate(MOST_FILES);
    paging.reply_with_page(files, |file| {
        context
            .json_renderer()
            .render_file(&repo, &pull.head_sha, file)
    })
}

pub(super) async fn list_pull_commits(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
    paging: Pagination,
) -> RestResult {
    let (repo, pull) = find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(PULLS),
    )
    .await?;
    let range = format!("{}..{}", pull.base_sha, pull.head_sha);
    let mut commits = context
        .open_bare_repo(&repo)
        .list_commits(&range, MOST_COMMITS)
        .await?;
    commits.reverse();
    paging.reply_with_page(commits, |commit| {
        context.json_renderer().render_commit(&repo, commit)
    })
}

/// Nobody can review here, so the list is empty.
pub(super) async fn list_reviews(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
    paging: Pagination,
) -> RestResult {
    find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(PULLS),
    )
    .await?;
    paging.reply_with_page(Vec::<()>::new(), |()| json!({}))
}

pub(super) async fn check_if_merged(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
) -> RestResult {
    let (_, pull) = find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(PULLS),
    )
    .await?;
    if pull.is_merged() {
        reply_no_content()
    } else {
        Err(RestError::NotFound)
    }
}

pub(super) async fn merge_pull(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: PullRoutePath,
    JsonBody(wish): JsonBody<merging::MergePullBody>,
) -> RestResult {
    let (_, pull) = find_pull(
        &context,
        &caller,
        &target,
        RequiredPermission::to_write(CONTENTS),
    )
    .await?;
    let sha = merging::merge_pull(&context, pull, caller.require_account()?, &wish).await?;
    reply_json(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}))
}
