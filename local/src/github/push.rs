//! Processes moved refs: sends webhooks and updates pull requests.
//!
//! It does not matter what moved them: a push, a merge, or REST.

use serde_json::{Value, json};

use super::{
    FakeGithubContext, events,
    git::{ChangedPaths, GitCommit, GitRef, GitSignature, ZERO_SHA},
    pulls,
    render::DEFAULT_BRANCH,
    store::{StoredAccount, StoredRepo},
};

/// GitHub lists no more commits than this in a push event.
const MOST_COMMITS: usize = 2048;

/// A ref before and after. `None` if it does not exist.
#[derive(Debug, PartialEq, Eq)]
struct RefUpdate {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// Compares with the refs in `before`, sends webhooks to the Apps, and updates pull requests.
pub(crate) async fn process_ref_updates(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    before: &[GitRef],
    pusher: &StoredAccount,
) -> anyhow::Result<()> {
    let after = context.open_bare_repo(repo).list_refs("refs/").await?;
    let moves = diff_refs(before, &after);
    if moves.is_empty() {
        return Ok(());
    }
    context.store.touch_repo(repo.id).await?;
    let repo = context.store.get_repo(repo.id).await?;
    for step in &moves {
        emit_ref_update(context, &repo, step, pusher).await?;
        if let Some(branch) = step.name.strip_prefix("refs/heads/") {
            pulls::on_head_moved(context, &repo, branch, step.after.as_deref(), pusher).await?;
            pulls::on_base_moved(context, &repo, branch).await?;
        }
    }
    Ok(())
}

fn diff_refs(before: &[GitRef], after: &[GitRef]) -> Vec<RefUpdate> {
    let sha = |refs: &[GitRef], name: &str| {
        refs.iter()
            .find(|found| found.name == name)
            .map(|found| found.sha.clone())
    };
    let mut names: Vec<&str> = before
        .iter()
        .chain(after)
        .map(|found| found.name.as_str())
        .collect();
    names.retain(|name| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"));
    names.sort_unstable();
    names.dedup();
    let steps = names.into_iter().map(|name| RefUpdate {
        name: name.to_owned(),
        before: sha(before, name),
        after: sha(after, name),
    });
    steps.filter(|step| step.before != step.after).collect()
}

async fn emit_ref_update(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    step: &RefUpdate,
    pusher: &StoredAccount,
) -> anyhow::Result<()> {
    if step.before.is_none() || step.after.is_none() {
        let (kind, name) = match step.name.strip_prefix("refs/tags/") {
            Some(tag) => ("tag", tag),
            None => ("branch", step.name.trim_start_matches("refs/heads/")),
        };
        let mut payload = json!({"ref": name, "ref_type": kind, "pusher_type": "user"});
        if step.before.is_none() {
            payload["master_branch"] = DEFAULT_BRANCH.into();
            payload["description"] = Value::Null;
            events::emit_repo_event(context, repo, pusher, "create", payload).await?;
        } else {
            events::emit_repo_event(context, repo, pusher, "delete", payload).await?;
        }
    }
    let payload = build_push_payload(context, repo, step, pusher).await?;
    events::emit_repo_event(context, repo, pusher, "push", payload).await
}

/// The commits of a push.
#[derive(Default)]
struct PushedCommits {
    commits: Vec<Value>,
    head: Value,
    forced: bool,
}

async fn collect_pushed_commits(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    step: &RefUpdate,
) -> anyhow::Result<PushedCommits> {
    let Some(after) = &step.after else {
        return Ok(PushedCommits::default());
    };
    let git = context.open_bare_repo(repo);
    // An annotated tag points to its commit through its own object.
    let tip = git
        .resolve_commit(&step.name)
        .await?
        .unwrap_or_else(|| after.clone());
    let mut commits = match step.name.strip_prefix("refs/heads/") {
        Some(branch) => {
            git.list_pushed_commits(branch, step.before.as_deref(), after, MOST_COMMITS)
                .await?
        }
        None => Vec::new(),
    };
    commits.push(git.read_commit(&tip).await?);
    let touched = git.list_changed_paths(&commits).await?;
    let mut shown: Vec<Value> = commits
        .iter()
        .map(|commit| render_pushed_commit(context, repo, commit, touched.get(&commit.sha)))
        .collect();
    let head = shown.pop().unwrap_or_default();
    let forced = match &step.before {
        Some(before) => !git.is_ancestor(before, after).await?,
        None => false,
    };
    Ok(PushedCommits {
        commits: shown,
        head,
        forced,
    })
}

async fn build_push_payload(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    step: &RefUpdate,
    pusher: &StoredAccount,
) -> anyhow::Result<Value> {
    let render = context.json_renderer();
    let brought = collect_pushed_commits(context, repo, step).await?;
    let before = step.before.as_deref().unwrap_or(ZERO_SHA);
    let after = step.after.as_deref().unwrap_or(ZERO_SHA);
    Ok(json!({
        "ref": step.name,
        "before": before,
        "after": after,
        "created": step.before.is_none(),
        "deleted": step.after.is_none(),
        "forced": brought.forced,
        "base_ref": null,
        "compare": format!("{}/compare/{}...{}", render.repo_html_url(repo), &before[..12], &after[..12]),
        "commits": brought.commits,
        "head_commit": brought.head,
        "repository": render.render_pushed_repo(repo),
        "pusher": {"name": pusher.login, "email": noreply_email(pusher)},
    }))
}

/// GitHub's address for users who show none.
pub(crate) fn noreply_email(account: &StoredAccount) -> String {
    format!("{}+{}@users.noreply.github.com", account.id, account.login)
}

fn render_pushed_commit(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    commit: &GitCommit,
    touched: Option<&ChangedPaths>,
) -> Value {
    let none = ChangedPaths::default();
    let touched = touched.unwrap_or(&none);
    let person = |person: &GitSignature| json!({"name": person.name, "email": person.email});
    json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "url": format!("{}/commit/{}", context.json_renderer().repo_html_url(repo), commit.sha),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
        "added": touched.added,
        "removed": touched.removed,
        "modified": touched.modified,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_branches_and_tags_that_changed_are_moves() {
        let found = |name: &str, sha: &str| GitRef {
            name: name.into(),
            sha: sha.into(),
            kind: "commit".into(),
        };
        let before = [
            found("refs/heads/main", "a"),
            found("refs/heads/old", "b"),
            found("refs/heads/same", "c"),
        ];
        let after = [
            found("refs/heads/main", "d"),
            found("refs/heads/same", "c"),
            found("refs/pull/1/head", "d"),
            found("refs/tags/v1", "d"),
        ];
        let step = |name: &str, before: Option<&str>, after: Option<&str>| RefUpdate {
            name: name.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        assert_eq!(
            diff_refs(&before, &after),
            [
                step("refs/heads/main", Some("a"), Some("d")),
                step("refs/heads/old", Some("b"), None),
                step("refs/tags/v1", None, Some("d")),
            ],
        );
    }
}
