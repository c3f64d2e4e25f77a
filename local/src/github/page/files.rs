//! Folders and files of a commit.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};

use super::{Frame, Link, home_of, plain, public, redirect, show};
use crate::github::{
    Context,
    answer::{Error, Reply},
    git::{Git, TreeEntry},
    render::in_url,
    store::Repo,
};

/// A longer file is there raw.
pub(super) const LONGEST_TEXT: u64 = 512 << 10;

type Place = Path<(String, String, String)>;

#[derive(Template)]
#[template(path = "folder.html")]
struct Folder {
    frame: Frame,
    path: String,
    rev: String,
    files: Vec<Link>,
}

#[derive(Template)]
#[template(path = "file.html")]
struct File {
    frame: Frame,
    path: String,
    rev: String,
    raw: String,
    text: Option<String>,
}

/// A revision and a path in it: of the ways to cut the two apart, the first that names a commit.
async fn split(git: &Git, rest: &str) -> Result<(String, String, String), Error> {
    let rest = rest.trim_end_matches('/');
    let ends = rest
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([rest.len()]);
    for end in ends {
        if let Some(commit) = git.resolve(&rest[..end]).await? {
            let path = rest[end..].trim_start_matches('/');
            return Ok((rest[..end].to_owned(), commit, path.to_owned()));
        }
    }
    Err(Error::NotFound)
}

/// Links to what is in a folder, folders first.
pub(super) fn links(repo: &Repo, rev: &str, mut entries: Vec<TreeEntry>) -> Vec<Link> {
    entries.sort_by(|a, b| (a.kind != "tree", &a.path).cmp(&(b.kind != "tree", &b.path)));
    let link = |entry: &TreeEntry| {
        let is_folder = entry.kind == "tree";
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let what = if is_folder { "tree" } else { "blob" };
        Link::new(
            format!("{name}{}", if is_folder { "/" } else { "" }),
            format!(
                "{}/{what}/{}/{}",
                home_of(repo),
                in_url(rev),
                in_url(&entry.path)
            ),
        )
    };
    entries.iter().map(link).collect()
}

pub(super) async fn tree(
    State(context): State<Context>,
    Path((owner, name, rest)): Place,
) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    let (rev, commit, path) = split(&git, &rest).await?;
    if !path.is_empty() {
        let entry = git.entry(&commit, &path).await?.ok_or(Error::NotFound)?;
        if entry.kind != "tree" {
            return redirect(&format!("{}/blob/{}", home_of(&repo), in_url(&rest)));
        }
    }
    let entries = git.folder(&commit, &path).await?;
    show(&Folder {
        frame: Frame::within(&repo),
        files: links(&repo, &rev, entries),
        path: if path.is_empty() {
            repo.full_name()
        } else {
            path
        },
        rev,
    })
}

async fn find_file(git: &Git, rest: &str) -> Result<(String, TreeEntry), Error> {
    let (rev, commit, path) = split(git, rest).await?;
    // Of no path git makes a mistake, not nothing.
    if path.is_empty() {
        return Err(Error::NotFound);
    }
    let entry = git.entry(&commit, &path).await?;
    let file = entry.filter(|entry| entry.kind == "blob");
    Ok((rev, file.ok_or(Error::NotFound)?))
}

pub(super) async fn blob(
    State(context): State<Context>,
    Path((owner, name, rest)): Place,
) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    let (rev, file) = find_file(&git, &rest).await?;
    show(&File {
        frame: Frame::within(&repo),
        raw: format!("{}/raw/{}", home_of(&repo), in_url(&rest)),
        text: text(&git, &file).await?,
        path: file.path,
        rev,
    })
}

/// What a file holds, if a page can show it.
pub(super) async fn text(git: &Git, file: &TreeEntry) -> Result<Option<String>, Error> {
    if file.size > LONGEST_TEXT {
        return Ok(None);
    }
    Ok(String::from_utf8(git.blob(&file.sha).await?).ok())
}

pub(super) async fn raw(State(context): State<Context>, Path((owner, name, rest)): Place) -> Reply {
    let (_, git) = public(&context, &owner, &name).await?;
    let (_, file) = find_file(&git, &rest).await?;
    Ok(plain(git.blob(&file.sha).await?).into_response())
}
