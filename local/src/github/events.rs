//! Webhook events for Apps: one function per event, from rows to queued deliveries.

use serde_json::{Value, json};

use super::{
    FakeGithubContext,
    render::{APP_EVENTS, extend_object},
    store::{
        AccountKind, OutgoingDelivery, StoredAccount, StoredApp, StoredCheckRun, StoredComment,
        StoredInstallation, StoredPull, StoredRepo, StoredStatus,
    },
    webhook_sender::enqueue_delivery,
};

/// Sends the event to every App that is installed on the repository's owner. All get the same
/// delivery id, as on GitHub.
pub(crate) async fn emit_repo_event(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    sender: &StoredAccount,
    event: &str,
    mut payload: Value,
) -> anyhow::Result<()> {
    let render = context.json_renderer();
    payload["sender"] = render.render_user(sender);
    if payload.get("repository").is_none() {
        payload["repository"] = render.render_repo(repo);
    }
    if repo.owner.kind == AccountKind::Organization {
        payload["organization"] = render.render_organization(&repo.owner);
    }
    let guid = uuid::Uuid::new_v4().to_string();
    for installation in context.store.list_installations_on(repo.owner.id).await? {
        payload["installation"] = simple_installation(&installation);
        let delivery = OutgoingDelivery {
            guid: &guid,
            app: installation.app,
            installation: Some(installation.id),
            repo: Some(repo.id),
            event,
            action: payload["action"].as_str(),
            payload: &payload.to_string(),
            redelivery: false,
        };
        enqueue_delivery(context, &delivery).await?;
    }
    Ok(())
}

fn simple_installation(installation: &StoredInstallation) -> Value {
    json!({
        "id": installation.id,
        "node_id": super::render::node_id("IntegrationInstallation", installation.id),
    })
}

/// Sends a pull request as it is now. `mergeable` is still unknown then, as in GitHub's webhooks.
pub(crate) async fn emit_pull_request(
    context: &FakeGithubContext,
    pull: &StoredPull,
    sender: &StoredAccount,
    action: &str,
    more: Value,
) -> anyhow::Result<()> {
    let mut shown = context.json_renderer().render_pull(pull);
    if !pull.is_merged() {
        shown["mergeable"] = Value::Null;
        shown["rebaseable"] = Value::Null;
        shown["mergeable_state"] = "unknown".into();
    }
    let mut payload = json!({"action": action, "number": pull.number, "pull_request": shown});
    extend_object(&mut payload, more);
    emit_repo_event(context, &pull.repo, sender, "pull_request", payload).await
}

pub(crate) async fn emit_issue_comment(
    context: &FakeGithubContext,
    pull: &StoredPull,
    comment: &StoredComment,
    sender: &StoredAccount,
    action: &str,
    more: Value,
) -> anyhow::Result<()> {
    let render = context.json_renderer();
    let mut payload = json!({"action": action, "issue": render.render_issue(pull), "comment": render.render_comment(&pull.repo, comment)});
    extend_object(&mut payload, more);
    emit_repo_event(context, &pull.repo, sender, "issue_comment", payload).await
}

pub(crate) async fn emit_status(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    status: &StoredStatus,
    sender: &StoredAccount,
) -> anyhow::Result<()> {
    let render = context.json_renderer();
    let git = context.open_bare_repo(repo);
    let commit = render.render_commit(repo, &git.read_commit(&status.sha).await?);
    let mut branches = Vec::new();
    for branch in git
        .list_refs("refs/heads/")
        .await?
        .iter()
        .filter(|branch| branch.sha == status.sha)
    {
        branches.push(render.render_short_branch(repo, branch));
    }
    let mut payload = render.render_status(repo, status, false);
    for unknown in ["url", "node_id"] {
        payload
            .as_object_mut()
            .expect("a status is an object")
            .remove(unknown);
    }
    let more = json!({"sha": status.sha, "name": repo.full_name(), "commit": without_verified_at(commit), "branches": branches});
    extend_object(&mut payload, more);
    emit_repo_event(context, repo, sender, "status", payload).await
}

/// `verification.verified_at` is newer than the published schema of this webhook.
fn without_verified_at(mut commit: Value) -> Value {
    if let Some(verification) = commit["commit"]["verification"].as_object_mut() {
        verification.remove("verified_at");
    }
    commit
}

pub(crate) async fn emit_check_run(
    context: &FakeGithubContext,
    repo: &StoredRepo,
    run: &StoredCheckRun,
    sender: &StoredAccount,
    action: &str,
) -> anyhow::Result<()> {
    let payload = json!({"action": action, "check_run": context.json_renderer().render_webhook_check_run(repo, run)});
    emit_repo_event(context, repo, sender, "check_run", payload).await
}

/// Sent when an App's webhook is set.
pub(crate) async fn emit_ping(context: &FakeGithubContext, app: &StoredApp) -> anyhow::Result<()> {
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
            "events": APP_EVENTS,
            "config": {"content_type": "json", "url": app.webhook_url, "secret": "********", "insecure_ssl": "0"},
            "updated_at": app.created_at,
            "created_at": app.created_at,
            "url": url,
            "ping_url": format!("{url}/pings"),
            "deliveries_url": format!("{url}/deliveries"),
        },
    });
    emit_to_app(context, app, None, "ping", &payload).await
}

pub(crate) async fn emit_installation(
    context: &FakeGithubContext,
    app: &StoredApp,
    installation: &StoredInstallation,
) -> anyhow::Result<()> {
    let render = context.json_renderer();
    let repos = context.store.list_repos_of(installation.account.id).await?;
    let short = repos.iter().map(|repo| {
        let full = render.render_simple_repo(repo);
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
        "installation": render.render_installation(app, installation),
        "repositories": short.collect::<Vec<_>>(),
        "sender": render.render_user(&installation.account),
    });
    emit_to_app(
        context,
        app,
        Some(installation.id),
        "installation",
        &payload,
    )
    .await
}

async fn emit_to_app(
    context: &FakeGithubContext,
    app: &StoredApp,
    installation: Option<i64>,
    event: &str,
    payload: &Value,
) -> anyhow::Result<()> {
    let delivery = OutgoingDelivery {
        guid: &uuid::Uuid::new_v4().to_string(),
        app: app.id,
        installation,
        repo: None,
        event,
        action: payload["action"].as_str(),
        payload: &payload.to_string(),
        redelivery: false,
    };
    enqueue_delivery(context, &delivery).await?;
    Ok(())
}
