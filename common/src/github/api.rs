//! The calls, one function each.

use anyhow::anyhow;
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Client, Error, IssueComment, PullRequest, Result, Status,
    transport::{Answer, Call},
};

const MAX_COMMENT_PAGES: u32 = 100;

impl Client {
    /// Whether `user` is a member of `org` that the client can see. Prow takes a redirect
    /// (the client is no member itself) as an error; here it is "no".
    pub async fn is_member(&self, org: &str, user: &str) -> Result<bool> {
        self.is_there(
            org,
            &format!("/orgs/{}/members/{}", segment(org), segment(user)),
        )
        .await
    }

    pub async fn is_collaborator(&self, org: &str, repo: &str, user: &str) -> Result<bool> {
        self.is_there(
            org,
            &format!("{}/collaborators/{}", repo_path(org, repo), segment(user)),
        )
        .await
    }

    pub async fn pull_request(&self, org: &str, repo: &str, number: u64) -> Result<PullRequest> {
        let path = format!("{}/pulls/{number}", repo_path(org, repo));
        let pull: PullRequest = self.get(org, &path).await?.json()?;
        if pull.number != number {
            return Err(Error::Other(anyhow!(
                "GET {path}: GitHub's answer is another pull request, or none"
            )));
        }
        Ok(pull)
    }

    /// The pull request if GitHub has it. It may not have it yet right after it told of it.
    pub async fn pull_request_if_there(
        &self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> Result<Option<PullRequest>> {
        let path = format!("{}/pulls/{number}", repo_path(org, repo));
        match self.lookup(org, &path).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names of the files a pull request changes; of a renamed one, the new name. GitHub lists
    /// at most 3,000.
    pub async fn changed_files(&self, org: &str, repo: &str, number: u64) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct File {
            filename: String,
        }
        let files: Vec<File> = self
            .all(
                org,
                &format!("{}/pulls/{number}/files", repo_path(org, repo)),
            )
            .await?;
        Ok(files.into_iter().map(|file| file.filename).collect())
    }

    /// The commit that `branch` points at.
    pub async fn branch_sha(&self, org: &str, repo: &str, branch: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Ref {
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: String,
        }
        let path = format!(
            "{}/git/ref/heads/{}",
            repo_path(org, repo),
            path_below(branch)
        );
        Ok(self.get(org, &path).await?.json::<Ref>()?.object.sha)
    }

    /// The newest status of each context on a commit.
    pub async fn combined_status(&self, org: &str, repo: &str, sha: &str) -> Result<Vec<Status>> {
        #[derive(Deserialize)]
        struct Combined {
            statuses: Vec<Status>,
        }
        let path = format!("{}/commits/{}/status", repo_path(org, repo), segment(sha));
        let mut statuses = Vec::new();
        self.each_page(org, &path, |answer| {
            statuses.extend(answer.json::<Combined>()?.statuses);
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
        status: &Status,
    ) -> Result<()> {
        let path = format!("{}/statuses/{}", repo_path(org, repo), segment(sha));
        self.write(org, Method::POST, &path, Some(&json!(status)))
            .await
            .map(drop)
    }

    pub async fn comments(&self, org: &str, repo: &str, number: u64) -> Result<Vec<IssueComment>> {
        self.all(
            org,
            &format!("{}/issues/{number}/comments", repo_path(org, repo)),
        )
        .await
    }

    /// The comments of one author, oldest first. Others' are dropped page by page; of a
    /// conversation without end the first 10,000 comments are looked at.
    pub async fn comments_of(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        author: &str,
    ) -> Result<Vec<IssueComment>> {
        let path = format!("{}/issues/{number}/comments", repo_path(org, repo));
        let mut own = Vec::new();
        for page in 1..=MAX_COMMENT_PAGES {
            let path = format!("{path}?per_page=100&page={page}");
            let answer = self.get(org, &path).await?;
            let mut comments: Vec<IssueComment> = answer.json()?;
            comments.retain(|comment| comment.user.login.eq_ignore_ascii_case(author));
            own.extend(comments);
            if !has_next(&answer.headers) {
                break;
            }
        }
        Ok(own)
    }

    /// Returns the comment's id, if the answer tells it.
    pub async fn create_comment(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        body: &str,
    ) -> Result<Option<u64>> {
        let path = format!("{}/issues/{number}/comments", repo_path(org, repo));
        let answer = self
            .write(org, Method::POST, &path, Some(&json!({ "body": body })))
            .await?;
        Ok(answer.json::<IssueComment>().ok().map(|comment| comment.id))
    }

    pub async fn edit_comment(&self, org: &str, repo: &str, id: u64, body: &str) -> Result<()> {
        let path = format!("{}/issues/comments/{id}", repo_path(org, repo));
        self.write(org, Method::PATCH, &path, Some(&json!({ "body": body })))
            .await
            .map(drop)
    }

    /// A comment that is already gone is fine.
    pub async fn delete_comment(&self, org: &str, repo: &str, id: u64) -> Result<()> {
        let path = format!("{}/issues/comments/{id}", repo_path(org, repo));
        or_absent(self.write(org, Method::DELETE, &path, None).await)
    }

    pub async fn add_label(&self, org: &str, repo: &str, number: u64, label: &str) -> Result<()> {
        let path = format!("{}/issues/{number}/labels", repo_path(org, repo));
        self.write(
            org,
            Method::POST,
            &path,
            Some(&json!({ "labels": [label] })),
        )
        .await
        .map(drop)
    }

    /// A label that is not there is fine.
    pub async fn remove_label(
        &self,
        org: &str,
        repo: &str,
        number: u64,
        label: &str,
    ) -> Result<()> {
        let path = format!(
            "{}/issues/{number}/labels/{}",
            repo_path(org, repo),
            segment(label)
        );
        or_absent(self.write(org, Method::DELETE, &path, None).await)
    }

    /// Asks for something that may not be there.
    pub(super) async fn lookup(&self, org: &str, path: &str) -> Result<Answer> {
        self.call(org, &Call::new(Method::GET, path)).await
    }

    async fn get(&self, org: &str, path: &str) -> Result<Answer> {
        let call = Call {
            expects: true,
            ..Call::new(Method::GET, path)
        };
        self.call(org, &call).await
    }

    pub(super) async fn write(
        &self,
        org: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let call = Call {
            body,
            // What is to be deleted may be gone. All else is written to what GitHub told of.
            expects: method != Method::DELETE,
            ..Call::new(method, path)
        };
        self.call(org, &call).await
    }

    /// GitHub answers 204 for yes, 404 or a redirect for no.
    async fn is_there(&self, org: &str, path: &str) -> Result<bool> {
        let call = Call {
            follows: false,
            ..Call::new(Method::GET, path)
        };
        match self.call(org, &call).await {
            Ok(answer) => Ok(answer.status == StatusCode::NO_CONTENT),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, org: &str, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        self.each_page(org, path, |answer| {
            items.extend(answer.json::<Vec<T>>()?);
            Ok(())
        })
        .await?;
        Ok(items)
    }

    /// `path` may have a query of its own.
    pub(super) async fn each_page(
        &self,
        org: &str,
        path: &str,
        mut take: impl FnMut(&Answer) -> Result<()>,
    ) -> Result<()> {
        let first = if path.contains('?') { '&' } else { '?' };
        for page in 1_u32.. {
            let answer = self
                .get(org, &format!("{path}{first}per_page=100&page={page}"))
                .await?;
            take(&answer)?;
            if !has_next(&answer.headers) {
                break;
            }
        }
        Ok(())
    }
}

fn or_absent(answer: Result<Answer>) -> Result<()> {
    match answer {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn has_next(headers: &HeaderMap) -> bool {
    headers
        .get(header::LINK)
        .and_then(|link| link.to_str().ok())
        .is_some_and(|link| link.contains("rel=\"next\""))
}

pub(super) fn repo_path(org: &str, repo: &str) -> String {
    format!("/repos/{}/{}", segment(org), segment(repo))
}

/// One path segment: whatever is no plain character is percent-encoded, so that no name can
/// reach another path.
pub(super) fn segment(text: &str) -> String {
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

/// A name that may have slashes, as branches have.
pub(super) fn path_below(name: &str) -> String {
    name.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_segment() {
        assert_eq!(repo_path("o", "../../user"), "/repos/o/..%2F..%2Fuser");
        assert_eq!(repo_path("o", ".."), "/repos/o/%2E%2E");
        assert_eq!(segment("do-not-merge/hold ?"), "do-not-merge%2Fhold%20%3F");
        assert_eq!(path_below("feature/ä"), "feature/%C3%A4");
    }
}
