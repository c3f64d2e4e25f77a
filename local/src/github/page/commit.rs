//! Commits: one, a branch's, and those between two.

use askama::Template;
use axum::extract::{Path, State};

use super::{Frame, Link, checks, count, home_of, public, redirect, short, show, when};
use crate::github::{
    Context,
    answer::{Error, Reply},
    git::{Commit, FileChange, Git},
    render::DEFAULT_BRANCH,
    store::Repo,
};

/// As many as a page shows of each.
pub(super) const MOST_COMMITS: usize = 250;
const MOST_FILES: usize = 300;
/// What everything differs from that has no parent.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// How a line of a diff is coloured.
pub(super) fn line_class(line: &str) -> &'static str {
    match line.as_bytes().first() {
        Some(b'+') => "add",
        Some(b'-') => "del",
        Some(b'@') => "hunk",
        _ => "",
    }
}

/// What differs between two commits, as far as a page shows it, and how many files do.
pub(super) async fn changes(
    git: &Git,
    old: &str,
    new: &str,
) -> Result<(Vec<FileChange>, i64), Error> {
    let mut changes = git.changes(old, new).await?;
    let total = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    changes.truncate(MOST_FILES);
    Ok((changes, total))
}

#[derive(Template)]
#[template(path = "commits.html")]
struct History {
    frame: Frame,
    home: String,
    rev: String,
    commits: Vec<Commit>,
}

pub(super) async fn default_history(Path((owner, name)): Path<(String, String)>) -> Reply {
    redirect(&format!("/{owner}/{name}/commits/{DEFAULT_BRANCH}"))
}

pub(super) async fn history(
    State(context): State<Context>,
    Path((owner, name, rev)): Path<(String, String, String)>,
) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    let sha = git.resolve(&rev).await?.ok_or(Error::NotFound)?;
    show(&History {
        frame: Frame::within(&repo),
        home: home_of(&repo),
        commits: git.log(&sha, MOST_COMMITS).await?,
        rev,
    })
}

#[derive(Template)]
#[template(path = "commit.html")]
struct CommitPage {
    frame: Frame,
    home: String,
    commit: Commit,
    subject: String,
    text: String,
    parents: Vec<Link>,
    checks: Vec<checks::Check>,
    changes: Vec<FileChange>,
    total: i64,
}

pub(super) async fn one(
    State(context): State<Context>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    show_commit(&context, &repo, &git, &sha).await
}

pub(super) async fn show_commit(context: &Context, repo: &Repo, git: &Git, rev: &str) -> Reply {
    let sha = git.resolve(rev).await?.ok_or(Error::NotFound)?;
    let commit = git.commit(&sha).await?;
    let home = home_of(repo);
    let before = commit.parents.first().map_or(EMPTY_TREE, String::as_str);
    let (changes, total) = changes(git, before, &sha).await?;
    let (subject, text) = commit
        .message
        .split_once('\n')
        .unwrap_or((&commit.message, ""));
    show(&CommitPage {
        frame: Frame::within(repo),
        subject: subject.to_owned(),
        text: text.trim().to_owned(),
        parents: commit
            .parents
            .iter()
            .map(|parent| Link::new(short(parent), format!("{home}/commit/{parent}")))
            .collect(),
        checks: checks::of(context, repo, &sha).await?,
        changes,
        total,
        commit,
        home,
    })
}

#[derive(Template)]
#[template(path = "compare.html")]
struct Compare {
    frame: Frame,
    home: String,
    title: String,
    commits: Vec<Commit>,
    changes: Vec<FileChange>,
    total: i64,
}

/// `A...B` as a push names it: a new branch has no `A`, one that is gone no `B`. One name alone is
/// held against the default branch.
pub(super) async fn compare(
    State(context): State<Context>,
    Path((owner, name, range)): Path<(String, String, String)>,
) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    let (from, to) = range.split_once("...").unwrap_or((DEFAULT_BRANCH, &range));
    let is_none = |rev: &str| rev.len() >= 12 && rev.bytes().all(|byte| byte == b'0');
    let (from, to) = match (is_none(from), is_none(to)) {
        (true, _) => (None, to),
        (_, true) => (None, from),
        _ => (Some(from), to),
    };
    let head = git.resolve(to).await?.ok_or(Error::NotFound)?;
    let Some(from) = from else {
        return show_commit(&context, &repo, &git, &head).await;
    };
    let base = git.resolve(from).await?.ok_or(Error::NotFound)?;
    let old = git
        .merge_base(&base, &head)
        .await?
        .unwrap_or_else(|| base.clone());
    let (changes, total) = changes(&git, &old, &head).await?;
    show(&Compare {
        frame: Frame::within(&repo),
        home: home_of(&repo),
        title: format!("{from}...{to}"),
        commits: git.log(&format!("{base}..{head}"), MOST_COMMITS).await?,
        changes,
        total,
    })
}
