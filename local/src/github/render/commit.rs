//! Renders commits, changed files, statuses and comparisons.

use serde_json::{Value, json};

use super::{JsonRenderer, encode_url_path, node_id};
use crate::github::{
    git::{FileChange, GitCommit, GitSignature},
    store::{StoredRepo, StoredStatus},
};

impl JsonRenderer<'_> {
    /// A commit as in REST. Accounts are not looked up: an address in a commit proves nothing.
    pub(crate) fn render_commit(&self, repo: &StoredRepo, commit: &GitCommit) -> Value {
        let api = self.repo_url(repo);
        let page = self.repo_html_url(repo);
        let person = |person: &GitSignature| json!({"name": person.name, "email": person.email, "date": person.date});
        let parents = commit.parents.iter().map(|sha| {
            json!({"sha": sha, "url": format!("{api}/commits/{sha}"), "html_url": format!("{page}/commit/{sha}")})
        });
        let sha = &commit.sha;
        json!({
            "sha": sha,
            "node_id": node_id("Commit", sha),
            "url": format!("{api}/commits/{sha}"),
            "html_url": format!("{page}/commit/{sha}"),
            "comments_url": format!("{api}/commits/{sha}/comments"),
            "commit": {
                "url": format!("{api}/git/commits/{sha}"),
                "author": person(&commit.author),
                "committer": person(&commit.committer),
                "message": commit.message,
                "comment_count": 0,
                "tree": { "sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree) },
                "verification": unsigned_verification(),
            },
            "author": null,
            "committer": null,
            "parents": parents.collect::<Vec<_>>(),
        })
    }

    /// A commit as in `git/commits`.
    pub(crate) fn render_git_commit(&self, repo: &StoredRepo, commit: &GitCommit) -> Value {
        let mut value = self.render_commit(repo, commit);
        let inner = value["commit"].take();
        json!({
            "sha": commit.sha,
            "node_id": value["node_id"],
            "url": inner["url"],
            "html_url": value["html_url"],
            "author": inner["author"],
            "committer": inner["committer"],
            "message": inner["message"],
            "tree": inner["tree"],
            "parents": value["parents"],
            "verification": inner["verification"],
        })
    }

    pub(crate) fn render_file(&self, repo: &StoredRepo, head: &str, file: &FileChange) -> Value {
        let page = self.repo_html_url(repo);
        let path = encode_url_path(&file.path);
        let mut value = json!({
            "sha": file.sha,
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": format!("{page}/blob/{head}/{path}"),
            "raw_url": format!("{page}/raw/{head}/{path}"),
            "contents_url": format!("{}/contents/{path}?ref={head}", self.repo_url(repo)),
        });
        if let Some(previous) = &file.previous {
            value["previous_filename"] = previous.clone().into();
        }
        if let Some(patch) = &file.patch {
            value["patch"] = patch.clone().into();
        }
        value
    }

    /// A status as in a combined status. With its creator it has the long form.
    pub(crate) fn render_status(
        &self,
        repo: &StoredRepo,
        status: &StoredStatus,
        with_creator: bool,
    ) -> Value {
        let mut value = json!({
            "url": format!("{}/statuses/{}", self.repo_url(repo), status.sha),
            "avatar_url": format!("{}/avatars/{}", self.url, status.creator.id),
            "id": status.id,
            "node_id": node_id("StatusContext", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created_at,
            "updated_at": status.created_at,
        });
        if with_creator {
            value["creator"] = self.render_user(&status.creator);
        }
        value
    }
}

fn unsigned_verification() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}
