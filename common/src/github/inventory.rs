//! What there is: repositories of an organisation, files, installations of the App. For checking
//! a configuration, so nothing here is asked often.

use anyhow::anyhow;
use http::Method;
use serde::Deserialize;

use super::{
    Client, Error, Result,
    api::{has_next, path_below, repo_path, segment},
    auth::Auth,
    transport::Call,
};

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct Installation {
    account: Account,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

impl Client {
    /// The full names (`org/repo`) of an organisation's repositories that are not archived.
    pub async fn repositories(&self, org: &str) -> Result<Vec<String>> {
        let path = format!("/orgs/{}/repos", segment(org));
        let all: Vec<Repository> = self.all(org, &path).await?;
        let live = all.into_iter().filter(|repository| !repository.archived);
        Ok(live.map(|repository| repository.full_name).collect())
    }

    /// Whether the default branch has a file.
    pub async fn has_file(&self, org: &str, repo: &str, path: &str) -> Result<bool> {
        let path = format!("{}/contents/{}", repo_path(org, repo), path_below(path));
        match self.call(org, &Call::new(Method::GET, &path)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The organisations and people that installed the App. An error for any other client.
    pub async fn installations(&self) -> Result<Vec<String>> {
        let Auth::App(app) = &self.0.auth else {
            return Err(Error::Other(anyhow!(
                "only a GitHub App has installations: --github-app-id is not given"
            )));
        };
        let mut logins = Vec::new();
        for page in 1_u32.. {
            let path = format!("/app/installations?per_page=100&page={page}");
            let call = Call::new(Method::GET, &path);
            let answer = self.0.transport.send(&call, Some(&app.jwt()?)).await?;
            let installations: Vec<Installation> = answer.json()?;
            logins.extend(installations.into_iter().map(|it| it.account.login));
            if !has_next(&answer.headers) {
                break;
            }
        }
        Ok(logins)
    }
}
