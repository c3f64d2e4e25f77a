//! Pages of a pull request: its conversation, checks, commits and files.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};

use super::{
    HtmlLink, PageLayout, checks,
    commit::{self, line_class},
    encode_url_path, find_public_repo, format_time, markdown, plain_text_response, pluralize_count,
    redirect_to, render_page, repo_home_path, short_sha,
};
use crate::github::{
    FakeGithubContext, access,
    git::{BareRepo, FileChange, GitCommit},
    pulls,
    response::{RestError, RestResult},
    store::{self, AccountKind, PullState, StoredAccount, StoredPull, StoredRepo},
};

pub(super) fn pull_state_label(pull: &StoredPull) -> &'static str {
    match (pull.is_merged(), pull.state, pull.draft) {
        (true, ..) => "Merged",
        (_, PullState::Closed, _) => "Closed",
        (_, _, true) => "Draft",
        _ => "Open",
    }
}

/// The tabs of a pull request, one for each of its pages.
fn build_tabs(pull: &StoredPull, here: &str) -> Vec<HtmlLink> {
    vec![
        HtmlLink::new("Conversation", here),
        HtmlLink::new(
            pluralize_count(pull.sizes.commits, "commit"),
            format!("{here}/commits"),
        ),
        HtmlLink::new(
            pluralize_count(pull.sizes.changed_files, "file"),
            format!("{here}/files"),
        ),
    ]
}

/// The start of every page of a pull request.
struct PullPageHead {
    frame: PageLayout,
    home: String,
    here: String,
    tabs: Vec<HtmlLink>,
    pull: StoredPull,
}

async fn load_pull_page(
    context: &FakeGithubContext,
    owner: &str,
    name: &str,
    number: &str,
) -> Result<(PullPageHead, StoredRepo, BareRepo), RestError> {
    let (repo, git) = find_public_repo(context, owner, name).await?;
    let number = number.parse().map_err(|_| RestError::NotFound)?;
    let pull = pulls::load_pull(context, repo.id, number).await?;
    let home = repo_home_path(&repo);
    let here = format!("{home}/pull/{number}");
    let mut frame = PageLayout::for_repo(&repo);
    frame
        .above
        .push(HtmlLink::new("Pull requests", format!("{home}/pulls")));
    let tabs = build_tabs(&pull, &here);
    let head = PullPageHead {
        frame,
        home,
        here,
        tabs,
        pull,
    };
    Ok((head, repo, git))
}

type PullPagePath = Path<(String, String, String)>;

#[derive(Template)]
#[template(path = "pull.html")]
struct ConversationPage {
    frame: PageLayout,
    home: String,
    here: String,
    tabs: Vec<HtmlLink>,
    current: String,
    pull: StoredPull,
    body: Option<String>,
    checks: Vec<checks::CheckRow>,
    merge: Option<&'static str>,
    comments: Vec<CommentView>,
    voices: Vec<TerminalCommenter>,
}

struct CommentView {
    id: i64,
    author: String,
    role: Option<String>,
    time: String,
    body: String,
}

impl From<&store::StoredComment> for CommentView {
    fn from(comment: &store::StoredComment) -> CommentView {
        let role = Some(comment.association).filter(|role| *role != "NONE");
        CommentView {
            id: comment.id,
            author: comment.author.login.clone(),
            role: role.map(str::to_lowercase),
            time: format_time(&comment.created_at),
            body: markdown::to_html(&comment.body),
        }
    }
}

/// An account that a person at a terminal may comment as.
struct TerminalCommenter {
    login: String,
    role: String,
    line: String,
}

pub(super) async fn show_conversation(
    State(context): State<FakeGithubContext>,
    Path((owner, name, number)): PullPagePath,
) -> RestResult {
    for form in ["diff", "patch"] {
        if let Some(number) = number
            .strip_suffix(form)
            .and_then(|rest| rest.strip_suffix('.'))
        {
            return show_raw_diff(&context, (&owner, &name, number), form).await;
        }
    }
    let (head, repo, _) = load_pull_page(&context, &owner, &name, &number).await?;
    let pull = head.pull;
    let comments = context.store.list_comments(&repo, pull.number).await?;
    let is_open = pull.state == PullState::Open;
    render_page(&ConversationPage {
        frame: head.frame,
        body: pull
            .body
            .as_deref()
            .filter(|body| !body.is_empty())
            .map(markdown::to_html),
        checks: checks::list_check_rows(&context, &repo, &pull.head_sha).await?,
        merge: match (is_open, pull.mergeable) {
            (true, Some(true)) => Some("It can be merged: git finds no conflict with its base."),
            (true, Some(false)) => Some("It conflicts with its base."),
            _ => None,
        },
        comments: comments.iter().map(CommentView::from).collect(),
        voices: list_terminal_commenters(&context, &repo, pull.number).await?,
        current: "Conversation".to_owned(),
        home: head.home,
        here: head.here,
        tabs: head.tabs,
        pull,
    })
}

/// All accounts whose token is in a file, with the command line to comment.
async fn list_terminal_commenters(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    number: i64,
) -> Result<Vec<TerminalCommenter>, RestError> {
    let mut voices = Vec::new();
    for account in context.store.list_accounts().await? {
        let Some(file) = context.find_token_file(&account.login) else {
            continue;
        };
        let comments = format!(
            "{}/issues/{number}/comments",
            context.json_renderer().repo_url(repo)
        );
        voices.push(TerminalCommenter {
            role: describe_role(context, repo, &account).await?,
            line: format!(
                "curl -H \"Authorization: Bearer $(cat '{}')\" -d '{{\"body\": \"/test all\"}}' {comments}",
                file.display().to_string().replace('\'', "'\\''")
            ),
            login: account.login,
        });
    }
    Ok(voices)
}

/// Describes the role of an account in a repository.
async fn describe_role(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    account: &StoredAccount,
) -> Result<String, RestError> {
    let owner = &repo.owner;
    let tie = if owner.id == account.id {
        "owner".to_owned()
    } else if owner.kind == AccountKind::Organization
        && context.store.is_member(owner.id, account.id).await?
    {
        format!("member of {}", owner.login)
    } else if context
        .store
        .find_collaborator_permission(repo.id, account.id)
        .await?
        .is_some()
    {
        "collaborator".to_owned()
    } else {
        format!("no member of {}", owner.login)
    };
    let may = access::find_repo_role(&context.store, repo, account)
        .await?
        .as_str();
    Ok(format!("{tie}, permission {may}"))
}

/// The commit that the commits and files of a pull request are compared with.
async fn find_diff_base(git: &BareRepo, pull: &StoredPull) -> Result<String, RestError> {
    let base = git.find_merge_base(&pull.base_sha, &pull.head_sha).await?;
    Ok(base.unwrap_or_else(|| pull.base_sha.clone()))
}

/// The change in git's format.
async fn show_raw_diff(
    context: &FakeGithubContext,
    (owner, name, number): (&str, &str, &str),
    form: &str,
) -> RestResult {
    let (head, _, git) = load_pull_page(context, owner, name, number).await?;
    let range = format!(
        "{}..{}",
        find_diff_base(&git, &head.pull).await?,
        head.pull.head_sha
    );
    let bytes = match form {
        "diff" => git.diff_text(&range).await?,
        _ => git.patch_text(&range).await?,
    };
    Ok(plain_text_response(bytes).into_response())
}

#[derive(Template)]
#[template(path = "pull_commits.html")]
struct PullCommitsPage {
    frame: PageLayout,
    home: String,
    here: String,
    tabs: Vec<HtmlLink>,
    current: String,
    pull: StoredPull,
    commits: Vec<GitCommit>,
}

pub(super) async fn show_pull_commits(
    State(context): State<FakeGithubContext>,
    Path((owner, name, number)): PullPagePath,
) -> RestResult {
    let (head, _, git) = load_pull_page(&context, &owner, &name, &number).await?;
    let range = format!(
        "{}..{}",
        find_diff_base(&git, &head.pull).await?,
        head.pull.head_sha
    );
    render_page(&PullCommitsPage {
        frame: head.frame,
        current: head.tabs[1].label.clone(),
        commits: git.list_commits(&range, commit::MOST_COMMITS).await?,
        home: head.home,
        here: head.here,
        tabs: head.tabs,
        pull: head.pull,
    })
}

#[derive(Template)]
#[template(path = "pull_files.html")]
struct PullFilesPage {
    frame: PageLayout,
    home: String,
    here: String,
    tabs: Vec<HtmlLink>,
    current: String,
    pull: StoredPull,
    changes: Vec<FileChange>,
    total: i64,
}

pub(super) async fn show_pull_files(
    State(context): State<FakeGithubContext>,
    Path((owner, name, number)): PullPagePath,
) -> RestResult {
    let (head, _, git) = load_pull_page(&context, &owner, &name, &number).await?;
    let from = find_diff_base(&git, &head.pull).await?;
    let (changes, total) = commit::diff_files_for_page(&git, &from, &head.pull.head_sha).await?;
    render_page(&PullFilesPage {
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

/// A commit of a pull request, even if it was pushed away.
pub(super) async fn show_pull_commit(
    State(context): State<FakeGithubContext>,
    Path((owner, name, number, sha)): Path<(String, String, String, String)>,
) -> RestResult {
    let (_, repo, git) = load_pull_page(&context, &owner, &name, &number).await?;
    commit::show_commit(&context, &repo, &git, &sha).await
}

/// Every issue here is a pull request.
pub(super) async fn redirect_issue(Path((owner, name, number)): PullPagePath) -> RestResult {
    redirect_to(&format!("/{owner}/{name}/pull/{number}"))
}
