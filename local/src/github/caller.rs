//! Identifies the caller of a request by its `Authorization` header.

use axum::extract::FromRequestParts;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderMap, header, request::Parts};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    FakeGithubContext,
    access::AppPermissions,
    response::RestError,
    store::{GithubStore, StoredAccount, StoredApp, StoredRepo, TokenGrant},
};

#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Anonymous,
    User(StoredAccount),
    App(StoredApp),
    Installation(InstallationCaller),
}

/// The App that a valid installation token belongs to, and what the token allows.
#[derive(Clone, Debug)]
pub(crate) struct InstallationCaller {
    pub(crate) hash: String,
    pub(crate) app: StoredApp,
    pub(crate) account: StoredAccount,
    pub(crate) permissions: AppPermissions,
    pub(crate) repositories: Option<Vec<i64>>,
}

impl InstallationCaller {
    pub(crate) fn covers_repo(&self, repo: &StoredRepo) -> bool {
        repo.owner.id == self.account.id
            && self
                .repositories
                .as_ref()
                .is_none_or(|ids| ids.contains(&repo.id))
    }
}

impl Caller {
    /// The account that the caller writes as.
    pub(crate) fn require_account(&self) -> Result<&StoredAccount, RestError> {
        match self {
            Caller::Anonymous => Err(RestError::AuthenticationRequired),
            Caller::User(user) => Ok(user),
            Caller::App(app) => Ok(&app.bot),
            Caller::Installation(token) => Ok(&token.app.bot),
        }
    }

    /// The App, if the caller is an App with its own JWT.
    pub(crate) fn require_app(&self) -> Result<&StoredApp, RestError> {
        match self {
            Caller::App(app) => Ok(app),
            Caller::Anonymous => Err(RestError::Unauthorized(
                "A JSON web token could not be decoded",
            )),
            Caller::User(_) | Caller::Installation(_) => Err(RestError::Unauthorized(
                "A JSON web token could not be decoded",
            )),
        }
    }
}

impl FromRequestParts<FakeGithubContext> for Caller {
    type Rejection = RestError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &FakeGithubContext,
    ) -> Result<Caller, RestError> {
        identify_caller(&context.store, &parts.headers, Timestamp::now()).await
    }
}

/// The hash under which a token is stored.
pub(crate) fn hash_token(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

pub(crate) async fn identify_caller(
    store: &GithubStore,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, RestError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(Caller::Anonymous);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(parse_authorization)
        .ok_or(RestError::BadCredentials)?;
    // An App's JWT has two dots; none of our tokens has a dot.
    if token.matches('.').count() == 2 {
        return Ok(Caller::App(verify_app_jwt(store, &token, now).await?));
    }
    let hash = hash_token(&token);
    match store.find_token_grant(&hash).await? {
        None => Err(RestError::BadCredentials),
        Some(TokenGrant::User(account)) => Ok(Caller::User(store.get_account(account).await?)),
        Some(TokenGrant::Installation { expires_at, .. }) if expires_at <= now.as_second() => {
            Err(RestError::BadCredentials)
        }
        Some(TokenGrant::Installation {
            id,
            permissions,
            repositories,
            ..
        }) => {
            let installation = store
                .find_installation(id)
                .await?
                .ok_or(RestError::BadCredentials)?;
            let app = store
                .find_app(installation.app)
                .await?
                .ok_or(RestError::BadCredentials)?;
            let account = installation.account;
            Ok(Caller::Installation(InstallationCaller {
                hash,
                app,
                account,
                permissions,
                repositories,
            }))
        }
    }
}

/// `Bearer X`, `token X`, or Basic with the token as password (or alone as user, as git allows).
fn parse_authorization(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Some(rest.trim().to_owned()),
        "basic" => {
            let decoded = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
            let (user, password) = decoded.split_once(':')?;
            let token = if password.is_empty() || password == "x-oauth-basic" {
                user
            } else {
                password
            };
            Some(token.to_owned())
        }
        _ => None,
    }
}

const UNDECODABLE: RestError = RestError::Unauthorized("A JSON web token could not be decoded");

async fn verify_app_jwt(
    store: &GithubStore,
    token: &str,
    now: Timestamp,
) -> Result<StoredApp, RestError> {
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(UNDECODABLE)?;
    let issuer = match &claims["iss"] {
        Value::Number(id) => id.as_i64(),
        Value::String(id) => id.parse().ok(),
        _ => None,
    };
    let issuer = issuer.ok_or(RestError::Unauthorized(
        "'Issuer' claim ('iss') must be an Integer",
    ))?;
    let app = store
        .find_app(issuer)
        .await?
        .ok_or(RestError::Unauthorized("Integration not found"))?;

    let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).map_err(anyhow::Error::from)?;
    let mut validation = Validation::new(Algorithm::RS256);
    // The times are checked below, with GitHub's messages.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|_| UNDECODABLE)?;
    check_jwt_times(
        claims["iat"].as_i64(),
        claims["exp"].as_i64(),
        now.as_second(),
    )?;
    Ok(app)
}

/// GitHub accepts an assertion that was issued before now and expires within ten minutes.
fn check_jwt_times(issued: Option<i64>, expires: Option<i64>, now: i64) -> Result<(), RestError> {
    match (issued, expires) {
        (Some(issued), _) if issued > now => Err(RestError::Unauthorized(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        )),
        (None, _) => Err(RestError::Unauthorized(
            "Missing 'issued at' claim ('iat') in assertion",
        )),
        (_, None) => Err(RestError::Unauthorized(
            "Missing 'expiration time' claim ('exp') in assertion",
        )),
        (_, Some(expires)) if expires <= now => Err(RestError::Unauthorized(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        )),
        (_, Some(expires)) if expires > now + 600 => Err(RestError::Unauthorized(
            "'Expiration time' claim ('exp') is too far in the future",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_every_form() {
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for (header, token) in [
            ("Bearer abc".to_owned(), Some("abc")),
            ("token abc".to_owned(), Some("abc")),
            (basic("x-access-token:abc"), Some("abc")),
            (basic("abc:x-oauth-basic"), Some("abc")),
            (basic("abc:"), Some("abc")),
            ("Digest abc".to_owned(), None),
            ("abc".to_owned(), None),
        ] {
            assert_eq!(parse_authorization(&header).as_deref(), token, "{header}");
        }
    }

    #[test]
    fn an_assertion_lives_for_ten_minutes() {
        let now = 1_000_000;
        for (name, issued, expires, fine) in [
            ("back-dated", Some(now - 60), Some(now + 540), true),
            ("the longest", Some(now), Some(now + 600), true),
            ("too long", Some(now), Some(now + 601), false),
            ("over", Some(now - 700), Some(now - 1), false),
            ("issued in the future", Some(now + 5), Some(now + 60), false),
            ("without iat", None, Some(now + 60), false),
            ("without exp", Some(now), None, false),
        ] {
            assert_eq!(
                check_jwt_times(issued, expires, now).is_ok(),
                fine,
                "{name}"
            );
        }
    }
}
