//! Pages of the folders and files of a commit.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};

use super::{
    HtmlLink, PageLayout, find_public_repo, plain_text_response, redirect_to, render_page,
    repo_home_path,
};
use crate::github::{
    FakeGithubContext,
    git::{BareRepo, TreeEntry},
    render::encode_url_path,
    response::{RestError, RestResult},
    store::StoredRepo,
};

/// A longer file is only shown raw.
pub(super) const LONGEST_TEXT: u64 = 512 << 10;

type FilePagePath = Path<(String, String, String)>;

#[derive(Template)]
#[template(path = "folder.html")]
struct FolderPage {
    frame: PageLayout,
    path: String,
    rev: String,
    files: Vec<HtmlLink>,
}

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    frame: PageLayout,
    path: String,
    rev: String,
    raw: String,
    text: Option<String>,
}

/// Splits a revision from a path. Takes the first split whose revision is a commit.
async fn split_rev_and_path(
    git: &BareRepo,
    rest: &str,
) -> Result<(String, String, String), RestError> {
    let rest = rest.trim_end_matches('/');
    let ends = rest
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([rest.len()]);
    for end in ends {
        if let Some(commit) = git.resolve_commit(&rest[..end]).await? {
            let path = rest[end..].trim_start_matches('/');
            return Ok((rest[..end].to_owned(), commit, path.to_owned()));
        }
    }
    Err(RestError::NotFound)
}

/// Links to the entries of a folder, folders first.
pub(super) fn link_entries(
    repo: &StoredRepo,
    rev: &str,
    mut entries: Vec<TreeEntry>,
) -> Vec<HtmlLink> {
    entries.sort_by(|a, b| (a.kind != "tree", &a.path).cmp(&(b.kind != "tree", &b.path)));
    let link = |entry: &TreeEntry| {
        let is_folder = entry.kind == "tree";
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let what = if is_folder { "tree" } else { "blob" };
        HtmlLink::new(
            format!("{name}{}", if is_folder { "/" } else { "" }),
            format!(
                "{}/{what}/{}/{}",
                repo_home_path(repo),
                encode_url_path(rev),
                encode_url_path(&entry.path)
            ),
        )
    };
    entries.iter().map(link).collect()
}

pub(super) async fn show_folder(
    State(context): State<FakeGithubContext>,
    Path((owner, name, rest)): FilePagePath,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    let (rev, commit, path) = split_rev_and_path(&git, &rest).await?;
    if !path.is_empty() {
        let entry = git
            .find_entry(&commit, &path)
            .await?
            .ok_or(RestError::NotFound)?;
        if entry.kind != "tree" {
            return redirect_to(&format!(
                "{}/blob/{}",
                repo_home_path(&repo),
                encode_url_path(&rest)
            ));
        }
    }
    let entries = git.list_folder(&commit, &path).await?;
    render_page(&FolderPage {
        frame: PageLayout::for_repo(&repo),
        files: link_entries(&repo, &rev, entries),
        path: if path.is_empty() {
            repo.full_name()
        } else {
            path
        },
        rev,
    })
}

async fn find_file(git: &BareRepo, rest: &str) -> Result<(String, TreeEntry), RestError> {
    let (rev, commit, path) = split_rev_and_path(git, rest).await?;
    // git fails on an empty path, instead of finding nothing.
    if path.is_empty() {
        return Err(RestError::NotFound);
    }
    let entry = git.find_entry(&commit, &path).await?;
    let file = entry.filter(|entry| entry.kind == "blob");
    Ok((rev, file.ok_or(RestError::NotFound)?))
}

pub(super) async fn show_file(
    State(context): State<FakeGithubContext>,
    Path((owner, name, rest)): FilePagePath,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    let (rev, file) = find_file(&git, &rest).await?;
    render_page(&FilePage {
        frame: PageLayout::for_repo(&repo),
        raw: format!("{}/raw/{}", repo_home_path(&repo), encode_url_path(&rest)),
        text: read_text(&git, &file).await?,
        path: file.path,
        rev,
    })
}

/// The content of a file, if a page can show it.
pub(super) async fn read_text(
    git: &BareRepo,
    file: &TreeEntry,
) -> Result<Option<String>, RestError> {
    if file.size > LONGEST_TEXT {
        return Ok(None);
    }
    Ok(String::from_utf8(git.read_blob(&file.sha).await?).ok())
}

pub(super) async fn show_raw_file(
    State(context): State<FakeGithubContext>,
    Path((owner, name, rest)): FilePagePath,
) -> RestResult {
    let (_, git) = find_public_repo(&context, &owner, &name).await?;
    let (_, file) = find_file(&git, &rest).await?;
    Ok(plain_text_response(git.read_blob(&file.sha).await?).into_response())
}
