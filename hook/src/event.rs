//! GitHub's events, with the fields somebody looks at and no other. What is missing or null is the
//! zero value, as in Go.
//!
//! The repository of an event is the one its signature was checked for ([`Identity`]); names in
//! the payload never replace it. An event nobody listens to is [`Event::Other`], whatever its
//! shape.

use common::{
    github::{PullRequest, User},
    prowjob::{null_default, null_defaults},
};
use serde::Deserialize;

use crate::webhook::Identity;

/// What happened, as far as plugins care.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    PullRequest(Box<PullRequestEvent>),
    /// Somebody said something: a comment, a review, or the text of what was opened.
    Comment(Comment),
    Push(Box<PushEvent>),
    /// Somebody pressed "Re-run" beside a check run, or for all of a commit.
    Rerun(Box<Rerun>),
    /// Nothing here listens to it.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PullRequestEvent {
    #[serde(deserialize_with = "null_default")]
    pub(crate) action: String,
    /// As it was when GitHub told of it.
    #[serde(deserialize_with = "null_default")]
    pub(crate) pull_request: PullRequest,
    pub(crate) label: Option<Label>,
    pub(crate) sender: Option<User>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) changes: Changes,
}

impl PullRequestEvent {
    /// Whether an edit moved the pull request to another base.
    pub(crate) fn base_changed(&self) -> bool {
        self.changes.base.is_some()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Label {
    #[serde(deserialize_with = "null_default")]
    pub(crate) name: String,
}

/// An edit's former values; the shape of the others depends on the event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Changes {
    base: Option<BaseChange>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct BaseChange {}

/// A text that may hold commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Comment {
    pub(crate) action: CommentAction,
    /// Of the issue or pull request.
    pub(crate) number: u64,
    pub(crate) is_pull: bool,
    pub(crate) is_open: bool,
    pub(crate) body: String,
    pub(crate) html_url: String,
    pub(crate) author: User,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CommentAction {
    #[default]
    Created,
    Edited,
    Deleted,
}

impl CommentAction {
    /// Opening something says its text, as submitting a review does.
    fn of(action: &str) -> Option<Self> {
        Some(match action {
            "created" | "opened" | "submitted" => Self::Created,
            "edited" => Self::Edited,
            "deleted" | "dismissed" => Self::Deleted,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PushEvent {
    #[serde(rename = "ref", deserialize_with = "null_default")]
    pub(crate) git_ref: String,
    /// What the ref points at: of an annotated tag, the tag's own object.
    #[serde(deserialize_with = "null_default")]
    pub(crate) after: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) head_commit: HeadCommit,
    #[serde(deserialize_with = "null_default")]
    pub(crate) deleted: bool,
    /// Link to what was pushed.
    #[serde(deserialize_with = "null_default")]
    pub(crate) compare: String,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) commits: Vec<Commit>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) repository: PushRepository,
}

impl PushEvent {
    /// The commit that was pushed.
    pub(crate) fn commit_sha(&self) -> &str {
        match self.head_commit.id.as_str() {
            "" => &self.after,
            id => id,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct HeadCommit {
    #[serde(deserialize_with = "null_default")]
    pub(crate) id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PushRepository {
    #[serde(deserialize_with = "null_default")]
    pub(crate) html_url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Commit {
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) added: Vec<String>,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) removed: Vec<String>,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) modified: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rerun {
    /// The check run's name; `None` for all that failed.
    pub(crate) context: Option<String>,
    pub(crate) head_sha: String,
    /// The slug of the App whose check run it is.
    pub(crate) app: String,
    /// The name of the `ProwJob` that the check run is of.
    pub(crate) prowjob: String,
    /// Pull requests of the commit, without those from forks.
    pub(crate) pulls: Vec<u64>,
    pub(crate) html_url: String,
    pub(crate) sender: User,
}

/// A check run or a check suite, which share what matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Check {
    #[serde(deserialize_with = "null_default")]
    name: String,
    #[serde(deserialize_with = "null_default")]
    head_sha: String,
    #[serde(deserialize_with = "null_default")]
    external_id: String,
    #[serde(deserialize_with = "null_default")]
    html_url: String,
    app: Option<CheckApp>,
    #[serde(deserialize_with = "null_defaults")]
    pull_requests: Vec<Numbered>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckApp {
    #[serde(deserialize_with = "null_default")]
    slug: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckEvent {
    #[serde(deserialize_with = "null_default")]
    action: String,
    check_run: Option<Check>,
    check_suite: Option<Check>,
    sender: Option<User>,
}

impl CheckEvent {
    fn rerun(self) -> Option<Event> {
        let is_run = self.check_run.is_some();
        let check = self.check_run.or(self.check_suite)?;
        (self.action == "rerequested").then(|| {
            Event::Rerun(Box::new(Rerun {
                context: is_run.then_some(check.name),
                head_sha: check.head_sha,
                app: check.app.map(|app| app.slug).unwrap_or_default(),
                prowjob: check.external_id,
                pulls: check
                    .pull_requests
                    .iter()
                    .filter_map(|pull| pull.number)
                    .collect(),
                html_url: check.html_url,
                sender: self.sender.unwrap_or_default(),
            }))
        })
    }
}

/// The events of one delivery, in the order they are acted on: opening a pull request is also
/// a comment with its text.
pub(crate) fn parse(kind: &str, body: &[u8]) -> Result<Vec<Event>, serde_json::Error> {
    Ok(match kind {
        "pull_request" => {
            let event = Event::PullRequest(serde_json::from_slice(body)?);
            let said: Said = serde_json::from_slice(body)?;
            [Some(event), said.pull_request_text()]
                .into_iter()
                .flatten()
                .collect()
        }
        "issue_comment" => said(body, Said::issue_comment)?,
        "issues" => said(body, Said::issue_text)?,
        "pull_request_review" => said(body, Said::review)?,
        "pull_request_review_comment" => said(body, Said::review_comment)?,
        "check_run" | "check_suite" => {
            let event: CheckEvent = serde_json::from_slice(body)?;
            vec![event.rerun().unwrap_or(Event::Other)]
        }
        "push" => vec![Event::Push(serde_json::from_slice(body)?)],
        _ => vec![Event::Other],
    })
}

fn said(
    body: &[u8],
    read: impl FnOnce(Said) -> Option<Event>,
) -> Result<Vec<Event>, serde_json::Error> {
    let said: Said = serde_json::from_slice(body)?;
    Ok(vec![read(said).unwrap_or(Event::Other)])
}

/// The parts of the five kinds of payload that carry a text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(deserialize_with = "null_default")]
    action: String,
    issue: Option<Subject>,
    pull_request: Option<Subject>,
    comment: Option<Text>,
    review: Option<Text>,
}

/// An issue or a pull request. What is opened is a text as well.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Subject {
    #[serde(deserialize_with = "null_default")]
    number: u64,
    #[serde(deserialize_with = "null_default")]
    state: String,
    /// There when the issue is a pull request.
    pull_request: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    text: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text {
    #[serde(deserialize_with = "null_default")]
    body: String,
    #[serde(deserialize_with = "null_default")]
    html_url: String,
    user: Option<User>,
}

impl Said {
    fn issue_comment(self) -> Option<Event> {
        let issue = self.issue?;
        let is_pull = issue.pull_request.is_some();
        comment(&self.action, &issue, is_pull, self.comment?)
    }

    fn issue_text(self) -> Option<Event> {
        opened_or_edited(&self.action, self.issue?, false)
    }

    fn pull_request_text(self) -> Option<Event> {
        opened_or_edited(&self.action, self.pull_request?, true)
    }

    fn review(self) -> Option<Event> {
        comment(&self.action, &self.pull_request?, true, self.review?)
    }

    fn review_comment(self) -> Option<Event> {
        comment(&self.action, &self.pull_request?, true, self.comment?)
    }
}

fn opened_or_edited(action: &str, subject: Subject, is_pull: bool) -> Option<Event> {
    let text = Text {
        body: subject.text.body.clone(),
        html_url: subject.text.html_url.clone(),
        user: subject.text.user.clone(),
    };
    comment(action, &subject, is_pull, text)
}

fn comment(action: &str, subject: &Subject, is_pull: bool, text: Text) -> Option<Event> {
    Some(Event::Comment(Comment {
        action: CommentAction::of(action)?,
        number: subject.number,
        is_pull,
        is_open: subject.state == "open",
        body: text.body,
        html_url: text.html_url,
        author: text.user.unwrap_or_default(),
    }))
}

/// The few fields that say which lane a delivery belongs to, whatever the event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Outline {
    number: Option<u64>,
    issue: Option<Numbered>,
    pull_request: Option<Numbered>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Numbered {
    number: Option<u64>,
    base: Option<Base>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Base {
    repo: Option<BaseRepo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BaseRepo {
    full_name: Option<String>,
}

impl Outline {
    /// A payload of another shape has no outline.
    pub(crate) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The repository that the pull request would be merged into.
    pub(crate) fn base_repository(&self) -> Option<(&str, &str)> {
        let base = self.pull_request.as_ref()?.base.as_ref()?;
        let full_name = base.repo.as_ref()?.full_name.as_deref()?;
        Some(full_name.split_once('/').unwrap_or((full_name, "")))
    }

    /// Of the issue or pull request.
    pub(crate) fn number(&self) -> Option<u64> {
        let of = |numbered: &Option<Numbered>| numbered.as_ref().and_then(|it| it.number);
        of(&self.pull_request).or(of(&self.issue)).or(self.number)
    }

    /// Events of one pull request, and pushes to one ref, are acted on in order.
    pub(crate) fn lane(&self, identity: &Identity, event: &str, guid: &str) -> String {
        let Identity { org, repo } = identity;
        match (event, self.number(), &self.git_ref) {
            ("push", _, Some(git_ref)) => format!("{org}/{repo}@{git_ref}"),
            (_, Some(number), _) => format!("{org}/{repo}#{number}"),
            // Nothing to keep in order with.
            _ => guid.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
