//! Merges a pull request, as GitHub's button does.

use serde_json::json;

use super::{
    FakeGithubContext, events,
    git::{GitSignature, MergeTreeResult},
    pulls, push,
    response::RestError,
    store::{PullState, StoredAccount, StoredPull, current_timestamp},
};

/// The parameters of a merge. Missing ones have GitHub's defaults.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct MergePullBody {
    pub(crate) commit_title: Option<String>,
    pub(crate) commit_message: Option<String>,
    /// The merge fails if the head is another commit.
    pub(crate) sha: Option<String>,
    pub(crate) merge_method: Option<String>,
}

/// Returns the new commit on the base branch.
pub(crate) async fn merge_pull(
    context: &FakeGithubContext,
    mut pull: StoredPull,
    by: &StoredAccount,
    wish: &MergePullBody,
) -> Result<String, RestError> {
    let refused = |why: &str| RestError::NotMergeable(why.to_owned());
    if wish.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
        return Err(RestError::Conflict(
            "Head branch was modified. Review and try the merge again.".to_owned(),
        ));
    }
    if pull.state == PullState::Closed || pull.draft {
        return Err(refused("Pull Request is not mergeable"));
    }
    let git = context.open_bare_repo(&pull.repo);
    let base = git
        .find_branch_tip(&pull.base_ref)
        .await?
        .ok_or_else(|| refused("Base branch does not exist"))?;
    let MergeTreeResult::Tree(tree) = git.merge_tree(&base, &pull.head_sha).await? else {
        return Err(refused("Pull Request has merge conflicts"));
    };
    let (message, parents) = match wish.merge_method.as_deref() {
        None | Some("merge") => (
            merge_message(&pull, wish),
            vec![base.as_str(), &pull.head_sha],
        ),
        Some("squash") => (squash_message(&pull, wish), vec![base.as_str()]),
        Some("rebase") => {
            return Err(RestError::Unbuilt(
                "merging with merge_method rebase".to_owned(),
            ));
        }
        Some(_) => {
            return Err(RestError::field_error(
                "PullRequest",
                "merge_method",
                "invalid",
            ));
        }
    };
    let author = GitSignature {
        name: by.login.clone(),
        email: push::noreply_email(by),
        date: current_timestamp(),
    };
    let sha = git.commit_tree(&tree, &parents, &message, &author).await?;
    let before = git.list_refs("refs/").await?;
    git.set_ref(&format!("refs/heads/{}", pull.base_ref), &sha)
        .await?;

    let time = current_timestamp();
    pull.state = PullState::Closed;
    pull.closed_at = Some(time.clone());
    pull.merged_at = Some(time);
    pull.merged_by = Some(by.clone());
    pull.merge_sha = Some(sha.clone());
    context.store.save_pull(&pull).await?;
    let pull = pulls::load_pull(context, pull.repo.id, pull.number).await?;
    events::emit_pull_request(context, &pull, by, "closed", json!({})).await?;
    push::process_ref_updates(context, &pull.repo, &before, by).await?;
    Ok(sha)
}

fn merge_message(pull: &StoredPull, wish: &MergePullBody) -> String {
    let title = wish.commit_title.clone().unwrap_or_else(|| {
        format!(
            "Merge pull request #{} from {}/{}",
            pull.number, pull.head_repo.owner.login, pull.head_ref
        )
    });
    format!(
        "{title}\n\n{}",
        wish.commit_message.as_deref().unwrap_or(&pull.title)
    )
}

fn squash_message(pull: &StoredPull, wish: &MergePullBody) -> String {
    let title = wish
        .commit_title
        .clone()
        .unwrap_or_else(|| format!("{} (#{})", pull.title, pull.number));
    format!(
        "{title}\n\n{}",
        wish.commit_message.as_deref().unwrap_or_default()
    )
    .trim_end()
    .to_owned()
}
