//! Pages of a repository: its files, branches and pull requests.

use askama::Template;
use axum::extract::{Path, State};

use super::{
    HtmlLink, PageLayout, encode_url_path, files, find_public_repo, markdown, pluralize_count,
    pull::pull_state_label, render_page, repo_home_path,
};
use crate::github::{
    FakeGithubContext,
    git::GitRef,
    render::DEFAULT_BRANCH,
    response::RestResult,
    store::{StoredPull, StoredRepo},
};

type RepoPagePath = Path<(String, String)>;

#[derive(Template)]
#[template(path = "repo.html")]
struct RepoPage {
    frame: PageLayout,
    home: String,
    url: String,
    parent: Option<String>,
    files: Vec<HtmlLink>,
    readme: Option<String>,
    repo: StoredRepo,
}

pub(super) async fn show_repo(
    State(context): State<FakeGithubContext>,
    Path((owner, name)): RepoPagePath,
) -> RestResult {
    // GitHub redirects the clone URL to the page.
    let (repo, git) = find_public_repo(&context, &owner, name.trim_end_matches(".git")).await?;
    let tip = git.find_branch_tip(DEFAULT_BRANCH).await?;
    let (mut files, mut readme) = (Vec::new(), None);
    if let Some(tip) = tip {
        files = files::link_entries(&repo, DEFAULT_BRANCH, git.list_folder(&tip, "").await?);
        if let Some(file) = git.find_entry(&tip, "README.md").await? {
            let text = files::read_text(&git, &file).await?;
            readme = text.map(|text| markdown::to_html(&text));
        }
    }
    let parent = match repo.fork_of {
        Some(parent) => Some(context.store.get_repo(parent).await?.full_name()),
        None => None,
    };
    render_page(&RepoPage {
        frame: PageLayout::for_repo(&repo),
        home: repo_home_path(&repo),
        url: context.json_renderer().repo_html_url(&repo),
        parent,
        files,
        readme,
        repo,
    })
}

#[derive(Template)]
#[template(path = "refs.html")]
struct RefsPage {
    frame: PageLayout,
    name: String,
    groups: [(&'static str, Vec<HtmlLink>); 2],
}

pub(super) async fn show_branches(
    State(context): State<FakeGithubContext>,
    Path((owner, name)): RepoPagePath,
) -> RestResult {
    let (repo, git) = find_public_repo(&context, &owner, &name).await?;
    let links = |refs: Vec<GitRef>, prefix: &str| -> Vec<HtmlLink> {
        let link = |found: &GitRef| {
            let name = found.name.trim_start_matches(prefix);
            HtmlLink::new(
                name,
                format!("{}/tree/{}", repo_home_path(&repo), encode_url_path(name)),
            )
        };
        refs.iter().map(link).collect()
    };
    render_page(&RefsPage {
        frame: PageLayout::for_repo(&repo),
        name: repo.full_name(),
        groups: [
            (
                "Branches",
                links(git.list_refs("refs/heads/").await?, "refs/heads/"),
            ),
            (
                "Tags",
                links(git.list_refs("refs/tags/").await?, "refs/tags/"),
            ),
        ],
    })
}

#[derive(Template)]
#[template(path = "pulls.html")]
struct PullsPage {
    frame: PageLayout,
    name: String,
    home: String,
    pulls: Vec<StoredPull>,
}

pub(super) async fn show_pulls(
    State(context): State<FakeGithubContext>,
    Path((owner, name)): RepoPagePath,
) -> RestResult {
    let (repo, _) = find_public_repo(&context, &owner, &name).await?;
    render_page(&PullsPage {
        frame: PageLayout::for_repo(&repo),
        name: repo.full_name(),
        home: repo_home_path(&repo),
        pulls: context.store.list_pulls(repo.id).await?,
    })
}
