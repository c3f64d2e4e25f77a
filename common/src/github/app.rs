//! GitHub App authentication: a JWT for the App, a token for each installation.
//!
//! Each organisation has its own `OrgInstallation`, so renewing a token delays no other one.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use anyhow::Context;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    GithubError, GithubResult,
    transport::{GithubRequest, GithubTransport},
};

/// GitHub's clock and this machine's may differ.
const JWT_BACKDATE_SECONDS: i64 = 60;
/// GitHub refuses a lifetime of more than ten minutes.
const JWT_LIFETIME_SECONDS: i64 = 9 * 60;
/// A token is renewed this long before it expires; it lives for an hour.
const RENEWAL_MARGIN: SignedDuration = SignedDuration::from_mins(5);

pub(super) struct GithubApp {
    id: String,
    key: PathBuf,
    organisations: std::sync::Mutex<HashMap<String, Arc<Mutex<OrgInstallation>>>>,
}

#[derive(Default)]
struct OrgInstallation {
    installation: Option<u64>,
    token: Option<InstallationToken>,
}

#[derive(Clone)]
struct InstallationToken {
    token: SecretString,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct InstallationTokenResponse {
    token: String,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct JwtClaims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

fn jwt_claims(id: &str, now: Timestamp) -> JwtClaims<'_> {
    JwtClaims {
        iat: now.as_second() - JWT_BACKDATE_SECONDS,
        exp: now.as_second() + JWT_LIFETIME_SECONDS,
        iss: id,
    }
}

impl GithubApp {
    pub(super) fn new(id: String, key: PathBuf) -> Self {
        Self {
            id,
            key,
            organisations: std::sync::Mutex::default(),
        }
    }

    /// A new JWT. The key is read each time: it is a mounted Secret that may be rotated.
    pub(super) fn sign_jwt(&self) -> GithubResult<SecretString> {
        let pem =
            std::fs::read(&self.key).with_context(|| format!("reading {}", self.key.display()))?;
        let key = EncodingKey::from_rsa_pem(&pem)
            .with_context(|| format!("{} is no RSA private key in PEM form", self.key.display()))?;
        let claims = jwt_claims(&self.id, Timestamp::now());
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
            .context("signing a JWT")?;
        Ok(jwt.into())
    }

    fn org_installation(&self, org: &str) -> Arc<Mutex<OrgInstallation>> {
        let mut organisations = self
            .organisations
            .lock()
            .expect("no holder of this lock panics");
        // GitHub compares logins without regard to case.
        Arc::clone(organisations.entry(org.to_ascii_lowercase()).or_default())
    }

    /// The token for `org`'s resources: the stored one, or a new one if that is about to expire.
    pub(super) async fn installation_token(
        &self,
        transport: &GithubTransport,
        org: &str,
    ) -> GithubResult<SecretString> {
        let slot = self.org_installation(org);
        let mut slot = slot.lock().await;
        if let Some(kept) = slot
            .token
            .as_ref()
            .filter(|token| is_fresh(token, Timestamp::now()))
        {
            return Ok(kept.token.clone());
        }
        let token = match self
            .create_installation_token(transport, org, &mut slot)
            .await
        {
            // The App was uninstalled, and installed again under another id.
            Err(GithubError::NotFound(_) | GithubError::Unauthorized(_))
                if slot.installation.take().is_some() =>
            {
                self.create_installation_token(transport, org, &mut slot)
                    .await?
            }
            Err(error) => match &slot.token {
                // It expires soon, but still works: use it while GitHub is unavailable.
                Some(kept) if kept.expires_at > Timestamp::now() => return Ok(kept.token.clone()),
                _ => return Err(error),
            },
            Ok(token) => token,
        };
        slot.token = Some(token.clone());
        Ok(token.token)
    }

    async fn create_installation_token(
        &self,
        transport: &GithubTransport,
        org: &str,
        slot: &mut OrgInstallation,
    ) -> GithubResult<InstallationToken> {
        let installation = match slot.installation {
            Some(installation) => installation,
            None => *slot
                .installation
                .insert(self.find_installation_id(transport, org).await?),
        };
        let path = format!("/app/installations/{installation}/access_tokens");
        let call = GithubRequest::new(Method::POST, &path);
        let object: InstallationTokenResponse = transport
            .send_with_retries(&call, Some(&self.sign_jwt()?))
            .await?
            .parse_json()?;
        Ok(InstallationToken {
            token: object.token.into(),
            expires_at: object.expires_at,
        })
    }

    /// The id of the App's installation for `org`, which may be a user.
    async fn find_installation_id(
        &self,
        transport: &GithubTransport,
        org: &str,
    ) -> GithubResult<u64> {
        #[derive(Deserialize)]
        struct OrgInstallationResponse {
            id: u64,
        }
        let org = super::api::encode_segment(org);
        let jwt = self.sign_jwt()?;
        for kind in ["orgs", "users"] {
            let path = format!("/{kind}/{org}/installation");
            let call = GithubRequest::new(Method::GET, &path);
            match transport.send_with_retries(&call, Some(&jwt)).await {
                Err(GithubError::NotFound(_)) => {}
                answer => return Ok(answer?.parse_json::<OrgInstallationResponse>()?.id),
            }
        }
        Err(GithubError::NotFound(format!(
            "the GitHub App is not installed for {org}: install it there"
        )))
    }

    /// Drops `token`, unless it was renewed meanwhile, and its installation id.
    pub(super) async fn forget_token(&self, org: &str, token: &SecretString) {
        let slot = self.org_installation(org);
        let mut slot = slot.lock().await;
        let is_kept =
            |kept: &InstallationToken| kept.token.expose_secret() == token.expose_secret();
        if slot.token.as_ref().is_some_and(is_kept) {
            *slot = OrgInstallation::default();
        }
    }
}

fn is_fresh(token: &InstallationToken, now: Timestamp) -> bool {
    token.expires_at.duration_since(now) > RENEWAL_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jwt_is_back_dated_and_short() {
        let claims = jwt_claims("7", Timestamp::from_second(10_000).unwrap());
        assert_eq!((claims.iat, claims.exp, claims.iss), (9_940, 10_540, "7"));
    }

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let now = Timestamp::from_second(10_000).unwrap();
        for (seconds_left, fresh) in [(3_600, true), (301, true), (300, false), (-1, false)] {
            let token = InstallationToken {
                token: "t".into(),
                expires_at: Timestamp::from_second(10_000 + seconds_left).unwrap(),
            };
            assert_eq!(is_fresh(&token, now), fresh, "{seconds_left}");
        }
    }
}
