//! Renders pull requests, also as issues, their comments and labels.

use serde_json::{Value, json};

use super::{JsonRenderer, encode_url_path, extend_object, node_id};
use crate::github::store::{StoredComment, StoredLabel, StoredPull, StoredRepo};

impl JsonRenderer<'_> {
    pub(crate) fn pull_html_url(&self, pull: &StoredPull) -> String {
        format!("{}/pull/{}", self.repo_html_url(&pull.repo), pull.number)
    }

    /// A pull request as in lists.
    pub(crate) fn render_simple_pull(&self, pull: &StoredPull) -> Value {
        let api = self.repo_url(&pull.repo);
        let url = format!("{api}/pulls/{}", pull.number);
        let issue = format!("{api}/issues/{}", pull.number);
        let page = self.pull_html_url(pull);
        let statuses = format!("{api}/statuses/{}", pull.head_sha);
        let side = |repo: &StoredRepo, name: &str, sha: &str| {
            json!({
                "label": format!("{}:{name}", repo.owner.login),
                "ref": name,
                "sha": sha,
                "user": self.render_user(&repo.owner),
                "repo": self.render_repo(repo),
            })
        };
        let link = |href: &str| json!({ "href": href });
        let links = json!({
            "url": url,
            "id": pull.id,
            "node_id": node_id("PullRequest", pull.id),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "issue_url": issue,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
            "comments_url": format!("{issue}/comments"),
            "statuses_url": statuses,
            "_links": {
                "self": link(&url),
                "html": link(&page),
                "issue": link(&issue),
                "comments": link(&format!("{issue}/comments")),
                "review_comments": link(&format!("{url}/comments")),
                "review_comment": link(&format!("{api}/pulls/comments{{/number}}")),
                "commits": link(&format!("{url}/commits")),
                "statuses": link(&statuses),
            },
        });
        let mut value = json!({
            "number": pull.number,
            "state": pull.state.as_str(),
            "locked": false,
            "active_lock_reason": null,
            "title": pull.title,
            "user": self.render_user(&pull.author),
            "body": pull.body,
            "labels": self.render_labels(&pull.repo, &pull.labels),
            "milestone": null,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_sha,
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "draft": pull.draft,
            "head": side(&pull.head_repo, &pull.head_ref, &pull.head_sha),
            "base": side(&pull.repo, &pull.base_ref, &pull.base_sha),
            "author_association": pull.association,
            "auto_merge": null,
        });
        extend_object(&mut value, links);
        value
    }

    pub(crate) fn render_pull(&self, pull: &StoredPull) -> Value {
        let mut value = self.render_simple_pull(pull);
        let state = match pull.mergeable {
            None => "unknown",
            Some(false) => "dirty",
            Some(true) if pull.draft => "draft",
            Some(true) => "clean",
        };
        let more = json!({
            "merged": pull.is_merged(),
            "mergeable": pull.mergeable,
            "rebaseable": pull.mergeable,
            "mergeable_state": state,
            "merged_by": pull.merged_by.as_ref().map(|account| self.render_user(account)),
            "comments": pull.comments,
            "review_comments": 0,
            "maintainer_can_modify": false,
            "commits": pull.sizes.commits,
            "additions": pull.sizes.additions,
            "deletions": pull.sizes.deletions,
            "changed_files": pull.sizes.changed_files,
        });
        extend_object(&mut value, more);
        value
    }

    /// The pull request as an issue.
    pub(crate) fn render_issue(&self, pull: &StoredPull) -> Value {
        let api = self.repo_url(&pull.repo);
        let url = format!("{api}/issues/{}", pull.number);
        let page = self.pull_html_url(pull);
        json!({
            "url": url,
            "repository_url": api,
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "timeline_url": format!("{url}/timeline"),
            "html_url": page,
            "id": pull.id,
            "node_id": node_id("PullRequest", pull.id),
            "number": pull.number,
            "title": pull.title,
            "user": self.render_user(&pull.author),
            "labels": self.render_labels(&pull.repo, &pull.labels),
            "state": pull.state.as_str(),
            "state_reason": null,
            "locked": false,
            "active_lock_reason": null,
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "comments": pull.comments,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "author_association": pull.association,
            "draft": pull.draft,
            "body": pull.body,
            "pull_request": {
                "url": format!("{api}/pulls/{}", pull.number),
                "html_url": page,
                "diff_url": format!("{page}.diff"),
                "patch_url": format!("{page}.patch"),
                "merged_at": pull.merged_at,
            },
            "reactions": empty_reactions(&url),
            "performed_via_github_app": null,
        })
    }

    pub(crate) fn render_comment(&self, repo: &StoredRepo, comment: &StoredComment) -> Value {
        let api = self.repo_url(repo);
        let url = format!("{api}/issues/comments/{}", comment.id);
        let page = format!(
            "{}/pull/{}#issuecomment-{}",
            self.repo_html_url(repo),
            comment.number,
            comment.id
        );
        json!({
            "url": url,
            "html_url": page,
            "issue_url": format!("{api}/issues/{}", comment.number),
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "user": self.render_user(&comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": comment.association,
            "body": comment.body,
            "reactions": empty_reactions(&url),
            "performed_via_github_app": null,
        })
    }

    pub(crate) fn render_label(&self, repo: &StoredRepo, label: &StoredLabel) -> Value {
        json!({
            "id": label.id,
            "node_id": node_id("Label", label.id),
            "url": format!("{}/labels/{}", self.repo_url(repo), encode_url_path(&label.name)),
            "name": label.name,
            "description": label.description.as_deref().unwrap_or_default(),
            "color": label.color,
            "default": false,
        })
    }

    pub(crate) fn render_labels(&self, repo: &StoredRepo, labels: &[StoredLabel]) -> Value {
        labels
            .iter()
            .map(|label| self.render_label(repo, label))
            .collect()
    }
}

fn empty_reactions(url: &str) -> Value {
    json!({
        "url": format!("{url}/reactions"),
        "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
        "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
    })
}
