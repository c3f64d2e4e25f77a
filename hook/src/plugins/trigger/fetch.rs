//! Fetches the facts that decisions miss: the thin part, one call a fact.

use super::{
    Call, Error,
    facts::{Facts, Need},
};
use crate::webhook::Identity;

/// Puts what `need` names into `facts`.
pub(super) async fn fetch(need: Need, facts: &mut Facts, call: Call<'_>) -> Result<(), Error> {
    let identity = &call.delivery.identity;
    let Identity { org, repo } = identity;
    let github = &call.shared.github;
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
        Need::PullAt { sha, prowjob } => {
            let prowjobs = &call.shared.prowjobs;
            facts.pull_at = Some(prowjobs.pull_at(identity, &sha, &prowjob).await?);
        }
        Need::BaseSha(base_ref) => {
            facts.base_sha = Some(github.branch_sha(org, repo, &base_ref).await?);
        }
        Need::ChangedFiles(number) => {
            facts.changed_files = Some(github.changed_files(org, repo, number).await?);
        }
        Need::Statuses(sha) => {
            facts.statuses = Some(github.combined_status(org, repo, &sha).await?);
        }
        Need::InRepo { base_sha, head } => {
            let reader = &call.shared.in_repo;
            let own = reader
                .read(identity, &base_sha, head.as_ref(), call.config)
                .await?;
            match head {
                Some(_) => facts.own_merged = Some(own),
                None => facts.own_at_base = Some(own),
            }
        }
    }
    Ok(())
}
