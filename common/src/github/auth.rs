//! Which token a request carries: an App's installation token, a personal token, or none.

use std::path::PathBuf;

use anyhow::Context;
use http::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    GithubClient, GithubError, GithubOptions, GithubResult,
    app::GithubApp,
    transport::{GithubRequest, GithubResponse},
};

pub(super) enum GithubAuth {
    App(GithubApp),
    /// The file is read for each request: it is a mounted Secret that may be rotated.
    Token(PathBuf),
    Anonymous,
}

/// The credentials that git sends to clone or fetch.
#[derive(Clone, Debug)]
pub struct GitCredentials {
    pub username: String,
    pub password: SecretString,
}

impl GithubAuth {
    pub(super) fn new(options: &GithubOptions) -> anyhow::Result<Self> {
        Ok(
            match (
                &options.github_app_id,
                &options.github_app_private_key_path,
                &options.github_token_path,
            ) {
                (Some(id), Some(key), _) => Self::App(GithubApp::new(id.clone(), key.clone())),
                (_, _, Some(path)) => Self::Token(path.clone()),
                _ => Self::Anonymous,
            },
        )
    }
}

fn read_token(path: &PathBuf) -> GithubResult<SecretString> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(SecretString::from(text.trim().to_owned()))
}

impl GithubClient {
    /// Sends `call` with the token that `org`'s resources need. If GitHub does not accept a token
    /// any more (it was revoked, or the App was installed anew), the token is dropped and the call
    /// is sent once more.
    pub(super) async fn send_request(
        &self,
        org: &str,
        call: &GithubRequest<'_>,
    ) -> GithubResult<GithubResponse> {
        let transport = &self.0.transport;
        match &self.0.auth {
            GithubAuth::Anonymous => transport.send_with_retries(call, None).await,
            GithubAuth::Token(path) => {
                transport
                    .send_with_retries(call, Some(&read_token(path)?))
                    .await
            }
            GithubAuth::App(app) => {
                let token = app.installation_token(transport, org).await?;
                match transport.send_with_retries(call, Some(&token)).await {
                    Err(GithubError::Unauthorized(_)) => {
                        app.forget_token(org, &token).await;
                        let token = app.installation_token(transport, org).await?;
                        transport.send_with_retries(call, Some(&token)).await
                    }
                    answer => answer,
                }
            }
        }
    }

    /// The login of the author of comments and statuses: `SLUG[bot]` of the App, or the token's
    /// user. It is requested once.
    pub async fn bot_login(&self) -> GithubResult<String> {
        #[derive(Deserialize)]
        struct GithubAppResponse {
            slug: String,
        }
        let ask = || async {
            let transport = &self.0.transport;
            match &self.0.auth {
                GithubAuth::App(app) => {
                    let call = GithubRequest::new(Method::GET, "/app");
                    let app: GithubAppResponse = transport
                        .send_with_retries(&call, Some(&app.sign_jwt()?))
                        .await?
                        .parse_json()?;
                    Ok(format!("{}[bot]", app.slug))
                }
                _ => {
                    let call = GithubRequest::new(Method::GET, "/user");
                    Ok(self
                        .send_request("", &call)
                        .await?
                        .parse_json::<super::GithubUser>()?
                        .login)
                }
            }
        };
        self.0.bot.get_or_try_init(ask).await.cloned()
    }

    /// The credentials for fetching `org`'s repositories; `None` when the client is anonymous.
    pub async fn git_credentials(&self, org: &str) -> GithubResult<Option<GitCredentials>> {
        Ok(match &self.0.auth {
            GithubAuth::Anonymous => None,
            GithubAuth::Token(path) => Some(GitCredentials {
                username: self.bot_login().await?,
                password: read_token(path)?,
            }),
            GithubAuth::App(app) => {
                let password = app.installation_token(&self.0.transport, org).await?;
                Some(GitCredentials {
                    username: "x-access-token".into(),
                    password,
                })
            }
        })
    }
}
