//! Which token a request carries: an App's installation token, a personal one, or none.

use std::path::PathBuf;

use anyhow::Context;
use http::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Client, Error, Options, Result,
    app::App,
    transport::{Answer, Call},
};

pub(super) enum Auth {
    App(App),
    /// Read again for each request: the file is a mounted Secret that may be rotated.
    Token(PathBuf),
    Anonymous,
}

/// What git sends to clone or fetch.
#[derive(Clone, Debug)]
pub struct GitCredentials {
    pub username: String,
    pub password: SecretString,
}

impl Auth {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        Ok(
            match (
                &options.github_app_id,
                &options.github_app_private_key_path,
                &options.github_token_path,
            ) {
                (Some(id), Some(key), _) => Self::App(App::new(id.clone(), key.clone())),
                (_, _, Some(path)) => Self::Token(path.clone()),
                _ => Self::Anonymous,
            },
        )
    }
}

fn read_token(path: &PathBuf) -> Result<SecretString> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(SecretString::from(text.trim().to_owned()))
}

impl Client {
    /// Sends `call` with the token that `org`'s resources need. A token that GitHub no longer
    /// knows (it was revoked, or the App was installed anew) is forgotten, and the call tried
    /// once more.
    pub(super) async fn call(&self, org: &str, call: &Call<'_>) -> Result<Answer> {
        let transport = &self.0.transport;
        match &self.0.auth {
            Auth::Anonymous => transport.send(call, None).await,
            Auth::Token(path) => transport.send(call, Some(&read_token(path)?)).await,
            Auth::App(app) => {
                let token = app.token(transport, org).await?;
                match transport.send(call, Some(&token)).await {
                    Err(Error::Unauthorized(_)) => {
                        app.forget(org, &token).await;
                        let token = app.token(transport, org).await?;
                        transport.send(call, Some(&token)).await
                    }
                    answer => answer,
                }
            }
        }
    }

    /// The login that comments and statuses come from: `SLUG[bot]` of the App, or the token's
    /// user. Asked once.
    pub async fn bot_login(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct AppObject {
            slug: String,
        }
        let ask = || async {
            let transport = &self.0.transport;
            match &self.0.auth {
                Auth::App(app) => {
                    let call = Call::new(Method::GET, "/app");
                    let app: AppObject = transport.send(&call, Some(&app.jwt()?)).await?.json()?;
                    Ok(format!("{}[bot]", app.slug))
                }
                _ => {
                    let call = Call::new(Method::GET, "/user");
                    Ok(self.call("", &call).await?.json::<super::User>()?.login)
                }
            }
        };
        self.0.bot.get_or_try_init(ask).await.cloned()
    }

    /// For fetching `org`'s repositories; `None` when the client is anonymous.
    pub async fn git_credentials(&self, org: &str) -> Result<Option<GitCredentials>> {
        Ok(match &self.0.auth {
            Auth::Anonymous => None,
            Auth::Token(path) => Some(GitCredentials {
                username: self.bot_login().await?,
                password: read_token(path)?,
            }),
            Auth::App(app) => {
                let password = app.token(&self.0.transport, org).await?;
                Some(GitCredentials {
                    username: "x-access-token".into(),
                    password,
                })
            }
        })
    }
}
