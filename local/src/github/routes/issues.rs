//! Comments and labels. Every issue of the stand-in is a pull request.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Input;
use crate::github::{
    Context,
    access::{self, ISSUES, Need},
    answer::{Error, Reply, created, no_content, ok},
    caller::Caller,
    events,
    paging::Paging,
    pulls,
    store::{Comment, Pull, Repo},
};

/// GitHub's limit in characters.
const LONGEST_BODY: usize = 65_536;

type Target = Path<(String, String, i64)>;

async fn find(
    context: &Context,
    caller: &Caller,
    target: &Target,
    need: Need,
) -> Result<(Repo, Pull), Error> {
    let Path((owner, name, number)) = target;
    let repo = context.repo(caller, (owner, name), need).await?;
    let pull = pulls::load(context, repo.id, *number).await?;
    Ok((repo, pull))
}

pub(super) async fn get(State(context): State<Context>, caller: Caller, target: Target) -> Reply {
    let (_, pull) = find(&context, &caller, &target, Need::read(ISSUES)).await?;
    ok(context.render().issue(&pull))
}

pub(super) async fn comments(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    paging: Paging,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::read(ISSUES)).await?;
    if paging.parameter("since").is_some() {
        return Err(Error::Unbuilt("listing comments since a time".to_owned()));
    }
    let comments = context.store.comments(&repo, pull.number).await?;
    paging.reply(comments, |comment| context.render().comment(&repo, comment))
}

#[derive(Deserialize)]
pub(super) struct Text {
    body: Option<String>,
}

impl Text {
    fn check(self) -> Result<String, Error> {
        let body = self.body.filter(|body| !body.trim().is_empty());
        let body = body.ok_or_else(|| Error::field("IssueComment", "body", "missing_field"))?;
        if body.chars().count() > LONGEST_BODY {
            return Err(Error::custom(
                "IssueComment",
                "body is too long (maximum is 65536 characters)",
            ));
        }
        Ok(body)
    }
}

pub(super) async fn add_comment(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    Input(text): Input<Text>,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::take_part(ISSUES)).await?;
    let author = caller.account()?;
    let id = context
        .store
        .add_comment(repo.id, pull.number, author.id, &text.check()?)
        .await?;
    let comment = context
        .store
        .comment(&repo, id)
        .await?
        .ok_or(Error::NotFound)?;
    let pull = pulls::load(&context, repo.id, pull.number).await?;
    events::issue_comment(&context, &pull, &comment, author, "created", json!({})).await?;
    created(context.render().comment(&repo, &comment))
}

async fn find_comment(
    context: &Context,
    caller: &Caller,
    target: &Target,
    need: Need,
) -> Result<(Repo, Comment), Error> {
    let Path((owner, name, id)) = target;
    let repo = context.repo(caller, (owner, name), need).await?;
    let comment = context
        .store
        .comment(&repo, *id)
        .await?
        .ok_or(Error::NotFound)?;
    Ok((repo, comment))
}

/// One's own comment, or anybody's for who can push.
async fn own_comment(
    context: &Context,
    caller: &Caller,
    target: &Target,
) -> Result<(Repo, Comment), Error> {
    let (repo, comment) = find_comment(context, caller, target, Need::take_part(ISSUES)).await?;
    if caller.account()?.id != comment.author.id {
        access::check(&context.store, caller, &repo, Need::write(ISSUES)).await?;
    }
    Ok((repo, comment))
}

pub(super) async fn comment(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
) -> Reply {
    let (repo, comment) = find_comment(&context, &caller, &target, Need::read(ISSUES)).await?;
    ok(context.render().comment(&repo, &comment))
}

pub(super) async fn edit_comment(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    Input(text): Input<Text>,
) -> Reply {
    let (repo, old) = own_comment(&context, &caller, &target).await?;
    context.store.edit_comment(old.id, &text.check()?).await?;
    let comment = context
        .store
        .comment(&repo, old.id)
        .await?
        .ok_or(Error::NotFound)?;
    let pull = pulls::load(&context, repo.id, comment.number).await?;
    let more = json!({"changes": {"body": {"from": old.body}}});
    events::issue_comment(&context, &pull, &comment, caller.account()?, "edited", more).await?;
    ok(context.render().comment(&repo, &comment))
}

pub(super) async fn delete_comment(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
) -> Reply {
    let (repo, comment) = own_comment(&context, &caller, &target).await?;
    context.store.delete_comment(comment.id).await?;
    let pull = pulls::load(&context, repo.id, comment.number).await?;
    events::issue_comment(
        &context,
        &pull,
        &comment,
        caller.account()?,
        "deleted",
        json!({}),
    )
    .await?;
    no_content()
}

pub(super) async fn repo_labels(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name)): Path<(String, String)>,
    paging: Paging,
) -> Reply {
    let repo = context
        .repo(&caller, (&owner, &name), Need::read(ISSUES))
        .await?;
    let labels = context.store.labels_of_repo(repo.id).await?;
    paging.reply(labels, |label| context.render().label(&repo, label))
}

pub(super) async fn labels(
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    paging: Paging,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::read(ISSUES)).await?;
    paging.reply(pull.labels, |label| context.render().label(&repo, label))
}

/// `{"labels": [..]}` or the bare list; a label is a name or `{"name": ..}`.
fn names(input: &Value) -> Option<Vec<String>> {
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
    State(context): State<Context>,
    caller: Caller,
    target: Target,
    Input(input): Input<Value>,
) -> Reply {
    let (repo, pull) = find(&context, &caller, &target, Need::write(ISSUES)).await?;
    let names = names(&input).ok_or_else(|| Error::field("Label", "labels", "missing_field"))?;
    for name in names {
        let label = context.store.ensure_label(repo.id, &name).await?;
        if context.store.add_label(pull.id, label.id).await? {
            let pull = pulls::load(&context, repo.id, pull.number).await?;
            let more = json!({"label": context.render().label(&repo, &label)});
            events::pull_request(&context, &pull, caller.account()?, "labeled", more).await?;
        }
    }
    let labels = context.store.labels_of_pull(pull.id).await?;
    ok(context.render().labels(&repo, &labels))
}

pub(super) async fn remove_label(
    State(context): State<Context>,
    caller: Caller,
    Path((owner, name, number, label)): Path<(String, String, i64, String)>,
) -> Reply {
    let (repo, pull) = find(
        &context,
        &caller,
        &Path((owner, name, number)),
        Need::write(ISSUES),
    )
    .await?;
    let found = pull
        .labels
        .iter()
        .find(|found| found.name.eq_ignore_ascii_case(&label))
        .ok_or(Error::NotFound)?;
    context.store.remove_label(pull.id, found.id).await?;
    let now = pulls::load(&context, repo.id, pull.number).await?;
    let more = json!({"label": context.render().label(&repo, found)});
    events::pull_request(&context, &now, caller.account()?, "unlabeled", more).await?;
    ok(context.render().labels(&repo, &now.labels))
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
            assert_eq!(names(&input), Some(vec!["a".to_owned()]), "{input}");
        }
        assert_eq!(names(&json!({"labels": "a"})), None);
        assert_eq!(names(&json!([1])), None);
    }
}
