//! A pull request's life: opened, its head and base move, closed.
//!
//! `refs/pull/N/head` and `refs/pull/N/merge` of the base repository follow. Merging is `merge`.

use serde_json::json;

use super::{
    Context,
    answer::Error,
    events,
    git::{Git, Joined, Person},
    store::{Account, NewPull, Pull, PullState, Repo, now},
};

/// What somebody asks to be merged, and where.
pub(crate) struct Proposal<'a> {
    pub(crate) title: &'a str,
    pub(crate) body: Option<&'a str>,
    pub(crate) draft: bool,
    /// `branch`, or `owner:branch` of a fork.
    pub(crate) head: &'a str,
    pub(crate) base: &'a str,
}

pub(crate) async fn open(
    context: &Context,
    repo: &Repo,
    author: &Account,
    proposal: &Proposal<'_>,
) -> Result<Pull, Error> {
    let invalid = |field| Error::field("PullRequest", field, "invalid");
    let (head_repo, head_ref) = head_of(context, repo, proposal.head)
        .await?
        .ok_or_else(|| invalid("head"))?;
    let head_git = context.git(&head_repo);
    let head_sha = head_git
        .branch(head_ref)
        .await?
        .ok_or_else(|| invalid("head"))?;
    let base_sha = context
        .git(repo)
        .branch(proposal.base)
        .await?
        .ok_or_else(|| invalid("base"))?;
    let label = format!("{}:{head_ref}", head_repo.owner.login);
    let rivals = context
        .store
        .open_pulls_from(head_repo.id, head_ref)
        .await?;
    if rivals
        .iter()
        .any(|rival| rival.repo.id == repo.id && rival.base_ref == proposal.base)
    {
        return Err(Error::custom(
            "PullRequest",
            &format!("A pull request already exists for {label}."),
        ));
    }
    if head_git.is_ancestor(&head_sha, &base_sha).await? {
        let message = format!("No commits between {} and {}", proposal.base, proposal.head);
        return Err(Error::custom("PullRequest", &message));
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
    let mut pull = load(context, repo.id, number).await?;
    head_git_to_base(context, &pull).await?;
    refresh(context, &mut pull).await?;
    let pull = load(context, repo.id, number).await?;
    events::pull_request(context, &pull, author, "opened", json!({})).await?;
    Ok(pull)
}

/// The repository and branch that `head` names, seen from `repo`.
async fn head_of<'a>(
    context: &Context,
    repo: &Repo,
    head: &'a str,
) -> Result<Option<(Repo, &'a str)>, Error> {
    let Some((owner, branch)) = head.split_once(':') else {
        return Ok(Some((repo.clone(), head)));
    };
    if owner.eq_ignore_ascii_case(&repo.owner.login) {
        return Ok(Some((repo.clone(), branch)));
    }
    let Some(account) = context.store.account_by_login(owner).await? else {
        return Ok(None);
    };
    let forks = context.store.repos_of(account.id).await?;
    Ok(forks
        .into_iter()
        .find(|fork| fork.fork_of == Some(repo.id))
        .map(|fork| (fork, branch)))
}

pub(crate) async fn load(context: &Context, repo: i64, number: i64) -> Result<Pull, Error> {
    context
        .store
        .pull(repo, number)
        .await?
        .ok_or(Error::NotFound)
}

async fn head_git_to_base(context: &Context, pull: &Pull) -> anyhow::Result<()> {
    let source = format!("refs/heads/{}", pull.head_ref);
    let target = format!("refs/pull/{}/head", pull.number);
    context
        .git(&pull.repo)
        .take(&context.git(&pull.head_repo), &source, &target)
        .await
}

/// Works out anew what depends on head and base, and stores it.
pub(crate) async fn refresh(context: &Context, pull: &mut Pull) -> anyhow::Result<()> {
    let git = context.git(&pull.repo);
    pull.sizes = git.sizes(&pull.base_sha, &pull.head_sha).await?;
    let base = git
        .branch(&pull.base_ref)
        .await?
        .unwrap_or_else(|| pull.base_sha.clone());
    match test_merge(&git, &base, &pull.head_sha).await? {
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

/// The merge as it would be; `None` for a conflict.
async fn test_merge(git: &Git, base: &str, head: &str) -> anyhow::Result<Option<String>> {
    let Joined::Tree(tree) = git.join(base, head).await? else {
        return Ok(None);
    };
    let github = Person {
        name: "GitHub".to_owned(),
        email: "noreply@github.com".to_owned(),
        date: now(),
    };
    let message = format!("Merge {head} into {base}");
    Ok(Some(
        git.commit_tree(&tree, &[base, head], &message, &github)
            .await?,
    ))
}

/// A branch has moved, or is gone: the open pull requests from it follow, or close.
pub(crate) async fn head_moved(
    context: &Context,
    repo: &Repo,
    branch: &str,
    tip: Option<&str>,
    pusher: &Account,
) -> anyhow::Result<()> {
    for mut pull in context.store.open_pulls_from(repo.id, branch).await? {
        let Some(tip) = tip else {
            close(context, pull, pusher).await?;
            continue;
        };
        let before = std::mem::replace(&mut pull.head_sha, tip.to_owned());
        let base = context.git(&pull.repo).branch(&pull.base_ref).await?;
        pull.base_sha = base.unwrap_or(pull.base_sha);
        head_git_to_base(context, &pull).await?;
        refresh(context, &mut pull).await?;
        let more = json!({"before": before, "after": tip});
        events::pull_request(context, &pull, pusher, "synchronize", more).await?;
    }
    Ok(())
}

/// Whether pull requests into this branch can be merged is worked out anew; nobody is told.
pub(crate) async fn base_moved(context: &Context, repo: &Repo, branch: &str) -> anyhow::Result<()> {
    for mut pull in context.store.open_pulls_into(repo.id, branch).await? {
        refresh(context, &mut pull).await?;
    }
    Ok(())
}

pub(crate) async fn close(
    context: &Context,
    mut pull: Pull,
    sender: &Account,
) -> anyhow::Result<()> {
    pull.state = PullState::Closed;
    pull.closed_at = Some(now());
    context.store.save_pull(&pull).await?;
    events::pull_request(context, &pull, sender, "closed", json!({})).await
}

/// Opens a closed one again. What happened to its branch in the meantime is taken in.
pub(crate) async fn reopen(
    context: &Context,
    mut pull: Pull,
    sender: &Account,
) -> Result<(), Error> {
    let head = context.git(&pull.head_repo).branch(&pull.head_ref).await?;
    let Some(head) = head.filter(|_| !pull.merged()) else {
        return Err(Error::custom(
            "PullRequest",
            "state cannot be changed. The pull request cannot be reopened.",
        ));
    };
    pull.state = PullState::Open;
    pull.closed_at = None;
    pull.head_sha = head;
    head_git_to_base(context, &pull).await?;
    refresh(context, &mut pull).await?;
    events::pull_request(context, &pull, sender, "reopened", json!({})).await?;
    Ok(())
}
