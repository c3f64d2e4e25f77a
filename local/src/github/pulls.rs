//! The lifecycle of pull requests: open, move head or base, close, reopen.
//!
//! Keeps `refs/pull/N/head` and `refs/pull/N/merge` of the base repository up to date. Merging is
//! in `merge`.

use serde_json::json;

use super::{
    FakeGithubContext, events,
    git::{BareRepo, GitSignature, MergeTreeResult},
    response::RestError,
    store::{NewPull, PullState, StoredAccount, StoredPull, StoredRepo, current_timestamp},
};

/// A pull request to open.
pub(crate) struct PullProposal<'a> {
    pub(crate) title: &'a str,
    pub(crate) body: Option<&'a str>,
    pub(crate) draft: bool,
    /// `branch`, or `owner:branch` of a fork.
    pub(crate) head: &'a str,
    pub(crate) base: &'a str,
}

pub(crate) async fn open_pull(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    author: &StoredAccount,
    proposal: &PullProposal<'_>,
) -> Result<StoredPull, RestError> {
    let invalid = |field| RestError::field_error("PullRequest", field, "invalid");
    let (head_repo, head_ref) = resolve_head(context, repo, proposal.head)
        .await?
        .ok_or_else(|| invalid("head"))?;
    let head_git = context.open_bare_repo(&head_repo);
    let head_sha = head_git
        .find_branch_tip(head_ref)
        .await?
        .ok_or_else(|| invalid("head"))?;
    let base_sha = context
        .open_bare_repo(repo)
        .find_branch_tip(proposal.base)
        .await?
        .ok_or_else(|| invalid("base"))?;
    let label = format!("{}:{head_ref}", head_repo.owner.login);
    let rivals = context
        .store
        .list_open_pulls_from(head_repo.id, head_ref)
        .await?;
    if rivals
        .iter()
        .any(|rival| rival.repo.id == repo.id && rival.base_ref == proposal.base)
    {
        return Err(RestError::custom_error(
            "PullRequest",
            &format!("A pull request already exists for {label}."),
        ));
    }
    if head_git.is_ancestor(&head_sha, &base_sha).await? {
        let message = format!("No commits between {} and {}", proposal.base, proposal.head);
        return Err(RestError::custom_error("PullRequest", &message));
    }
    let new = NewPull {
        repo: repo.id,
        author: author.id,
        title: proposal.title,
        body: proposal.body,
        draft: proposal.draft,
        base_ref: proposal.base,
        base_sha: &base_sha,
        head_repo: head_repo.id,
        head_ref,
        head_sha: &head_sha,
    };
    let number = context.store.add_pull(&new).await?;
    let mut pull = load_pull(context, repo.id, number).await?;
    fetch_head_ref(context, &pull).await?;
    refresh_pull(context, &mut pull).await?;
    let pull = load_pull(context, repo.id, number).await?;
    events::emit_pull_request(context, &pull, author, "opened", json!({})).await?;
    Ok(pull)
}

/// Finds the repository and branch that `head` names for `repo`.
async fn resolve_head<'a>(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    head: &'a str,
) -> Result<Option<(StoredRepo, &'a str)>, RestError> {
    let Some((owner, branch)) = head.split_once(':') else {
        return Ok(Some((repo.clone(), head)));
    };
    if owner.eq_ignore_ascii_case(&repo.owner.login) {
        return Ok(Some((repo.clone(), branch)));
    }
    let Some(account) = context.store.find_account_by_login(owner).await? else {
        return Ok(None);
    };
    let forks = context.store.list_repos_of(account.id).await?;
    Ok(forks
        .into_iter()
        .find(|fork| fork.fork_of == Some(repo.id))
        .map(|fork| (fork, branch)))
}

pub(crate) async fn load_pull(
    context: &FakeGithubContext,
    repo: i64,
    number: i64,
) -> Result<StoredPull, RestError> {
    context
        .store
        .find_pull(repo, number)
        .await?
        .ok_or(RestError::NotFound)
}

async fn fetch_head_ref(context: &FakeGithubContext, pull: &StoredPull) -> anyhow::Result<()> {
    let source = format!("refs/heads/{}", pull.head_ref);
    let target = format!("refs/pull/{}/head", pull.number);
    context
        .open_bare_repo(&pull.repo)
        .fetch_ref(&context.open_bare_repo(&pull.head_repo), &source, &target)
        .await
}

/// Computes what depends on head and base, and stores it.
pub(crate) async fn refresh_pull(
    context: &FakeGithubContext,
    pull: &mut StoredPull,
) -> anyhow::Result<()> {
    let git = context.open_bare_repo(&pull.repo);
    pull.sizes = git
        .compute_pull_stats(&pull.base_sha, &pull.head_sha)
        .await?;
    let base = git
        .find_branch_tip(&pull.base_ref)
        .await?
        .unwrap_or_else(|| pull.base_sha.clone());
    match create_test_merge(&git, &base, &pull.head_sha).await? {
        Some(sha) => {
            git.set_ref(&format!("refs/pull/{}/merge", pull.number), &sha)
                .await?;
            pull.merge_sha = Some(sha);
            pull.mergeable = Some(true);
        }
        None => {
            pull.merge_sha = None;
            pull.mergeable = Some(false);
        }
    }
    context.store.save_pull(pull).await?;
    Ok(())
}

/// Makes the test merge. `None` if there is a conflict.
async fn create_test_merge(
    git: &BareRepo,
    base: &str,
    head: &str,
) -> anyhow::Result<Option<String>> {
    let MergeTreeResult::Tree(tree) = git.merge_tree(base, head).await? else {
        return Ok(None);
    };
    let github = GitSignature {
        name: "GitHub".to_owned(),
        email: "noreply@github.com".to_owned(),
        date: current_timestamp(),
    };
    let message = format!("Merge {head} into {base}");
    Ok(Some(
        git.commit_tree(&tree, &[base, head], &message, &github)
            .await?,
    ))
}

/// After a branch moved or was deleted: updates or closes the open pull requests from it.
pub(crate) async fn on_head_moved(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    branch: &str,
    tip: Option<&str>,
    pusher: &StoredAccount,
) -> anyhow::Result<()> {
    for mut pull in context.store.list_open_pulls_from(repo.id, branch).await? {
        let Some(tip) = tip else {
            close_pull(context, pull, pusher).await?;
            continue;
        };
        let before = std::mem::replace(&mut pull.head_sha, tip.to_owned());
        let base = context
            .open_bare_repo(&pull.repo)
            .find_branch_tip(&pull.base_ref)
            .await?;
        pull.base_sha = base.unwrap_or(pull.base_sha);
        fetch_head_ref(context, &pull).await?;
        refresh_pull(context, &mut pull).await?;
        let more = json!({"before": before, "after": tip});
        events::emit_pull_request(context, &pull, pusher, "synchronize", more).await?;
    }
    Ok(())
}

/// Computes anew whether pull requests into this branch can be merged. Sends no webhook.
pub(crate) async fn on_base_moved(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    branch: &str,
) -> anyhow::Result<()> {
    for mut pull in context.store.list_open_pulls_into(repo.id, branch).await? {
        refresh_pull(context, &mut pull).await?;
    }
    Ok(())
}

pub(crate) async fn close_pull(
    context: &FakeGithubContext,
    mut pull: StoredPull,
    sender: &StoredAccount,
) -> anyhow::Result<()> {
    pull.state = PullState::Closed;
    pull.closed_at = Some(current_timestamp());
    context.store.save_pull(&pull).await?;
    events::emit_pull_request(context, &pull, sender, "closed", json!({})).await
}

/// Reopens a closed pull request, with what happened to its branch in the meantime.
pub(crate) async fn reopen_pull(
    context: &FakeGithubContext,
    mut pull: StoredPull,
    sender: &StoredAccount,
) -> Result<(), RestError> {
    let head = context
        .open_bare_repo(&pull.head_repo)
        .find_branch_tip(&pull.head_ref)
        .await?;
    let Some(head) = head.filter(|_| !pull.is_merged()) else {
        return Err(RestError::custom_error(
            "PullRequest",
            "state cannot be changed. The pull request cannot be reopened.",
        ));
    };
    pull.state = PullState::Open;
    pull.closed_at = None;
    pull.head_sha = head;
    fetch_head_ref(context, &pull).await?;
    refresh_pull(context, &mut pull).await?;
    events::emit_pull_request(context, &pull, sender, "reopened", json!({})).await?;
    Ok(())
}
