//! Commits and comparisons, and what hangs on a commit.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{checks, statuses};
use crate::github::{
    Context,
    access::{CHECKS, CONTENTS, Need, STATUSES},
    answer::{Error, Reply, ok},
    caller::Caller,
    git::Git,
    paging::Paging,
    render::{DEFAULT_BRANCH, in_url},
    store::Repo,
};

/// GitHub's own bounds.
const MOST_COMMITS: usize = 10_000;
const MOST_FILES: usize = 300;

pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    for narrower in ["path", "author", "committer", "since", "until"] {
        if paging.parameter(narrower).is_some() {
            return Err(Error::Unbuilt(format!("listing commits by {narrower}")));
        }
    }
    let git = context.git(&repo);
    let sha = git
        .resolve(paging.parameter("sha").unwrap_or(DEFAULT_BRANCH))
        .await?
        .ok_or(Error::NotFound)?;
    paging.reply(git.log(&sha, MOST_COMMITS).await?, |commit| {
        context.render().commit(&repo, commit)
    })
}

/// `commits/{ref}` and what may follow it; a ref may have slashes.
pub(super) async fn of(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, rest)): Path<(String, String, String)>,
    paging: Paging,
) -> Reply {
    let (rev, what) = split(&rest);
    let need = match what {
        Some("status" | "statuses") => Need::read(STATUSES),
        Some("check-runs") => Need::read(CHECKS),
        _ => Need::read(CONTENTS),
    };
    let repo = context.repo(&caller, (&owner, &name), need).await?;
    let git = context.git(&repo);
    let missing = || Error::Unprocessable(format!("No commit found for SHA: {rev}"));
    let sha = git.resolve(rev).await?.ok_or_else(missing)?;
    match what {
        Some("status") => statuses::combined(&context, &repo, &sha, &paging).await,
        Some("statuses") => statuses::list(&context, &repo, &sha, &paging).await,
        Some("check-runs") => checks::list(&context, &repo, &sha, &paging).await,
        _ => commit(&context, &repo, &git, &sha).await,
    }
}

fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.rsplit_once('/') {
        Some((rev, what @ ("status" | "statuses" | "check-runs"))) => (rev, Some(what)),
        _ => (rest, None),
    }
}

async fn commit(context: &Context, repo: &Repo, git: &Git, sha: &str) -> Reply {
    let render = context.render();
    let commit = git.commit(sha).await?;
    let files = match commit.parents.first() {
        Some(parent) => git.changes(parent, sha).await?,
        // git's own empty tree: a first commit adds everything.
        None => {
            git.changes("4b825dc642cb6eb9a060e54bf8d69288fbee4904", sha)
                .await?
        }
    };
    let mut body = render.commit(repo, &commit);
    let (additions, deletions) = files.iter().fold((0, 0), |(added, removed), file| {
        (added + file.additions, removed + file.deletions)
    });
    body["stats"] =
        json!({"total": additions + deletions, "additions": additions, "deletions": deletions});
    body["files"] = files
        .iter()
        .take(MOST_FILES)
        .map(|file| render.file(repo, sha, file))
        .collect();
    ok(body)
}

pub(super) async fn git_commit(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let found = git
        .resolve(&sha)
        .await?
        .filter(|found| *found == sha)
        .ok_or(Error::NotFound)?;
    ok(context
        .render()
        .git_commit(&repo, &git.commit(&found).await?))
}

/// `base...head`.
pub(super) async fn compare(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, range)): Path<(String, String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(CONTENTS))
        .await?;
    let git = context.git(&repo);
    let (base_rev, head_rev) = range.split_once("...").ok_or(Error::NotFound)?;
    if range.contains(':') {
        return Err(Error::Unbuilt("comparing with a fork".to_owned()));
    }
    let base = git.resolve(base_rev).await?.ok_or(Error::NotFound)?;
    let head = git.resolve(head_rev).await?.ok_or(Error::NotFound)?;
    let comparison = git.compare(&base, &head).await?.ok_or(Error::NotFound)?;
    let render = context.render();
    let mut commits = git.log(&format!("{base}..{head}"), MOST_COMMITS).await?;
    commits.reverse();
    let total = commits.len();
    let commits: Vec<Value> = paging
        .cut(commits)
        .iter()
        .map(|commit| render.commit(&repo, commit))
        .collect();
    let files = git.changes(&comparison.merge_base, &head).await?;
    let names = format!("{}...{}", in_url(base_rev), in_url(head_rev));
    let page = format!("{}/compare/{names}", render.repo_page(&repo));
    let body = json!({
        "url": format!("{}/compare/{names}", render.repo_url(&repo)),
        "html_url": page,
        "permalink_url": format!("{}/compare/{base}...{head}", render.repo_page(&repo)),
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "base_commit": render.commit(&repo, &git.commit(&base).await?),
        "merge_base_commit": render.commit(&repo, &git.commit(&comparison.merge_base).await?),
        "status": comparison.status(),
        "ahead_by": comparison.ahead,
        "behind_by": comparison.behind,
        "total_commits": total,
        "commits": commits,
        "files": files.iter().take(MOST_FILES).map(|file| render.file(&repo, &head, file)).collect::<Vec<_>>(),
    });
    paging.wrap(total, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_may_have_slashes() {
        for (rest, expected) in [
            ("main", ("main", None)),
            ("feature/x", ("feature/x", None)),
            ("feature/x/status", ("feature/x", Some("status"))),
            ("main/statuses", ("main", Some("statuses"))),
        ] {
            assert_eq!(split(rest), expected);
        }
    }
}
