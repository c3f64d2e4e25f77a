//! The API calls, one function each.

use anyhow::anyhow;
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    CommitStatus, GithubClient, GithubError, GithubPullRequest, GithubResult, IssueComment,
    transport::{GithubRequest, GithubResponse},
};

const MAX_COMMENT_PAGES: u32 = 100;

impl GithubClient {
    /// Whether `user` is a member of `org` that the client can see. Prow treats a redirect (the
    /// client itself is no member) as an error; here it means "no".
    pub async fn is_member(&self, org: &str, user: &str) -> GithubResult<bool> {
        self.check_membership(
            org,
            &format!(
                "/orgs/{}/members/{}",
                encode_segment(org),
                encode_segment(user)
            ),
        )
        .await
    }

    pub async fn is_collaborator(&self, org: &str, repo: &str, user: &str) -> GithubResult<bool> {
        self.check_membership(
            org,
            &format!(
                "{}/collaborators/{}",
                repo_path(org, repo),
                encode_segment(user)
            ),
        )
        .await
    }

    pub async fn get_pull_request(
        &self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> GithubResult<GithubPullRequest> {
        let path = format!("{}/pulls/{number}", repo_path(org, repo));
        let pull: GithubPullRequest = self.get_existing(org, &path).await?.parse_json()?;
        if pull.number != number {
            return Err(GithubError::Other(anyhow!(
                "GET {path}: GitHub's answer is another pull request, or none"
            )));
        }
        Ok(pull)
    }

    /// The pull request, if GitHub has it. Right after its webhook GitHub may not have it yet.
    pub async fn find_pull_request(
        &self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> GithubResult<Option<GithubPullRequest>> {
        let path = format!("{}/pulls/{number}", repo_path(org, repo));
        match self.get_possibly_missing(org, &path).await {
            Ok(answer) => Ok(Some(answer.parse_json()?)),
            Err(GithubError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of the files that a pull request changes; for a renamed file, the new name. GitHub
    /// lists at most 3,000.
    pub async fn list_changed_files(
        &self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> GithubResult<Vec<String>> {
        #[derive(Deserialize)]
        struct PullRequestFile {
            filename: String,
        }
        let files: Vec<PullRequestFile> = self
            .list_all_pages(
                org,
                &format!("{}/pulls/{number}/files", repo_path(org, repo)),
            )
            .await?;
        Ok(files.into_iter().map(|file| file.filename).collect())
    }

    /// The commit that `branch` points at.
    pub async fn get_branch_sha(
        &self,
        org: &str,
        repo: &str,
        branch: &str,
    ) -> GithubResult<String> {
        #[derive(Deserialize)]
        struct GitReference {
            object: GitReferenceObject,
        }
        #[derive(Deserialize)]
        struct GitReferenceObject {
            sha: String,
        }
        let path = format!(
            "{}/git/ref/heads/{}",
            repo_path(org, repo),
            encode_path(branch)
        );
        Ok(self
            .get_existing(org, &path)
            .await?
            .parse_json::<GitReference>()?
            .object
            .sha)
    }

    /// The newest status of each context on a commit.
    pub async fn get_combined_status(
        &self,
        org: &str,
        repo: &str,
        sha: &str,
    ) -> GithubResult<Vec<CommitStatus>> {
        #[derive(Deserialize)]
        struct CombinedStatus {
            statuses: Vec<CommitStatus>,
        }
        let path = format!(
            "{}/commits/{}/status",
            repo_path(org, repo),
            encode_segment(sha)
        );
        let mut statuses = Vec::new();
        self.for_each_page(org, &path, |answer| {
            statuses.extend(answer.parse_json::<CombinedStatus>()?.statuses);
            Ok(())
        })
        .await?;
        Ok(statuses)
    }

    pub async fn create_status(
        &self,
        org: &str,
        repo: &str,
        sha: &str,
        status: &CommitStatus,
    ) -> GithubResult<()> {
        let path = format!("{}/statuses/{}", repo_path(org, repo), encode_segment(sha));
        self.send_write(org, Method::POST, &path, Some(&json!(status)))
            .await
            .map(drop)
    }

    pub async fn list_comments(
        &self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> GithubResult<Vec<IssueComment>> {
        self.list_all_pages(
            org,
            &format!("{}/issues/{number}/comments", repo_path(org, repo)),
        )
        .await
    }

    /// The comments of one author, oldest first. Other authors' comments are dropped page by page.
    /// At most the first 10,000 comments are read.
    pub async fn list_comments_of(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        author: &str,
    ) -> GithubResult<Vec<IssueComment>> {
        let path = format!("{}/issues/{number}/comments", repo_path(org, repo));
        let mut own = Vec::new();
        for page in 1..=MAX_COMMENT_PAGES {
            let path = format!("{path}?per_page=100&page={page}");
            let answer = self.get_existing(org, &path).await?;
            let mut comments: Vec<IssueComment> = answer.parse_json()?;
            comments.retain(|comment| comment.user.login.eq_ignore_ascii_case(author));
            own.extend(comments);
            if !has_next_page(&answer.headers) {
                break;
            }
        }
        Ok(own)
    }

    /// Returns the comment's id, if the response has it.
    pub async fn create_comment(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        body: &str,
    ) -> GithubResult<Option<u64>> {
        let path = format!("{}/issues/{number}/comments", repo_path(org, repo));
        let answer = self
            .send_write(org, Method::POST, &path, Some(&json!({ "body": body })))
            .await?;
        Ok(answer
            .parse_json::<IssueComment>()
            .ok()
            .map(|comment| comment.id))
    }

    pub async fn edit_comment(
        &self,
        org: &str,
        repo: &str,
        id: u64,
        body: &str,
    ) -> GithubResult<()> {
        let path = format!("{}/issues/comments/{id}", repo_path(org, repo));
        self.send_write(org, Method::PATCH, &path, Some(&json!({ "body": body })))
            .await
            .map(drop)
    }

    /// A comment that is already deleted is no error.
    pub async fn delete_comment(&self, org: &str, repo: &str, id: u64) -> GithubResult<()> {
        let path = format!("{}/issues/comments/{id}", repo_path(org, repo));
        ignore_not_found(self.send_write(org, Method::DELETE, &path, None).await)
    }

    pub async fn add_label(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        label: &str,
    ) -> GithubResult<()> {
        let path = format!("{}/issues/{number}/labels", repo_path(org, repo));
        self.send_write(
            org,
            Method::POST,
            &path,
            Some(&json!({ "labels": [label] })),
        )
        .await
        .map(drop)
    }

    /// A missing label is no error.
    pub async fn remove_label(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        label: &str,
    ) -> GithubResult<()> {
        let path = format!(
            "{}/issues/{number}/labels/{}",
            repo_path(org, repo),
            encode_segment(label)
        );
        ignore_not_found(self.send_write(org, Method::DELETE, &path, None).await)
    }

    /// Reads an object that may not exist.
    pub(super) async fn get_possibly_missing(
        &self,
        org: &str,
        path: &str,
    ) -> GithubResult<GithubResponse> {
        self.send_request(org, &GithubRequest::new(Method::GET, path))
            .await
    }

    async fn get_existing(&self, org: &str, path: &str) -> GithubResult<GithubResponse> {
        let call = GithubRequest {
            expects: true,
            ..GithubRequest::new(Method::GET, path)
        };
        self.send_request(org, &call).await
    }

    pub(super) async fn send_write(
        &self,
        org: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> GithubResult<GithubResponse> {
        let call = GithubRequest {
            body,
            // An object to be deleted may be gone. Other writes are to objects that GitHub named.
            expects: method != Method::DELETE,
            ..GithubRequest::new(method, path)
        };
        self.send_request(org, &call).await
    }

    /// GitHub answers 204 for yes, and 404 or a redirect for no.
    async fn check_membership(&self, org: &str, path: &str) -> GithubResult<bool> {
        let call = GithubRequest {
            follows: false,
            ..GithubRequest::new(Method::GET, path)
        };
        match self.send_request(org, &call).await {
            Ok(answer) => Ok(answer.status == StatusCode::NO_CONTENT),
            Err(GithubError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list_all_pages<T: DeserializeOwned>(
        &self,
        org: &str,
        path: &str,
    ) -> GithubResult<Vec<T>> {
        let mut items = Vec::new();
        self.for_each_page(org, path, |answer| {
            items.extend(answer.parse_json::<Vec<T>>()?);
            Ok(())
        })
        .await?;
        Ok(items)
    }

    /// The `path` may have its own query.
    pub(super) async fn for_each_page(
        &self,
        org: &str,
        path: &str,
        mut take: impl FnMut(&GithubResponse) -> GithubResult<()>,
    ) -> GithubResult<()> {
        let first = if path.contains('?') { '&' } else { '?' };
        for page in 1_u32.. {
            let answer = self
                .get_existing(org, &format!("{path}{first}per_page=100&page={page}"))
                .await?;
            take(&answer)?;
            if !has_next_page(&answer.headers) {
                break;
            }
        }
        Ok(())
    }
}

fn ignore_not_found(answer: GithubResult<GithubResponse>) -> GithubResult<()> {
    match answer {
        Ok(_) | Err(GithubError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn has_next_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::LINK)
        .and_then(|link| link.to_str().ok())
        .is_some_and(|link| link.contains("rel=\"next\""))
}

pub(super) fn repo_path(org: &str, repo: &str) -> String {
    format!("/repos/{}/{}", encode_segment(org), encode_segment(repo))
}

/// One path segment. All but unreserved characters are percent-encoded, so that no name can reach
/// another path.
pub(super) fn encode_segment(text: &str) -> String {
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A name that may contain slashes, such as a branch.
pub(super) fn encode_path(name: &str) -> String {
    name.split('/')
        .map(encode_segment)
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_segment() {
        assert_eq!(repo_path("o", "../../user"), "/repos/o/..%2F..%2Fuser");
        assert_eq!(repo_path("o", ".."), "/repos/o/%2E%2E");
        assert_eq!(
            encode_segment("do-not-merge/hold ?"),
            "do-not-merge%2Fhold%20%3F"
        );
        assert_eq!(encode_path("feature/ä"), "feature/%C3%A4");
    }
}
