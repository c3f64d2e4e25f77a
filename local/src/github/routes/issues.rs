//! Routes of comments and labels. Every issue of the stand-in is a pull request.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JsonBody;
use crate::github::{
    FakeGithubContext,
    access::{self, ISSUES, RequiredPermission},
    caller::Caller,
    events,
    pagination::Pagination,
    pulls,
    response::{RestError, RestResult, reply_created, reply_json, reply_no_content},
    store::{StoredComment, StoredPull, StoredRepo},
};

/// GitHub's limit in characters.
const LONGEST_BODY: usize = 65_536;

type IssueRoutePath = Path<(String, String, i64)>;

async fn find_issue(
    context: &FakeGithubContext,
    caller: &Caller,
    target: &IssueRoutePath,
    need: RequiredPermission,
) -> Result<(StoredRepo, StoredPull), RestError> {
    let Path((owner, name, number)) = target;
    let repo = context.find_repo(caller, (owner, name), need).await?;
    let pull = pulls::load_pull(context, repo.id, *number).await?;
    Ok((repo, pull))
}

pub(super) async fn get_issue(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
) -> RestResult {
    let (_, pull) = find_issue(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(ISSUES),
    )
    .await?;
    reply_json(context.json_renderer().render_issue(&pull))
}

pub(super) async fn list_comments(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
    paging: Pagination,
) -> RestResult {
    let (repo, pull) = find_issue(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(ISSUES),
    )
    .await?;
    if paging.query_parameter("since").is_some() {
        return Err(RestError::Unbuilt(
            "listing comments since a time".to_owned(),
        ));
    }
    let comments = context.store.list_comments(&repo, pull.number).await?;
    paging.reply_with_page(comments, |comment| {
        context.json_renderer().render_comment(&repo, comment)
    })
}

#[derive(Deserialize)]
pub(super) struct CommentBody {
    body: Option<String>,
}

impl CommentBody {
    fn validate_body(self) -> Result<String, RestError> {
        let body = self.body.filter(|body| !body.trim().is_empty());
        let body =
            body.ok_or_else(|| RestError::field_error("IssueComment", "body", "missing_field"))?;
        if body.chars().count() > LONGEST_BODY {
            return Err(RestError::custom_error(
                "IssueComment",
                "body is too long (maximum is 65536 characters)",
            ));
        }
        Ok(body)
    }
}

pub(super) async fn create_comment(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
    JsonBody(text): JsonBody<CommentBody>,
) -> RestResult {
    let (repo, pull) = find_issue(
        &context,
        &caller,
        &target,
        RequiredPermission::to_participate(ISSUES),
    )
    .await?;
    let author = caller.require_account()?;
    let id = context
        .store
        .add_comment(repo.id, pull.number, author.id, &text.validate_body()?)
        .await?;
    let comment = context
        .store
        .find_comment(&repo, id)
        .await?
        .ok_or(RestError::NotFound)?;
    let pull = pulls::load_pull(&context, repo.id, pull.number).await?;
    events::emit_issue_comment(&context, &pull, &comment, author, "created", json!({})).await?;
    reply_created(context.json_renderer().render_comment(&repo, &comment))
}

async fn find_comment(
    context: &FakeGithubContext,
    caller: &Caller,
    target: &IssueRoutePath,
    need: RequiredPermission,
) -> Result<(StoredRepo, StoredComment), RestError> {
    let Path((owner, name, id)) = target;
    let repo = context.find_repo(caller, (owner, name), need).await?;
    let comment = context
        .store
        .find_comment(&repo, *id)
        .await?
        .ok_or(RestError::NotFound)?;
    Ok((repo, comment))
}

/// The caller's own comment; anybody's if the caller can push.
async fn own_comment(
    context: &FakeGithubContext,
    caller: &Caller,
    target: &IssueRoutePath,
) -> Result<(StoredRepo, StoredComment), RestError> {
    let (repo, comment) = find_comment(
        context,
        caller,
        target,
        RequiredPermission::to_participate(ISSUES),
    )
    .await?;
    if caller.require_account()?.id != comment.author.id {
        access::check_access(
            &context.store,
            caller,
            &repo,
            RequiredPermission::to_write(ISSUES),
        )
        .await?;
    }
    Ok((repo, comment))
}

pub(super) async fn get_comment(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
) -> RestResult {
    let (repo, comment) = find_comment(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(ISSUES),
    )
    .await?;
    reply_json(context.json_renderer().render_comment(&repo, &comment))
}

pub(super) async fn update_comment(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
    JsonBody(text): JsonBody<CommentBody>,
) -> RestResult {
    let (repo, old) = own_comment(&context, &caller, &target).await?;
    context
        .store
        .edit_comment(old.id, &text.validate_body()?)
        .await?;
    let comment = context
        .store
        .find_comment(&repo, old.id)
        .await?
        .ok_or(RestError::NotFound)?;
    let pull = pulls::load_pull(&context, repo.id, comment.number).await?;
    let more = json!({"changes": {"body": {"from": old.body}}});
    events::emit_issue_comment(
        &context,
        &pull,
        &comment,
        caller.require_account()?,
        "edited",
        more,
    )
    .await?;
    reply_json(context.json_renderer().render_comment(&repo, &comment))
}

pub(super) async fn delete_comment(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
) -> RestResult {
    let (repo, comment) = own_comment(&context, &caller, &target).await?;
    context.store.delete_comment(comment.id).await?;
    let pull = pulls::load_pull(&context, repo.id, comment.number).await?;
    events::emit_issue_comment(
        &context,
        &pull,
        &comment,
        caller.require_account()?,
        "deleted",
        json!({}),
    )
    .await?;
    reply_no_content()
}

pub(super) async fn list_repo_labels(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Pagination,
) -> RestResult {
    let repo = context
        .find_repo(
            &caller,
            (&owner, &name),
            RequiredPermission::to_read(ISSUES),
        )
        .await?;
    let labels = context.store.list_labels_of_repo(repo.id).await?;
    paging.reply_with_page(labels, |label| {
        context.json_renderer().render_label(&repo, label)
    })
}

pub(super) async fn list_issue_labels(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
    paging: Pagination,
) -> RestResult {
    let (repo, pull) = find_issue(
        &context,
        &caller,
        &target,
        RequiredPermission::to_read(ISSUES),
    )
    .await?;
    paging.reply_with_page(pull.labels, |label| {
        context.json_renderer().render_label(&repo, label)
    })
}

/// `{"labels": [..]}` or only the list. A label is a name or `{"name": ..}`.
fn parse_label_names(input: &Value) -> Option<Vec<String>> {
    let list = input.get("labels").unwrap_or(input).as_array()?;
    list.iter()
        .map(|label| {
            label
                .as_str()
                .or_else(|| label["name"].as_str())
                .map(str::to_owned)
        })
        .collect()
}

pub(super) async fn add_labels(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    target: IssueRoutePath,
    JsonBody(input): JsonBody<Value>,
) -> RestResult {
    let (repo, pull) = find_issue(
        &context,
        &caller,
        &target,
        RequiredPermission::to_write(ISSUES),
    )
    .await?;
    let names = parse_label_names(&input)
        .ok_or_else(|| RestError::field_error("Label", "labels", "missing_field"))?;
    for name in names {
        let label = context.store.ensure_label(repo.id, &name).await?;
        if context.store.add_label(pull.id, label.id).await? {
            let pull = pulls::load_pull(&context, repo.id, pull.number).await?;
            let more = json!({"label": context.json_renderer().render_label(&repo, &label)});
            events::emit_pull_request(&context, &pull, caller.require_account()?, "labeled", more)
                .await?;
        }
    }
    let labels = context.store.list_labels_of_pull(pull.id).await?;
    reply_json(context.json_renderer().render_labels(&repo, &labels))
}

pub(super) async fn remove_label(
    State(context): State<FakeGithubContext>,
    caller: Caller,
    Path((owner, name, number, label)): Path<(String, String, i64, String)>,
) -> RestResult {
    let (repo, pull) = find_issue(
        &context,
        &caller,
        &Path((owner, name, number)),
        RequiredPermission::to_write(ISSUES),
    )
    .await?;
    let found = pull
        .labels
        .iter()
        .find(|found| found.name.eq_ignore_ascii_case(&label))
        .ok_or(RestError::NotFound)?;
    context.store.remove_label(pull.id, found.id).await?;
    let now = pulls::load_pull(&context, repo.id, pull.number).await?;
    let more = json!({"label": context.json_renderer().render_label(&repo, found)});
    events::emit_pull_request(&context, &now, caller.require_account()?, "unlabeled", more).await?;
    reply_json(context.json_renderer().render_labels(&repo, &now.labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_in_every_form_github_takes() {
        for input in [
            json!({"labels": ["a"]}),
            json!(["a"]),
            json!([{"name": "a"}]),
            json!({"labels": [{"name": "a"}]}),
        ] {
            assert_eq!(
                parse_label_names(&input),
                Some(vec!["a".to_owned()]),
                "{input}"
            );
        }
        assert_eq!(parse_label_names(&json!({"labels": "a"})), None);
        assert_eq!(parse_label_names(&json!([1])), None);
    }
}
