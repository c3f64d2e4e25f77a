//! Pages of one commit, of a branch's commits, and of the commits between two.

use askama::Template;
use axum::extract::{Path, State};

use super::{
    HtmlLink, PageLayout, checks, find_public_repo, format_time, pluralize_count, redirect_to,
    render_page, repo_home_path, short_sha,
};
use crate::github::{
    FakeGithubContext,
    git::{BareRepo, FileChange, GitCommit},
    render::DEFAULT_BRANCH,
    response::{RestError, RestResult},
    store::StoredRepo,
};

/// At most so many are shown on a page.
pub(super) const MOST_COMMITS: usize = 250;
const MOST_FILES: usize = 300;
/// The tree that a commit without a parent is compared with.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The CSS class of a line of a diff.
pub(super) fn line_class(line: &str) -> &'static str {
    match line.as_bytes().first() {
        Some(b'+') => "add",
        Some(b'-') => "del",
        Some(b'@') => "hunk",
        _ => "",
    }
}

/// The differences between two commits, as many as a page shows, and the total number of files.
pub(super) async fn diff_files_for_page(
    git: &BareRepo,
    old: &str,
    new: &str,
) -> Result<(Vec<FileChange>, i64), RestError> {
    let mut changes = git.diff_files(old, new).await?;
    let total = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    changes.truncate(MOST_FILES);
    Ok((changes, total))
}

#[derive(Template)]
#[template(path = "commits.html")]
struct CommitHistoryPage {
    frame: PageLayout,
    home: String,
    rev: String,
    commits: Vec<GitCommit>,
}

pub(super) async fn redirect_to_history(Path((owner, name)): Path<(String, String)>) -> RestResult {
    redirect_to(&format!("/{owner}/{name}/commits/{DEFAULT_BRANCH}"))
}

pub(super) async fn show_history(
    State(context): State<FakeGithubContext>,
    Path((owner, name, rev)): Path<(String, String, String)>,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    let sha = git.resolve_commit(&rev).await?.ok_or(RestError::NotFound)?;
    render_page(&CommitHistoryPage {
        frame: PageLayout::for_repo(&repo),
        home: repo_home_path(&repo),
        commits: git.list_commits(&sha, MOST_COMMITS).await?,
        rev,
    })
}

#[derive(Template)]
#[template(path = "commit.html")]
struct CommitPage {
    frame: PageLayout,
    home: String,
    commit: GitCommit,
    subject: String,
    text: String,
    parents: Vec<HtmlLink>,
    checks: Vec<checks::CheckRow>,
    changes: Vec<FileChange>,
    total: i64,
}

pub(super) async fn show_commit_page(
    State(context): State<FakeGithubContext>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    show_commit(&context, &repo, &git, &sha).await
}

pub(super) async fn show_commit(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    git: &BareRepo,
    rev: &str,
) -> RestResult {
    let sha = git.resolve_commit(rev).await?.ok_or(RestError::NotFound)?;
    let commit = git.read_commit(&sha).await?;
    let home = repo_home_path(repo);
    let before = commit.parents.first().map_or(EMPTY_TREE, String::as_str);
    let (changes, total) = diff_files_for_page(git, before, &sha).await?;
    let (subject, text) = commit
        .message
        .split_once('\n')
        .unwrap_or((&commit.message, ""));
    render_page(&CommitPage {
        frame: PageLayout::for_repo(repo),
        subject: subject.to_owned(),
        text: text.trim().to_owned(),
        parents: commit
            .parents
            .iter()
            .map(|parent| HtmlLink::new(short_sha(parent), format!("{home}/commit/{parent}")))
            .collect(),
        checks: checks::list_check_rows(context, repo, &sha).await?,
        changes,
        total,
        commit,
        home,
    })
}

#[derive(Template)]
#[template(path = "compare.html")]
struct ComparePage {
    frame: PageLayout,
    home: String,
    title: String,
    commits: Vec<GitCommit>,
    changes: Vec<FileChange>,
    total: i64,
}

/// `A...B` as in a push event: a new branch has no `A`, a deleted one no `B`. A single name is
/// compared with the default branch.
pub(super) async fn show_comparison(
    State(context): State<FakeGithubContext>,
    Path((owner, name, range)): Path<(String, String, String)>,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    let (from, to) = range.split_once("...").unwrap_or((DEFAULT_BRANCH, &range));
    let is_none = |rev: &str| rev.len() >= 12 && rev.bytes().all(|byte| byte == b'0');
    let (from, to) = match (is_none(from), is_none(to)) {
        (true, _) => (None, to),
        (_, true) => (None, from),
        _ => (Some(from), to),
    };
    let head = git.resolve_commit(to).await?.ok_or(RestError::NotFound)?;
    let Some(from) = from else {
        return show_commit(&context, &repo, &git, &head).await;
    };
    let base = git.resolve_commit(from).await?.ok_or(RestError::NotFound)?;
    let old = git
        .find_merge_base(&base, &head)
        .await?
        .unwrap_or_else(|| base.clone());
    let (changes, total) = diff_files_for_page(&git, &old, &head).await?;
    render_page(&ComparePage {
        frame: PageLayout::for_repo(&repo),
        home: repo_home_path(&repo),
        title: format!("{from}...{to}"),
        commits: git
            .list_commits(&format!("{base}..{head}"), MOST_COMMITS)
            .await?,
        changes,
        total,
    })
}
