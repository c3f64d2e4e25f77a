//! Lists an organisation's repositories, files, and installations of the App. For checking a
//! configuration, so these calls are rare.

use anyhow::anyhow;
use http::Method;
use serde::Deserialize;

use super::{
    GithubClient, GithubError, GithubResult,
    api::{encode_path, encode_segment, has_next_page, repo_path},
    auth::GithubAuth,
    transport::GithubRequest,
};

#[derive(Deserialize)]
struct OrgRepository {
    full_name: String,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct AppInstallation {
    account: InstallationAccount,
}

#[derive(Deserialize)]
struct InstallationAccount {
    login: String,
}

impl GithubClient {
    /// The full names (`org/repo`) of an organisation's repositories that are not archived.
    pub async fn list_repositories(&self, org: &str) -> GithubResult<Vec<String>> {
        let path = format!("/orgs/{}/repos", encode_segment(org));
        let all: Vec<OrgRepository> = self.list_all_pages(org, &path).await?;
        let live = all.into_iter().filter(|repository| !repository.archived);
        Ok(live.map(|repository| repository.full_name).collect())
    }

    /// Whether the default branch has a file.
    pub async fn has_file(&self, org: &str, repo: &str, path: &str) -> GithubResult<bool> {
        let path = format!("{}/contents/{}", repo_path(org, repo), encode_path(path));
        match self
            .send_request(org, &GithubRequest::new(Method::GET, &path))
            .await
        {
            Ok(_) => Ok(true),
            Err(GithubError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The organisations and users that installed the App. An error for any other client.
    pub async fn list_app_installations(&self) -> GithubResult<Vec<String>> {
        let GithubAuth::App(app) = &self.0.auth else {
            return Err(GithubError::Other(anyhow!(
                "only a GitHub App has installations: --github-app-id is not given"
            )));
        };
        let mut logins = Vec::new();
        for page in 1_u32.. {
            let path = format!("/app/installations?per_page=100&page={page}");
            let call = GithubRequest::new(Method::GET, &path);
            let answer = self
                .0
                .transport
                .send_with_retries(&call, Some(&app.sign_jwt()?))
                .await?;
            let installations: Vec<AppInstallation> = answer.parse_json()?;
            logins.extend(installations.into_iter().map(|it| it.account.login));
            if !has_next_page(&answer.headers) {
                break;
            }
        }
        Ok(logins)
    }
}
