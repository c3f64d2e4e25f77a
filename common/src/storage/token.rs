//! Tokens that allow one pod to write and read its own run through Deck, and nothing else.
//!
//! A token is `v1.<expiry>.<prefix>.<mac>`: seconds since 1970, the run's folder in base64url,
//! and an HMAC-SHA256 over both under a key that plank and Deck share: see [`keys`].

pub mod keys;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::{key as object_key, paths};
use keys::StorageKeys;

const VERSION: &str = "v1";

/// Why a token is refused. Tell clients no more than "forbidden".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the storage token is malformed")]
    Malformed,
    #[error("the storage token was not signed with our key")]
    BadSignature,
    #[error("the storage token has expired")]
    Expired,
    #[error("the storage token is for another run")]
    OtherRun,
}

/// A token that allows `prefix` (a run's folder), and the run's alias and latest-build keys, until
/// `expiry`.
#[must_use]
pub fn sign_token(key: &[u8], prefix: &str, expiry: Timestamp) -> String {
    let signed = format!(
        "{VERSION}.{}.{}",
        expiry.as_second(),
        URL_SAFE_NO_PAD.encode(prefix)
    );
    let mac = start_mac(key, &signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Whether this has a storage token's form, valid or not: there are other bearer tokens.
#[must_use]
pub fn is_storage_token(token: &str) -> bool {
    token.starts_with("v1.")
}

/// What `token` allows at the time `now`.
pub fn verify_token(
    keys: &StorageKeys,
    token: &str,
    now: Timestamp,
) -> Result<StorageGrant, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    // The comparison takes constant time, and precedes any use of the token's content.
    let is_ours = |key| start_mac(key, signed).verify_slice(&signature).is_ok();
    if !keys.verifying_keys().any(is_ours) {
        return Err(TokenError::BadSignature);
    }

    let mut parts = signed.split('.');
    let (Some(VERSION), Some(expiry), Some(prefix), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let expiry: i64 = expiry.parse().map_err(|_| TokenError::Malformed)?;
    let prefix = URL_SAFE_NO_PAD
        .decode(prefix)
        .map_err(|_| TokenError::Malformed)?;
    let folder = String::from_utf8(prefix).map_err(|_| TokenError::Malformed)?;
    if now.as_second() >= expiry {
        return Err(TokenError::Expired);
    }
    Ok(StorageGrant { folder })
}

/// What a token allows: one run's folder, and the run's pointer keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageGrant {
    folder: String,
}

/// The place of a key, relative to the run of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantedKey<'a> {
    /// In the run's folder, under this name.
    Inside(&'a str),
    /// The presubmit's alias, which holds the folder's URL.
    Alias,
    /// The newest build id, which all runs of the job share.
    LatestBuild,
}

impl StorageGrant {
    /// The run's folder, without a slash at the end.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The run's build id.
    #[must_use]
    pub fn build_id(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or_default()
    }

    /// Where `key` is, if the token allows reading it. The rules for writing depend on the place.
    pub fn check_key<'a>(&self, key: &'a str) -> Result<GrantedKey<'a>, TokenError> {
        if !is_run_folder(&self.folder) || object_key::validate_key(key).is_err() {
            return Err(TokenError::OtherRun);
        }
        if let Some(name) = strip_folder(&self.folder, key) {
            let runs = paths::inverse::find_runs(key);
            let is_own = runs.first().is_some_and(|run| run.folder == self.folder);
            return is_own
                .then_some(GrantedKey::Inside(name))
                .ok_or(TokenError::OtherRun);
        }
        if !paths::pointer_keys(&self.folder)
            .iter()
            .any(|own| own == key)
        {
            return Err(TokenError::OtherRun);
        }
        Ok(if key.ends_with(paths::LATEST_BUILD) {
            GrantedKey::LatestBuild
        } else {
            GrantedKey::Alias
        })
    }

    /// Checks that the token allows listing `folder`, which is the run's own or one in it.
    pub fn check_listing(&self, folder: &str) -> Result<(), TokenError> {
        if folder == self.folder && is_run_folder(folder) {
            return Ok(());
        }
        match self.check_key(folder)? {
            GrantedKey::Inside(_) => Ok(()),
            GrantedKey::Alias | GrantedKey::LatestBuild => Err(TokenError::OtherRun),
        }
    }
}

/// Whether this is the folder of one run and not inside another's. It is parsed from its end,
/// because it begins with a `path_prefix`, which anybody may have chosen.
fn is_run_folder(folder: &str) -> bool {
    object_key::validate_key(folder).is_ok()
        && matches!(paths::inverse::find_runs(folder).as_slice(), [run] if run.rest.is_empty())
}

fn strip_folder<'a>(folder: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(folder)?.strip_prefix('/')
}

fn start_mac(key: &[u8], signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
