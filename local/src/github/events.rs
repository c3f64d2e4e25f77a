//! What the stand-in tells Apps: one function an event, from rows to queued webhooks.

use serde_json::{Value, json};

use super::{
    Context,
    deliver::enqueue,
    render::{EVENTS, extend},
    store::{Account, App, CheckRun, Comment, Installation, Kind, NewDelivery, Pull, Repo, Status},
};

/// Tells every App that is installed on the repository's owner; all get the same delivery id, as at GitHub.
pub(crate) async fn emit(
    context: &Context,
    repo: &Repo,
    sender: &Account,
    event: &str,
    mut payload: Value,
) -> anyhow::Result<()> {
    let render = context.render();
    payload["sender"] = render.user(sender);
    if payload.get("repository").is_none() {
        payload["repository"] = render.repo(repo);
    }
    if repo.owner.kind == Kind::Organization {
        payload["organization"] = render.organization(&repo.owner);
    }
    let guid = uuid::Uuid::new_v4().to_string();
    for installation in context.store.installations_on(repo.owner.id).await? {
        payload["installation"] = lite(&installation);
        let delivery = NewDelivery {
            guid: &guid,
            app: installation.app,
            installation: Some(installation.id),
            repo: Some(repo.id),
            event,
            action: payload["action"].as_str(),
            payload: &payload.to_string(),
            redelivery: false,
        };
        enqueue(context, &delivery).await?;
    }
    Ok(())
}

fn lite(installation: &Installation) -> Value {
    json!({
        "id": installation.id,
        "node_id": super::render::node_id("IntegrationInstallation", installation.id),
    })
}

/// A pull request as it is now. Whether it can be merged is still unknown when GitHub tells of a change.
pub(crate) async fn pull_request(
    context: &Context,
    pull: &Pull,
    sender: &Account,
    action: &str,
    more: Value,
) -> anyhow::Result<()> {
    let mut shown = context.render().pull(pull);
    if !pull.merged() {
        shown["mergeable"] = Value::Null;
        shown["rebaseable"] = Value::Null;
        shown["mergeable_state"] = "unknown".into();
    }
    let mut payload = json!({"action": action, "number": pull.number, "pull_request": shown});
    extend(&mut payload, more);
    emit(context, &pull.repo, sender, "pull_request", payload).await
}

pub(crate) async fn issue_comment(
    context: &Context,
    pull: &Pull,
    comment: &Comment,
    sender: &Account,
    action: &str,
    more: Value,
) -> anyhow::Result<()> {
    let render = context.render();
    let mut payload = json!({"action": action, "issue": render.issue(pull), "comment": render.comment(&pull.repo, comment)});
    extend(&mut payload, more);
    emit(context, &pull.repo, sender, "issue_comment", payload).await
}

pub(crate) async fn status(
    context: &Context,
    repo: &Repo,
    status: &Status,
    sender: &Account,
) -> anyhow::Result<()> {
    let render = context.render();
    let git = context.git(repo);
    let commit = render.commit(repo, &git.commit(&status.sha).await?);
    let mut branches = Vec::new();
    for branch in git
        .refs("refs/heads/")
        .await?
        .iter()
        .filter(|branch| branch.sha == status.sha)
    {
        branches.push(render.short_branch(repo, branch));
    }
    let mut payload = render.status(repo, status, false);
    for unknown in ["url", "node_id"] {
        payload
            .as_object_mut()
            .expect("a status is an object")
            .remove(unknown);
    }
    let more = json!({"sha": status.sha, "name": repo.full_name(), "commit": without_checked_at(commit), "branches": branches});
    extend(&mut payload, more);
    emit(context, repo, sender, "status", payload).await
}

/// `verification.verified_at` is newer than the published schema of this webhook.
fn without_checked_at(mut commit: Value) -> Value {
    if let Some(verification) = commit["commit"]["verification"].as_object_mut() {
        verification.remove("verified_at");
    }
    commit
}

pub(crate) async fn check_run(
    context: &Context,
    repo: &Repo,
    run: &CheckRun,
    sender: &Account,
    action: &str,
) -> anyhow::Result<()> {
    let payload =
        json!({"action": action, "check_run": context.render().sent_check_run(repo, run)});
    emit(context, repo, sender, "check_run", payload).await
}

/// Sent when an App's webhook is set.
pub(crate) async fn ping(context: &Context, app: &App) -> anyhow::Result<()> {
    let url = format!("{}/app/hook", context.url);
    let payload = json!({
        "zen": "Keep it logically awesome.",
        "hook_id": app.id,
        "hook": {
            "type": "App",
            "id": app.id,
            "name": "web",
            "active": true,
            "app_id": app.id,
            "events": EVENTS,
            "config": {"content_type": "json", "url": app.webhook_url, "secret": "********", "insecure_ssl": "0"},
            "updated_at": app.created_at,
            "created_at": app.created_at,
            "url": url,
            "ping_url": format!("{url}/pings"),
            "deliveries_url": format!("{url}/deliveries"),
        },
    });
    to_app(context, app, None, "ping", &payload).await
}

pub(crate) async fn installed(
    context: &Context,
    app: &App,
    installation: &Installation,
) -> anyhow::Result<()> {
    let render = context.render();
    let repos = context.store.repos_of(installation.account.id).await?;
    let short = repos.iter().map(|repo| {
        let full = render.simple_repo(repo);
        json!({
            "id": repo.id,
            "node_id": full["node_id"],
            "name": repo.name,
            "full_name": full["full_name"],
            "private": repo.private,
        })
    });
    let payload = json!({
        "action": "created",
        "installation": render.installation(app, installation),
        "repositories": short.collect::<Vec<_>>(),
        "sender": render.user(&installation.account),
    });
    to_app(
        context,
        app,
        Some(installation.id),
        "installation",
        &payload,
    )
    .await
}

async fn to_app(
    context: &Context,
    app: &App,
    installation: Option<i64>,
    event: &str,
    payload: &Value,
) -> anyhow::Result<()> {
    let delivery = NewDelivery {
        guid: &uuid::Uuid::new_v4().to_string(),
        app: app.id,
        installation,
        repo: None,
        event,
        action: payload["action"].as_str(),
        payload: &payload.to_string(),
        redelivery: false,
    };
    enqueue(context, &delivery).await?;
    Ok(())
}
