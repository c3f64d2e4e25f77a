//! Renders repositories, refs and files.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{JsonRenderer, encode_url_path, extend_object, node_id};
use crate::github::{
    access::RepoRole,
    git::{GitRef, TreeEntry},
    store::{AccountKind, StoredRepo},
};

/// The first branch of a repository, and the only default branch of the stand-in.
pub(crate) const DEFAULT_BRANCH: &str = "main";

/// Keys of a repository, with their URLs below the repository's own.
const REPO_URL_TEMPLATES: &[(&str, &str)] = &[
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

impl JsonRenderer<'_> {
    pub(crate) fn repo_url(&self, repo: &StoredRepo) -> String {
        format!("{}/repos/{}", self.url, repo.full_name())
    }

    pub(crate) fn repo_html_url(&self, repo: &StoredRepo) -> String {
        format!("{}/{}", self.url, repo.full_name())
    }

    /// The short form, without counts.
    pub(crate) fn render_simple_repo(&self, repo: &StoredRepo) -> Value {
        let api = self.repo_url(repo);
        let mut value = json!({
            "id": repo.id,
            "node_id": node_id("Repository", repo.id),
            "name": repo.name,
            "full_name": repo.full_name(),
            "owner": self.render_user(&repo.owner),
            "private": repo.private,
            "html_url": self.repo_html_url(repo),
            "description": null,
            "fork": repo.fork_of.is_some(),
            "url": api,
        });
        for (key, path) in REPO_URL_TEMPLATES {
            value[*key] = format!("{api}{path}").into();
        }
        value
    }

    /// The long form, with exactly the keys that REST and webhooks share.
    pub(crate) fn render_repo(&self, repo: &StoredRepo) -> Value {
        let page = self.repo_html_url(repo);
        let mut value = self.render_simple_repo(repo);
        let more = json!({
            "git_url": format!("{}.git", page.replacen("http://", "git://", 1)),
            "ssh_url": format!("{page}.git"),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "mirror_url": null,
            "homepage": null,
            "language": null,
            "license": null,
            "size": 0,
            "forks_count": repo.forks,
            "forks": repo.forks,
            "stargazers_count": 0,
            "watchers_count": 0,
            "watchers": 0,
            "open_issues_count": repo.open_pulls,
            "open_issues": repo.open_pulls,
            "default_branch": DEFAULT_BRANCH,
            "has_issues": true,
            "has_projects": false,
            "has_downloads": true,
            "has_wiki": false,
            "has_pages": false,
            "has_discussions": false,
            "archived": false,
            "disabled": false,
            "is_template": false,
            "web_commit_signoff_required": false,
            "allow_forking": true,
            "topics": [],
            "visibility": if repo.private { "private" } else { "public" },
            "custom_properties": {},
            "created_at": repo.created_at,
            "updated_at": repo.pushed_at,
            "pushed_at": repo.pushed_at,
        });
        extend_object(&mut value, more);
        value
    }

    /// The form of `GET /repos/{owner}/{repo}` for a caller with this role.
    pub(crate) fn render_full_repo(
        &self,
        repo: &StoredRepo,
        parent: Option<&StoredRepo>,
        role: RepoRole,
    ) -> Value {
        let mut value = self.render_repo(repo);
        let more = json!({
            "subscribers_count": 0,
            "network_count": repo.forks,
            "permissions": {
                "admin": role >= RepoRole::Admin,
                "push": role >= RepoRole::Write,
                "pull": role >= RepoRole::Read,
            },
            "allow_merge_commit": true,
            "allow_squash_merge": true,
            "allow_rebase_merge": false,
        });
        extend_object(&mut value, more);
        if repo.owner.kind == AccountKind::Organization {
            value["organization"] = self.render_user(&repo.owner);
        }
        if let Some(parent) = parent {
            value["parent"] = self.render_repo(parent);
            value["source"] = self.render_repo(parent);
        }
        value
    }

    /// The form of push events: its owner has a name, and times are numbers.
    pub(crate) fn render_pushed_repo(&self, repo: &StoredRepo) -> Value {
        let mut value = self.render_repo(repo);
        let seconds = |time: &str| {
            time.parse::<jiff::Timestamp>()
                .map_or(0, jiff::Timestamp::as_second)
        };
        value["owner"]["name"] = repo.owner.login.clone().into();
        value["created_at"] = seconds(&repo.created_at).into();
        value["pushed_at"] = seconds(&repo.pushed_at).into();
        value["stargazers"] = 0.into();
        value["master_branch"] = DEFAULT_BRANCH.into();
        if repo.owner.kind == AccountKind::Organization {
            value["organization"] = repo.owner.login.clone().into();
        }
        value
    }

    pub(crate) fn render_git_ref(&self, repo: &StoredRepo, found: &GitRef) -> Value {
        let api = self.repo_url(repo);
        json!({
            "ref": found.name,
            "node_id": node_id("Ref", format!("{}:{}", repo.id, found.name)),
            "url": format!("{api}/git/{}", encode_url_path(&found.name)),
            "object": {
                "sha": found.sha,
                "type": found.kind,
                "url": format!("{api}/git/{}s/{}", found.kind, found.sha),
            },
        })
    }

    pub(crate) fn render_short_branch(&self, repo: &StoredRepo, found: &GitRef) -> Value {
        json!({
            "name": found.name.trim_start_matches("refs/heads/"),
            "commit": { "sha": found.sha, "url": format!("{}/commits/{}", self.repo_url(repo), found.sha) },
            "protected": false,
        })
    }

    /// An entry of a folder, or with `content` the file itself.
    pub(crate) fn render_content(
        &self,
        repo: &StoredRepo,
        rev: &str,
        entry: &TreeEntry,
        content: Option<&[u8]>,
    ) -> Value {
        let api = self.repo_url(repo);
        let page = self.repo_html_url(repo);
        let (path, rev) = (encode_url_path(&entry.path), encode_url_path(rev));
        let kind = match (entry.kind.as_str(), entry.mode.as_str()) {
            ("tree", _) => "dir",
            ("commit", _) => "submodule",
            (_, "120000") => "symlink",
            _ => "file",
        };
        let address = format!("{api}/contents/{path}?ref={rev}");
        let git = format!("{api}/git/{}s/{}", entry.kind, entry.sha);
        let html = format!("{page}/blob/{rev}/{path}");
        let download = (kind == "file").then(|| format!("{page}/raw/{rev}/{path}"));
        let mut value = json!({
            "type": kind,
            "name": entry.path.rsplit('/').next(),
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size,
            "url": address,
            "git_url": git,
            "html_url": html,
            "download_url": download,
            "_links": { "self": address, "git": git, "html": html },
        });
        if let Some(content) = content {
            value["encoding"] = "base64".into();
            value["content"] = wrap_base64(&BASE64_STANDARD.encode(content)).into();
        }
        value
    }
}

/// GitHub breaks base64 after 60 characters, so clients must accept that.
fn wrap_base64(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 60 + 1);
    for line in text.as_bytes().chunks(60) {
        wrapped.push_str(&String::from_utf8_lossy(line));
        wrapped.push('\n');
    }
    wrapped
}
