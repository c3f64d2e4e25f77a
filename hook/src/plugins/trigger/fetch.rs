//! Fetches the facts that decisions miss: the thin part, one call a fact.

use futures::future::try_join_all;

use super::{
    Call, Error,
    facts::{Facts, Need},
    pull_request,
};
use crate::{event::Event, webhook::Identity};

/// Attempts at a delivery before what git says is believed, though it may pass: seven seconds.
const GIT_ATTEMPTS: u32 = 4;

/// What `need` names, and side by side with it what will be asked for next.
pub(super) async fn fetch(need: Need, call: Call<'_>) -> Result<Facts, Error> {
    let mut needs = beside(&need, call);
    needs.push(need);
    let mut facts = Facts::default();
    for found in try_join_all(needs.into_iter().map(|need| one(need, call))).await? {
        facts.merge(found);
    }
    Ok(facts)
}

/// What every decision asks for that asks for the pull request.
fn beside(need: &Need, call: Call<'_>) -> Vec<Need> {
    let Identity { org, repo } = &call.delivery.identity;
    let is_member = |user: &str| Need::Member {
        org: org.clone(),
        user: user.to_owned(),
    };
    match (need, call.event) {
        (Need::PullNow(_), Event::PullRequest(event)) if pull_request::may_start(event) => {
            let pull = &event.pull_request;
            let mut needs = vec![is_member(&pull.user.login)];
            if call.config.prow.in_repo_config.is_enabled(org, repo) {
                needs.push(Need::BaseSha(pull.base.git_ref.clone()));
            }
            needs.retain(|need| *need != Need::BaseSha(String::new()));
            needs
        }
        (Need::Pull(_), Event::Comment(comment)) => vec![is_member(&comment.author.login)],
        _ => Vec::new(),
    }
}

async fn one(need: Need, call: Call<'_>) -> Result<Facts, Error> {
    let identity = &call.delivery.identity;
    let Identity { org, repo } = identity;
    let github = &call.shared.github;
    let mut facts = Facts::default();
    match need {
        Need::Bot => facts.bot = Some(github.bot_login().await?),
        Need::Member { org, user } => {
            let is = github.is_member(&org, &user).await?;
            facts.members.insert((org, user), is);
        }
        Need::Collaborator(user) => {
            let is = github.is_collaborator(org, repo, &user).await?;
            facts.collaborators.insert(user, is);
        }
        Need::Pull(number) => {
            facts.pull = Some(github.pull_request(org, repo, number).await?);
        }
        Need::PullNow(number) => {
            let pull = github.pull_request_if_there(org, repo, number).await?;
            facts.pull_now = Some(pull);
        }
        Need::PullAt { sha, prowjob } => {
            let prowjobs = &call.shared.prowjobs;
            facts.pull_at = Some(prowjobs.pull_at(identity, &sha, &prowjob).await?);
        }
        Need::BaseSha(base_ref) => {
            let sha = github.branch_sha(org, repo, &base_ref).await?;
            facts.base_shas.insert(base_ref, sha);
        }
        Need::ChangedFiles(number) => {
            facts.changed_files = Some(github.changed_files(org, repo, number).await?);
        }
        Need::Statuses(sha) => {
            facts.statuses = Some(github.combined_status(org, repo, &sha).await?);
        }
        Need::InRepo { base_sha, head } => {
            let reader = &call.shared.in_repo;
            let last = call.delivery.attempt >= GIT_ATTEMPTS;
            let own = reader
                .read(identity, &base_sha, head.as_ref(), call.config, last)
                .await?;
            facts.own.insert((base_sha, head), own);
        }
    }
    Ok(facts)
}
