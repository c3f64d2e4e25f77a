//! Routes of commits and comparisons, and of what belongs to a commit.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{checks, statuses};
use crate::github::{
    FakeGithubContext,
    access::{CHECKS, CONTENTS, RequiredPermission, STATUSES},
    caller::Caller,
    git::BareRepo,
    pagination::Pagination,
    render::{DEFAULT_BRANCH, encode_url_path},
    response::{RestError, RestResult, reply_json},
    store::StoredRepo,
};

/// GitHub's limits.
const MOST_COMMITS: usize = 10_000;
const MOST_FILES: usize = 300;

pub(super) async fn list_commits(
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
    for narrower in ["path", "author", "committer", "since", "until"] {
        if paging.query_parameter(narrower).is_some() {
            return Err(RestError::Unbuilt(format!("listing commits by {narrower}")));
        }
    }
    let git = context.open_bare_repo(&repo);
    let sha = git
        .resolve_commit(paging.query_parameter("sha").unwrap_or(DEFAULT_BRANCH))
        .await?
        .ok_or(RestError::NotFound)?;
    paging.reply_with_page(git.list_commits(&sha, MOST_COMMITS).await?, |commit| {
        context.json_renderer().render_commit(&repo, commit)
    })
}

/// `commits/{ref}` and the resources below it. A ref may have slashes.
pub(super) async fn get_commit_resource(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, rest)): Path<(String, String, String)>,
    paging: Pagination,
) -> RestResult {
    let (rev, what) = split_commit_path(&rest);
    let need = match what {
        Some("status" | "statuses") => RequiredPermission::to_read(STATUSES),
        Some("check-runs") => RequiredPermission::to_read(CHECKS),
        _ => RequiredPermission::to_read(CONTENTS),
    };
    let repo = context.find_repo(&caller, (&owner, &name), need).await?;
    let git = context.open_bare_repo(&repo);
    let missing = || RestError::Unprocessable(format!("No commit found for SHA: {rev}"));
    let sha = git.resolve_commit(rev).await?.ok_or_else(missing)?;
    match what {
        Some("status") => statuses::get_combined_status(&context, &repo, &sha, &paging).await,
        Some("statuses") => statuses::list_statuses(&context, &repo, &sha, &paging).await,
        Some("check-runs") => checks::list_check_runs(&context, &repo, &sha, &paging).await,
        _ => reply_with_commit(&context, &repo, &git, &sha).await,
    }
}

fn split_commit_path(rest: &str) -> (&str, Option<&str>) {
    match rest.rsplit_once('/') {
        Some((rev, what @ ("status" | "statuses" | "check-runs"))) => (rev, Some(what)),
        _ => (rest, None),
    }
}

async fn reply_with_commit(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    git: &BareRepo,
    sha: &str,
) -> RestResult {
    let render = context.json_renderer();
    let commit = git.read_commit(sha).await?;
    let files = match commit.parents.first() {
        Some(parent) => git.diff_files(parent, sha).await?,
        // git's empty tree: a first commit adds everything.
        None => {
            git.diff_files("4b825dc642cb6eb9a060e54bf8d69288fbee4904", sha)
                .await?
        }
    };
    let mut body = render.render_commit(repo, &commit);
    let (additions, deletions) = files.iter().fold((0, 0), |(added, removed), file| {
        (added + file.additions, removed + file.deletions)
    });
    body["stats"] =
        json!({"total": additions + deletions, "additions": additions, "deletions": deletions});
    body["files"] = files
        .iter()
        .take(MOST_FILES)
        .map(|file| render.render_file(repo, sha, file))
        .collect();
    reply_json(body)
}

pub(super) async fn get_git_commit(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(CONTENTS),
        )
        .await?;
    let git = context.open_bare_repo(&repo);
    let found = git
        .resolve_commit(&sha)
        .await?
        .filter(|found| *found == sha)
        .ok_or(RestError::NotFound)?;
    reply_json(
        context
            .json_renderer()
            .render_git_commit(&repo, &git.read_commit(&found).await?),
    )
}

/// `base...head`.
pub(super) async fn compare_commits(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, range)): Path<(String, String, String)>,
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
    let (base_rev, head_rev) = range.split_once("...").ok_or(RestError::NotFound)?;
    if range.contains(':') {
        return Err(RestError::Unbuilt("comparing with a fork".to_owned()));
    }
    let base = git
        .resolve_commit(base_rev)
        .await?
        .ok_or(RestError::NotFound)?;
    let head = git
        .resolve_commit(head_rev)
        .await?
        .ok_or(RestError::NotFound)?;
    let comparison = git
        .compare_commits(&base, &head)
        .await?
        .ok_or(RestError::NotFound)?;
    let render = context.json_renderer();
    let mut commits = git
        .list_commits(&format!("{base}..{head}"), MOST_COMMITS)
        .await?;
    commits.reverse();
    let total = commits.len();
    let commits: Vec<Value> = paging
        .take_page(commits)
        .iter()
        .map(|commit| render.render_commit(&repo, commit))
        .collect();
    let files = git.diff_files(&comparison.merge_base, &head).await?;
    let names = format!(
        "{}...{}",
        encode_url_path(base_rev),
        encode_url_path(head_rev)
    );
    let page = format!("{}/compare/{names}", render.repo_html_url(&repo));
    let body = json!({
        "url": format!("{}/compare/{names}", render.repo_url(&repo)),
        "html_url": page,
        "permalink_url": format!("{}/compare/{base}...{head}", render.repo_html_url(&repo)),
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "base_commit": render.render_commit(&repo, &git.read_commit(&base).await?),
        "merge_base_commit": render.render_commit(&repo, &git.read_commit(&comparison.merge_base).await?),
        "status": comparison.status_name(),
        "ahead_by": comparison.ahead,
        "behind_by": comparison.behind,
        "total_commits": total,
        "commits": commits,
        "files": files.iter().take(MOST_FILES).map(|file| render.render_file(&repo, &head, file)).collect::<Vec<_>>(),
    });
    paging.reply_with_links(total, body)
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
            assert_eq!(split_commit_path(rest), expected);
        }
    }
}
