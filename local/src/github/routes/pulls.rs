//! Pull requests.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::Input;
use crate::github::{
    Context,
    access::{CONTENTS, Need, PULLS},
    answer::{Error, Reply, created, no_content, ok},
    caller::Caller,
    events, merge as merging,
    paging::Paging,
    pulls::{self, Proposal},
    store::{Pull, Repo},
};

/// GitHub shows no more files and commits of a pull request.
const MOST_FILES: usize = 3000;
const MOST_COMMITS: usize = 250;

type Target = Path<(String, String, i64)>;

async fn find(
    context: &Context,
    caller: &Caller,
    target: &Target,
    need: Need,
) -> Result<(Repo, Pull), Error> {
    let Path((owner, name, number)) = target;
    let repo = context.repo(caller, (owner, name), need).await?;
    let pull = pulls::load(context, repo.id, *number).await?;
    Ok((repo, pull))
}

pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(PULLS))
        .await?;
    let mut found = context.store.pulls(repo.id).await?;
    let state = paging.parameter("state").unwrap_or("open");
    found.retain(|pull| state == "all" || pull.state.name() == state);
    if let Some(base) = paging.parameter("base") {
        found.retain(|pull| pull.base_ref == base);
    }
    if let Some(head) = paging.parameter("head") {
        found.retain(|pull| format!("{}:{}", pull.head_repo.owner.login, pull.head_ref) == head);
    }
    match paging.parameter("sort").unwrap_or("created") {
        "created" => {}
        "updated" => found.sort_by(|a, b| b.updated_at.cmp(&a.updated_at)),
        other => return Err(Error::Unbuilt(format!("listing pull requests by {other}"))),
    }
    if paging.parameter("direction") == Some("asc") {
        found.reverse();
    }
    paging.reply(found, |pull| context.render().simple_pull(pull))
}

#[derive(Deserialize)]
pub(super) struct New {
    title: Option<String>,
    body: Option<String>,
    head: Option<String>,
    base: Option<String>,
    #[serde(default)]
    draft: bool,
}

pub(super) async fn create(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    Input(new): Input<New>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::take_part(PULLS))
        .await?;
    let missing = |field: &str| Error::field("PullRequest", field, "missing_field");
    let proposal = Proposal {
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
    let pull = pulls::open(&context, &repo, caller.account()?, &proposal).await?;
    created(context.render().pull(&pull))
}

pub(super) async fn get(State(context): State<Context>, caller: Caller, target: Target) -> Reply {
    let (_, pull) = find(&context, &caller, &target, Need::read(PULLS)).await?;
    ok(context.render().pull(&pull))
}

#[derive(Deserialize)]
pub(super) struct Change {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    base: Option<String>,
}

/// The author may change what is theirs; for everything else one needs to be able to push.
async fn check_author(context: &Context, caller: &Caller, target: &Target) -> Result<Pull, Error> {
    let (repo, pull) = find(context, caller, target, Need::take_part(PULLS)).await?;
    if caller.account()?.id != pull.author.id {
        crate::github::access::check(&context.store, caller, &repo, Need::write(PULLS)).await?;
    }
    Ok(pull)
}

pub(super) async fn update(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    Input(change): Input<Change>,
) -> Reply {
    let pull = check_author(&context, &caller, &target).await?;
    let (repo, number) = (pull.repo.id, pull.number);
    let sender = caller.account()?;
    let pull = edit(&context, pull, &change, sender).await?;
    match (change.state.as_deref(), pull.state.name()) {
        (Some("closed"), "open") => pulls::close(&context, pull, sender).await?,
        (Some("open"), "closed") => pulls::reopen(&context, pull, sender).await?,
        (None | Some("open" | "closed"), _) => {}
        (Some(_), _) => return Err(Error::field("PullRequest", "state", "invalid")),
    }
    ok(context
        .render()
        .pull(&pulls::load(&context, repo, number).await?))
}

/// Title, body and base; Apps are told of what was there before.
async fn edit(
    context: &Context,
    mut pull: Pull,
    change: &Change,
    sender: &crate::github::store::Account,
) -> Result<Pull, Error> {
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
        let tip = context.git(&pull.repo).branch(base).await?;
        let tip = tip.ok_or_else(|| Error::field("PullRequest", "base", "invalid"))?;
        let base_ref = std::mem::replace(&mut pull.base_ref, base.clone());
        let base_sha = std::mem::replace(&mut pull.base_sha, tip);
        changes["base"] = json!({"ref": {"from": base_ref}, "sha": {"from": base_sha}});
        pulls::refresh(context, &mut pull).await?;
    }
    if changes
        .as_object()
        .is_some_and(|changes| !changes.is_empty())
    {
        context.store.save_pull(&pull).await?;
        pull = pulls::load(context, pull.repo.id, pull.number).await?;
        events::pull_request(
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

pub(super) async fn files(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    paging: Paging,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::read(PULLS)).await?;
    let git = context.git(&repo);
    let from = git
        .merge_base(&pull.base_sha, &pull.head_sha)
        .await?
        .unwrap_or_else(|| pull.base_sha.clone());
    let mut files = git.changes(&from, &pull.head_sha).await?;
    files.truncate(MOST_FILES);
    paging.reply(files, |file| {
        context.render().file(&repo, &pull.head_sha, file)
    })
}

pub(super) async fn commits(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    paging: Paging,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::read(PULLS)).await?;
    let range = format!("{}..{}", pull.base_sha, pull.head_sha);
    let mut commits = context.git(&repo).log(&range, MOST_COMMITS).await?;
    commits.reverse();
    paging.reply(commits, |commit| context.render().commit(&repo, commit))
}

/// Nobody can review here, so there is none to show.
pub(super) async fn reviews(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    paging: Paging,
) -> Reply {
    find(&context, &caller, &target, Need::read(PULLS)).await?;
    paging.reply(Vec::<()>::new(), |()| json!({}))
}

pub(super) async fn is_merged(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
) -> Reply {
    let (_, pull) = find(&context, &caller, &target, Need::read(PULLS)).await?;
    if pull.merged() {
        no_content()
    } else {
        Err(Error::NotFound)
    }
}

pub(super) async fn merge(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    Input(wish): Input<merging::Wish>,
) -> Reply {
    let (_, pull) = find(&context, &caller, &target, Need::write(CONTENTS)).await?;
    let sha = merging::merge(&context, pull, caller.account()?, &wish).await?;
    ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}))
}
