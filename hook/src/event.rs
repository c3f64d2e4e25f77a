//! GitHub's webhook events, with only those fields that hook reads. A field that is missing or null
//! has its zero value, as in Go.
//!
//! The repository of an event is the [`RepositoryRef`] that its signature was checked for; names in
//! the payload never replace it. An event that no plugin handles is [`WebhookEvent::Other`],
//! whatever its shape.

use common::{
    github::{GithubPullRequest, GithubUser},
    prowjob::{null_default, null_defaults},
};
use serde::Deserialize;

use crate::webhook::RepositoryRef;

/// One event of a delivery, as plugins receive it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WebhookEvent {
    PullRequest(Box<PullRequestEvent>),
    /// A text: a comment, a review, or the description of what was opened.
    Comment(GenericCommentEvent),
    Push(Box<PushEvent>),
    /// Somebody pressed "Re-run" on one check run, or on all check runs of a commit.
    Rerun(Box<RerunEvent>),
    /// No plugin handles it.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PullRequestEvent {
    #[serde(deserialize_with = "null_default")]
    pub(crate) action: String,
    /// The state that GitHub sent with the event.
    #[serde(deserialize_with = "null_default")]
    pub(crate) pull_request: GithubPullRequest,
    pub(crate) label: Option<LabelPayload>,
    pub(crate) sender: Option<GithubUser>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) changes: PullRequestChanges,
}

impl PullRequestEvent {
    /// Whether an edit moved the pull request to another base.
    pub(crate) fn base_changed(&self) -> bool {
        self.changes.base.is_some()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct LabelPayload {
    #[serde(deserialize_with = "null_default")]
    pub(crate) name: String,
}

/// An edit's former base. The shape of other former values depends on the event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PullRequestChanges {
    base: Option<BaseChange>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct BaseChange {}

/// A text that may hold commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GenericCommentEvent {
    pub(crate) action: CommentAction,
    /// The number of the issue or pull request.
    pub(crate) number: u64,
    pub(crate) is_pull: bool,
    pub(crate) is_open: bool,
    pub(crate) body: String,
    pub(crate) html_url: String,
    pub(crate) author: GithubUser,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CommentAction {
    #[default]
    Created,
    Edited,
    Deleted,
}

impl CommentAction {
    /// Opening something counts as creating a comment with its text; so does submitting a review.
    fn parse_action(action: &str) -> Option<Self> {
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
    /// The object that the ref points at; for an annotated tag, the tag object itself.
    #[serde(deserialize_with = "null_default")]
    pub(crate) after: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) head_commit: HeadCommit,
    #[serde(deserialize_with = "null_default")]
    pub(crate) deleted: bool,
    /// Link to the pushed changes.
    #[serde(deserialize_with = "null_default")]
    pub(crate) compare: String,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) commits: Vec<PushCommit>,
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
pub(crate) struct PushCommit {
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) added: Vec<String>,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) removed: Vec<String>,
    #[serde(deserialize_with = "null_defaults")]
    pub(crate) modified: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RerunEvent {
    /// The check run's name; `None` stands for what `/retest` runs: jobs that failed or never ran.
    pub(crate) context: Option<String>,
    pub(crate) head_sha: String,
    /// The slug of the App that owns the check run.
    pub(crate) app: String,
    /// The name of the `ProwJob` that the check run reports.
    pub(crate) prowjob: String,
    /// Pull requests of the commit; those from forks are missing.
    pub(crate) pulls: Vec<u64>,
    pub(crate) html_url: String,
    pub(crate) sender: GithubUser,
}

/// A check run or a check suite. A suite has no name, `external_id` and page: these stay empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckPayload {
    #[serde(deserialize_with = "null_default")]
    name: String,
    #[serde(deserialize_with = "null_default")]
    head_sha: String,
    #[serde(deserialize_with = "null_default")]
    external_id: String,
    #[serde(deserialize_with = "null_default")]
    html_url: String,
    app: Option<CheckPayloadApp>,
    #[serde(deserialize_with = "null_defaults")]
    pull_requests: Vec<IssueRef>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckPayloadApp {
    #[serde(deserialize_with = "null_default")]
    slug: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckEvent {
    #[serde(deserialize_with = "null_default")]
    action: String,
    check_run: Option<CheckPayload>,
    check_suite: Option<CheckPayload>,
    sender: Option<GithubUser>,
}

impl CheckEvent {
    fn into_rerun_event(self) -> Option<WebhookEvent> {
        let is_run = self.check_run.is_some();
        let check = self.check_run.or(self.check_suite)?;
        (self.action == "rerequested").then(|| {
            WebhookEvent::Rerun(Box::new(RerunEvent {
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

/// The events of one delivery, in the order they are acted on. Opening a pull request is also a
/// comment with its text.
pub(crate) fn parse_events(
    kind: &str,
    body: &[u8],
) -> Result<Vec<WebhookEvent>, serde_json::Error> {
    Ok(match kind {
        "pull_request" => {
            let event = WebhookEvent::PullRequest(serde_json::from_slice(body)?);
            let said: CommentPayload = serde_json::from_slice(body)?;
            [Some(event), said.pull_request_text()]
                .into_iter()
                .flatten()
                .collect()
        }
        "issue_comment" => parse_comment_event(body, CommentPayload::issue_comment)?,
        "issues" => parse_comment_event(body, CommentPayload::issue_text)?,
        "pull_request_review" => parse_comment_event(body, CommentPayload::review_text)?,
        "pull_request_review_comment" => parse_comment_event(body, CommentPayload::review_comment)?,
        "check_run" | "check_suite" => {
            let event: CheckEvent = serde_json::from_slice(body)?;
            vec![event.into_rerun_event().unwrap_or(WebhookEvent::Other)]
        }
        "push" => vec![WebhookEvent::Push(serde_json::from_slice(body)?)],
        _ => vec![WebhookEvent::Other],
    })
}

fn parse_comment_event(
    body: &[u8],
    read: impl FnOnce(CommentPayload) -> Option<WebhookEvent>,
) -> Result<Vec<WebhookEvent>, serde_json::Error> {
    let said: CommentPayload = serde_json::from_slice(body)?;
    Ok(vec![read(said).unwrap_or(WebhookEvent::Other)])
}

/// The fields that hold a text in the five kinds of payload that carry one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CommentPayload {
    #[serde(deserialize_with = "null_default")]
    action: String,
    issue: Option<IssueOrPullRequest>,
    pull_request: Option<IssueOrPullRequest>,
    comment: Option<CommentText>,
    review: Option<CommentText>,
}

/// An issue or a pull request. Its description is a text, too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct IssueOrPullRequest {
    #[serde(deserialize_with = "null_default")]
    number: u64,
    #[serde(deserialize_with = "null_default")]
    state: String,
    /// Present when the issue is a pull request.
    pull_request: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    text: CommentText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CommentText {
    #[serde(deserialize_with = "null_default")]
    body: String,
    #[serde(deserialize_with = "null_default")]
    html_url: String,
    user: Option<GithubUser>,
}

impl CommentPayload {
    fn issue_comment(self) -> Option<WebhookEvent> {
        let issue = self.issue?;
        let is_pull = issue.pull_request.is_some();
        build_comment_event(&self.action, &issue, is_pull, self.comment?)
    }

    fn issue_text(self) -> Option<WebhookEvent> {
        opened_or_edited(&self.action, self.issue?, false)
    }

    fn pull_request_text(self) -> Option<WebhookEvent> {
        opened_or_edited(&self.action, self.pull_request?, true)
    }

    fn review_text(self) -> Option<WebhookEvent> {
        build_comment_event(&self.action, &self.pull_request?, true, self.review?)
    }

    fn review_comment(self) -> Option<WebhookEvent> {
        build_comment_event(&self.action, &self.pull_request?, true, self.comment?)
    }
}

fn opened_or_edited(
    action: &str,
    subject: IssueOrPullRequest,
    is_pull: bool,
) -> Option<WebhookEvent> {
    let text = CommentText {
        body: subject.text.body.clone(),
        html_url: subject.text.html_url.clone(),
        user: subject.text.user.clone(),
    };
    build_comment_event(action, &subject, is_pull, text)
}

fn build_comment_event(
    action: &str,
    subject: &IssueOrPullRequest,
    is_pull: bool,
    text: CommentText,
) -> Option<WebhookEvent> {
    Some(WebhookEvent::Comment(GenericCommentEvent {
        action: CommentAction::parse_action(action)?,
        number: subject.number,
        is_pull,
        is_open: subject.state == "open",
        body: text.body,
        html_url: text.html_url,
        author: text.user.unwrap_or_default(),
    }))
}

/// The few fields that determine a delivery's ordering key, whatever the event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PayloadHeader {
    number: Option<u64>,
    issue: Option<IssueRef>,
    pull_request: Option<IssueRef>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IssueRef {
    number: Option<u64>,
    base: Option<PullRequestBase>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PullRequestBase {
    repo: Option<PullRequestBaseRepo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PullRequestBaseRepo {
    full_name: Option<String>,
}

impl PayloadHeader {
    /// A payload of another shape gives an empty header.
    pub(crate) fn parse_payload(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The repository that the pull request would be merged into.
    pub(crate) fn base_repository(&self) -> Option<(&str, &str)> {
        let base = self.pull_request.as_ref()?.base.as_ref()?;
        let full_name = base.repo.as_ref()?.full_name.as_deref()?;
        Some(full_name.split_once('/').unwrap_or((full_name, "")))
    }

    /// The number of the issue or pull request.
    pub(crate) fn issue_number(&self) -> Option<u64> {
        let of = |numbered: &Option<IssueRef>| numbered.as_ref().and_then(|it| it.number);
        of(&self.pull_request).or(of(&self.issue)).or(self.number)
    }

    /// Events with one key are acted on in order: those of one pull request, pushes to one ref.
    pub(crate) fn ordering_key(&self, identity: &RepositoryRef, event: &str, guid: &str) -> String {
        let RepositoryRef { org, repo } = identity;
        match (event, self.issue_number(), &self.git_ref) {
            ("push", _, Some(git_ref)) => format!("{org}/{repo}@{git_ref}"),
            (_, Some(number), _) => format!("{org}/{repo}#{number}"),
            // Other events need no order.
            _ => guid.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
