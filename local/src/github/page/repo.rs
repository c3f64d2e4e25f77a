//! A repository: its files, branches, pull requests.

use askama::Template;
use axum::extract::{Path, State};

use super::{Frame, Link, count, files, home_of, in_url, markdown, public, pull::state, show};
use crate::github::{
    Context,
    answer::Reply,
    git::GitRef,
    render::DEFAULT_BRANCH,
    store::{Pull, Repo},
};

type Place = Path<(String, String)>;

#[derive(Template)]
#[template(path = "repo.html")]
struct RepoPage {
    frame: Frame,
    home: String,
    url: String,
    parent: Option<String>,
    files: Vec<Link>,
    readme: Option<String>,
    repo: Repo,
}

pub(super) async fn repository(
    State(context): State<Context>,
    Path((owner, name)): Place,
) -> Reply {
    // GitHub leads from what is cloned to the page.
    let (repo, git) = public(&context, &owner, name.trim_end_matches(".git")).await?;
    let tip = git.branch(DEFAULT_BRANCH).await?;
    let (mut files, mut readme) = (Vec::new(), None);
    if let Some(tip) = tip {
        files = files::links(&repo, DEFAULT_BRANCH, git.folder(&tip, "").await?);
        if let Some(file) = git.entry(&tip, "README.md").await? {
            let text = files::text(&git, &file).await?;
            readme = text.map(|text| markdown::to_html(&text));
        }
    }
    let parent = match repo.fork_of {
        Some(parent) => Some(context.store.repo(parent).await?.full_name()),
        None => None,
    };
    show(&RepoPage {
        frame: Frame::within(&repo),
        home: home_of(&repo),
        url: context.render().repo_page(&repo),
        parent,
        files,
        readme,
        repo,
    })
}

#[derive(Template)]
#[template(path = "refs.html")]
struct RefsPage {
    frame: Frame,
    name: String,
    groups: [(&'static str, Vec<Link>); 2],
}

pub(super) async fn branches(State(context): State<Context>, Path((owner, name)): Place) -> Reply {
    let (repo, git) = public(&context, &owner, &name).await?;
    let links = |refs: Vec<GitRef>, prefix: &str| -> Vec<Link> {
        let link = |found: &GitRef| {
            let name = found.name.trim_start_matches(prefix);
            Link::new(name, format!("{}/tree/{}", home_of(&repo), in_url(name)))
        };
        refs.iter().map(link).collect()
    };
    show(&RefsPage {
        frame: Frame::within(&repo),
        name: repo.full_name(),
        groups: [
            (
                "Branches",
                links(git.refs("refs/heads/").await?, "refs/heads/"),
            ),
            ("Tags", links(git.refs("refs/tags/").await?, "refs/tags/")),
        ],
    })
}

#[derive(Template)]
#[template(path = "pulls.html")]
struct Pulls {
    frame: Frame,
    name: String,
    home: String,
    pulls: Vec<Pull>,
}

pub(super) async fn pulls(State(context): State<Context>, Path((owner, name)): Place) -> Reply {
    let (repo, _) = public(&context, &owner, &name).await?;
    show(&Pulls {
        frame: Frame::within(&repo),
        name: repo.full_name(),
        home: home_of(&repo),
        pulls: context.store.pulls(repo.id).await?,
    })
}
