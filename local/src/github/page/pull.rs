//! A pull request: what was said, its checks, its commits and files.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};

use super::{
    Frame, Link, checks,
    commit::{self, line_class},
    count, home_of, in_url, markdown, plain, public, redirect, short, show, when,
};
use crate::github::{
    Context, access,
    answer::{Error, Reply},
    git::{Commit, FileChange, Git},
    pulls,
    store::{self, Account, Kind, Pull, PullState, Repo},
};

pub(super) fn state(pull: &Pull) -> &'static str {
    match (pull.merged(), pull.state, pull.draft) {
        (true, ..) => "Merged",
        (_, PullState::Closed, _) => "Closed",
        (_, _, true) => "Draft",
        _ => "Open",
    }
}

/// The three pages of a pull request.
fn tabs(pull: &Pull, here: &str) -> Vec<Link> {
    vec![
        Link::new("Conversation", here),
        Link::new(
            count(pull.sizes.commits, "commit"),
            format!("{here}/commits"),
        ),
        Link::new(
            count(pull.sizes.changed_files, "file"),
            format!("{here}/files"),
        ),
    ]
}

/// What every page of a pull request begins with.
struct Head {
    frame: Frame,
    home: String,
    here: String,
    tabs: Vec<Link>,
    pull: Pull,
}

async fn find(
    context: &Context,
    owner: &str,
    name: &str,
    number: &str,
) -> Result<(Head, Repo, Git), Error> {
    let (repo, git) = public(context, owner, name).await?;
    let number = number.parse().map_err(|_| Error::NotFound)?;
    let pull = pulls::load(context, repo.id, number).await?;
    let home = home_of(&repo);
    let here = format!("{home}/pull/{number}");
    let mut frame = Frame::within(&repo);
    frame
        .above
        .push(Link::new("Pull requests", format!("{home}/pulls")));
    let tabs = tabs(&pull, &here);
    let head = Head {
        frame,
        home,
        here,
        tabs,
        pull,
    };
    Ok((head, repo, git))
}

type Place = Path<(String, String, String)>;

#[derive(Template)]
#[template(path = "pull.html")]
struct Conversation {
    frame: Frame,
    home: String,
    here: String,
    tabs: Vec<Link>,
    current: String,
    pull: Pull,
    body: Option<String>,
    checks: Vec<checks::Check>,
    merge: Option<&'static str>,
    comments: Vec<Comment>,
    voices: Vec<Voice>,
}

struct Comment {
    id: i64,
    author: String,
    role: Option<String>,
    time: String,
    body: String,
}

impl From<&store::Comment> for Comment {
    fn from(comment: &store::Comment) -> Comment {
        let role = Some(comment.association).filter(|role| *role != "NONE");
        Comment {
            id: comment.id,
            author: comment.author.login.clone(),
            role: role.map(str::to_lowercase),
            time: when(&comment.created_at),
            body: markdown::to_html(&comment.body),
        }
    }
}

/// Somebody in whose name a person at a terminal may comment.
struct Voice {
    login: String,
    role: String,
    line: String,
}

pub(super) async fn conversation(
    State(context): State<Context>,
    Path((owner, name, number)): Place,
) -> Reply {
    for form in ["diff", "patch"] {
        if let Some(number) = number
            .strip_suffix(form)
            .and_then(|rest| rest.strip_suffix('.'))
        {
            return as_text(&context, (&owner, &name, number), form).await;
        }
    }
    let (head, repo, _) = find(&context, &owner, &name, &number).await?;
    let pull = head.pull;
    let comments = context.store.comments(&repo, pull.number).await?;
    let is_open = pull.state == PullState::Open;
    show(&Conversation {
        frame: head.frame,
        body: pull
            .body
            .as_deref()
            .filter(|body| !body.is_empty())
            .map(markdown::to_html),
        checks: checks::of(&context, &repo, &pull.head_sha).await?,
        merge: match (is_open, pull.mergeable) {
            (true, Some(true)) => Some("It can be merged: git finds no conflict with its base."),
            (true, Some(false)) => Some("It conflicts with its base."),
            _ => None,
        },
        comments: comments.iter().map(Comment::from).collect(),
        voices: voices(&context, &repo, pull.number).await?,
        current: "Conversation".to_owned(),
        home: head.home,
        here: head.here,
        tabs: head.tabs,
        pull,
    })
}

/// Everybody whose token is in a file, with what makes them say something.
async fn voices(context: &Context, repo: &Repo, number: i64) -> Result<Vec<Voice>, Error> {
    let mut voices = Vec::new();
    for account in context.store.accounts().await? {
        let Some(file) = context.token_file(&account.login) else {
            continue;
        };
        let comments = format!(
            "{}/issues/{number}/comments",
            context.render().repo_url(repo)
        );
        voices.push(Voice {
            role: role(context, repo, &account).await?,
            line: format!(
                "curl -H \"Authorization: Bearer $(cat '{}')\" -d '{{\"body\": \"/test all\"}}' {comments}",
                file.display().to_string().replace('\'', "'\\''")
            ),
            login: account.login,
        });
    }
    Ok(voices)
}

/// What an account is to a repository, in words.
async fn role(context: &Context, repo: &Repo, account: &Account) -> Result<String, Error> {
    let owner = &repo.owner;
    let tie = if owner.id == account.id {
        "owner".to_owned()
    } else if owner.kind == Kind::Organization
        && context.store.is_member(owner.id, account.id).await?
    {
        format!("member of {}", owner.login)
    } else if context
        .store
        .collaborator(repo.id, account.id)
        .await?
        .is_some()
    {
        "collaborator".to_owned()
    } else {
        format!("no member of {}", owner.login)
    };
    let may = access::role(&context.store, repo, account).await?.name();
    Ok(format!("{tie}, permission {may}"))
}

/// Where the commits and files of a pull request begin.
async fn start(git: &Git, pull: &Pull) -> Result<String, Error> {
    let base = git.merge_base(&pull.base_sha, &pull.head_sha).await?;
    Ok(base.unwrap_or_else(|| pull.base_sha.clone()))
}

/// The change as git writes it.
async fn as_text(
    context: &Context,
    (owner, name, number): (&str, &str, &str),
    form: &str,
) -> Reply {
    let (head, _, git) = find(context, owner, name, number).await?;
    let range = format!("{}..{}", start(&git, &head.pull).await?, head.pull.head_sha);
    let bytes = match form {
        "diff" => git.diff_text(&range).await?,
        _ => git.patch_text(&range).await?,
    };
    Ok(plain(bytes).into_response())
}

#[derive(Template)]
#[template(path = "pull_commits.html")]
struct CommitsPage {
    frame: Frame,
    home: String,
    here: String,
    tabs: Vec<Link>,
    current: String,
    pull: Pull,
    commits: Vec<Commit>,
}

pub(super) async fn commits(
    State(context): State<Context>,
    Path((owner, name, number)): Place,
) -> Reply {
    let (head, _, git) = find(&context, &owner, &name, &number).await?;
    let range = format!("{}..{}", start(&git, &head.pull).await?, head.pull.head_sha);
    show(&CommitsPage {
        frame: head.frame,
        current: head.tabs[1].label.clone(),
        commits: git.log(&range, commit::MOST_COMMITS).await?,
        home: head.home,
        here: head.here,
        tabs: head.tabs,
        pull: head.pull,
    })
}

#[derive(Template)]
#[template(path = "pull_files.html")]
struct FilesPage {
    frame: Frame,
    home: String,
    here: String,
    tabs: Vec<Link>,
    current: String,
    pull: Pull,
    changes: Vec<FileChange>,
    total: i64,
}

pub(super) async fn files(
    State(context): State<Context>,
    Path((owner, name, number)): Place,
) -> Reply {
    let (head, _, git) = find(&context, &owner, &name, &number).await?;
    let from = start(&git, &head.pull).await?;
    let (changes, total) = commit::changes(&git, &from, &head.pull.head_sha).await?;
    show(&FilesPage {
        frame: head.frame,
        current: head.tabs[2].label.clone(),
        changes,
        total,
        home: head.home,
        here: head.here,
        tabs: head.tabs,
        pull: head.pull,
    })
}

/// A commit of a pull request, also after it was pushed away.
pub(super) async fn commit(
    State(context): State<Context>,
    Path((owner, name, number, sha)): Path<(String, String, String, String)>,
) -> Reply {
    let (_, repo, git) = find(&context, &owner, &name, &number).await?;
    commit::show_commit(&context, &repo, &git, &sha).await
}

/// Every issue here is a pull request.
pub(super) async fn issue(Path((owner, name, number)): Place) -> Reply {
    redirect(&format!("/{owner}/{name}/pull/{number}"))
}
