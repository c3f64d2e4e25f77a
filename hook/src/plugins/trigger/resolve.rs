//! Resolves the lookups that decisions miss. It decides nothing, and makes one call per lookup.

use futures::future::try_join_all;

use super::{
    PluginError, PluginRequest,
    lookups::{MissingLookup, TriggerLookups},
    pull_request,
};
use crate::{event::WebhookEvent, webhook::RepositoryRef};

/// Attempts at a delivery before a git failure that may pass counts as final: seven seconds.
const GIT_ATTEMPTS: u32 = 4;

/// Resolves `need`, and at the same time what will be needed next.
pub(super) async fn resolve_lookups(
    need: MissingLookup,
    call: PluginRequest<'_>,
) -> Result<TriggerLookups, PluginError> {
    let mut needs = prefetchable_lookups(&need, call);
    needs.push(need);
    let mut facts = TriggerLookups::default();
    for found in try_join_all(needs.into_iter().map(|need| resolve_lookup(need, call))).await? {
        facts.merge_lookups(found);
    }
    Ok(facts)
}

/// What every decision needs next that needs the pull request.
fn prefetchable_lookups(need: &MissingLookup, call: PluginRequest<'_>) -> Vec<MissingLookup> {
    let RepositoryRef { org, repo } = &call.delivery.identity;
    let is_member = |user: &str| MissingLookup::Member {
        org: org.clone(),
        user: user.to_owned(),
    };
    match (need, call.event) {
        (MissingLookup::PullNow(_), WebhookEvent::PullRequest(event))
            if pull_request::may_start(event) =>
        {
            let pull = &event.pull_request;
            let mut needs = vec![is_member(&pull.user.login)];
            if call.config.prow.in_repo_config.is_enabled(org, repo) {
                needs.push(MissingLookup::BaseSha(pull.base.git_ref.clone()));
            }
            needs.retain(|need| *need != MissingLookup::BaseSha(String::new()));
            needs
        }
        (MissingLookup::Pull(_), WebhookEvent::Comment(comment)) => {
            vec![is_member(&comment.author.login)]
        }
        _ => Vec::new(),
    }
}

async fn resolve_lookup(
    need: MissingLookup,
    call: PluginRequest<'_>,
) -> Result<TriggerLookups, PluginError> {
    let identity = &call.delivery.identity;
    let RepositoryRef { org, repo } = identity;
    let github = &call.shared.github;
    let mut facts = TriggerLookups::default();
    match need {
        MissingLookup::Bot => facts.bot = Some(github.bot_login().await?),
        MissingLookup::Member { org, user } => {
            let is = github.is_member(&org, &user).await?;
            facts.members.insert((org, user), is);
        }
        MissingLookup::Collaborator(user) => {
            let is = github.is_collaborator(org, repo, &user).await?;
            facts.collaborators.insert(user, is);
        }
        MissingLookup::Pull(number) => {
            facts.pull = Some(github.get_pull_request(org, repo, number).await?);
        }
        MissingLookup::PullNow(number) => {
            let pull = github.find_pull_request(org, repo, number).await?;
            facts.pull_now = Some(pull);
        }
        MissingLookup::PullAt { sha, prowjob } => {
            let prowjobs = &call.shared.prowjobs;
            facts.pull_at = Some(prowjobs.find_pull_at(identity, &sha, &prowjob).await?);
        }
        MissingLookup::BaseSha(base_ref) => {
            let sha = github.get_branch_sha(org, repo, &base_ref).await?;
            facts.base_shas.insert(base_ref, sha);
        }
        MissingLookup::ChangedFiles(number) => {
            facts.changed_files = Some(github.list_changed_files(org, repo, number).await?);
        }
        MissingLookup::Statuses(sha) => {
            facts.statuses = Some(github.get_combined_status(org, repo, &sha).await?);
        }
        MissingLookup::InRepo { base_sha, head } => {
            let reader = &call.shared.in_repo;
            let last = call.delivery.attempt >= GIT_ATTEMPTS;
            let own = reader
                .read_in_repo_config(identity, &base_sha, head.as_ref(), call.config, last)
                .await?;
            facts.own.insert((base_sha, head), own);
        }
    }
    Ok(facts)
}
