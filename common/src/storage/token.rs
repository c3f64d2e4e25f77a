//! The right of one pod to write and read its own run through Deck, and nothing else.
//!
//! A token is `v1.<expiry>.<prefix>.<mac>`: seconds since 1970, the run's folder in base64url,
//! and an HMAC-SHA256 over both under a key that plank and Deck share.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::{key as object_key, paths};

const VERSION: &str = "v1";

/// Why a token does not open a door. Tell a client no more than "forbidden".
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

/// A token that allows `prefix` (a run's folder) and the alias and latest-build keys that
/// belong to it, until `expiry`.
#[must_use]
pub fn sign(key: &[u8], prefix: &str, expiry: Timestamp) -> String {
    let signed = format!(
        "{VERSION}.{}.{}",
        expiry.as_second(),
        URL_SAFE_NO_PAD.encode(prefix)
    );
    let mac = mac(key, &signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Whether this has the form of a token of ours, good or not: other bearers are other doors'.
#[must_use]
pub fn is_ours(token: &str) -> bool {
    token.starts_with("v1.")
}

/// Checks that `token` allows to write and read `path`, a key, at the time `now`.
pub fn verify(key: &[u8], token: &str, now: Timestamp, path: &str) -> Result<(), TokenError> {
    let prefix = open(key, token, now)?;
    check(allows(&prefix, path))
}

/// Checks that `token` allows to list `folder`, at the time `now`: the run's own or one in it.
pub fn verify_listing(
    key: &[u8],
    token: &str,
    now: Timestamp,
    folder: &str,
) -> Result<(), TokenError> {
    let prefix = open(key, token, now)?;
    check(is_folder(&prefix) && (prefix == folder || is_below(&prefix, folder)))
}

fn check(allowed: bool) -> Result<(), TokenError> {
    if allowed {
        Ok(())
    } else {
        Err(TokenError::OtherRun)
    }
}

/// The folder that a token of ours is for, while it lasts.
fn open(key: &[u8], token: &str, now: Timestamp) -> Result<String, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    // In constant time, and before anything of the token is looked at.
    mac(key, signed)
        .verify_slice(&signature)
        .map_err(|_| TokenError::BadSignature)?;

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
    let prefix = String::from_utf8(prefix).map_err(|_| TokenError::Malformed)?;
    if now.as_second() >= expiry {
        return Err(TokenError::Expired);
    }
    Ok(prefix)
}

fn allows(prefix: &str, path: &str) -> bool {
    is_folder(prefix)
        && object_key::validate(path).is_ok()
        && (is_below(prefix, path) || paths::belonging(prefix).iter().any(|own| own == path))
}

fn is_folder(prefix: &str) -> bool {
    object_key::validate(prefix).is_ok()
}

fn is_below(prefix: &str, path: &str) -> bool {
    object_key::validate(path).is_ok()
        && path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn mac(key: &[u8], signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const DIR: &str = "pr-logs/pull/o_r/7/unit/1234";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn opens_its_own_run_and_no_other() {
        let token = sign(KEY, DIR, at(1000));
        for (path, expected) in [
            ("pr-logs/pull/o_r/7/unit/1234/build-log.txt", Ok(())),
            ("pr-logs/pull/o_r/7/unit/1234/artifacts/a/b", Ok(())),
            ("pr-logs/directory/unit/1234.txt", Ok(())),
            ("pr-logs/directory/unit/latest-build.txt", Ok(())),
            ("pr-logs/pull/o_r/7/unit/latest-build.txt", Ok(())),
            (DIR, Err(TokenError::OtherRun)),
            ("pr-logs/pull/o_r/7/unit/12345/x", Err(TokenError::OtherRun)),
            (
                "pr-logs/pull/o_r/7/unit/1234/../1235/x",
                Err(TokenError::OtherRun),
            ),
            ("pr-logs/pull/o_r/7/unit/1234//x", Err(TokenError::OtherRun)),
            ("pr-logs/directory/unit/1235.txt", Err(TokenError::OtherRun)),
            (
                "pr-logs/directory/other/latest-build.txt",
                Err(TokenError::OtherRun),
            ),
            ("logs/unit/latest-build.txt", Err(TokenError::OtherRun)),
            ("", Err(TokenError::OtherRun)),
        ] {
            assert_eq!(verify(KEY, &token, at(999), path), expected, "{path}");
        }
    }

    #[test]
    fn lists_its_own_folder_and_no_other() {
        let token = sign(KEY, DIR, at(1000));
        for (folder, expected) in [
            (DIR, Ok(())),
            ("pr-logs/pull/o_r/7/unit/1234/artifacts", Ok(())),
            ("pr-logs/pull/o_r/7/unit", Err(TokenError::OtherRun)),
            ("pr-logs/pull/o_r/7/unit/12345", Err(TokenError::OtherRun)),
            (
                "pr-logs/pull/o_r/7/unit/1234/../1235",
                Err(TokenError::OtherRun),
            ),
            ("pr-logs/directory/unit", Err(TokenError::OtherRun)),
            ("", Err(TokenError::OtherRun)),
        ] {
            assert_eq!(
                verify_listing(KEY, &token, at(999), folder),
                expected,
                "{folder}"
            );
        }
        assert_eq!(
            verify_listing(KEY, &token, at(1000), DIR),
            Err(TokenError::Expired)
        );
        let everything = sign(KEY, "", at(1000));
        assert_eq!(
            verify_listing(KEY, &everything, at(1), ""),
            Err(TokenError::OtherRun)
        );
    }

    #[test]
    fn ends_in_time() {
        let token = sign(KEY, DIR, at(1000));
        let path = format!("{DIR}/x");
        assert_eq!(
            verify(KEY, &token, at(1000), &path),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn a_changed_token_is_worth_nothing() {
        let token = sign(KEY, DIR, at(1000));
        let path = format!("{DIR}/x");
        assert_eq!(
            verify(b"another key", &token, at(1), &path),
            Err(TokenError::BadSignature)
        );
        let longer = token.replacen("v1.1000", "v1.9999", 1);
        assert_eq!(
            verify(KEY, &longer, at(1), &path),
            Err(TokenError::BadSignature)
        );
        let own_mac = token.rsplit_once('.').unwrap().1;
        let elsewhere = format!(
            "v1.1000.{}.{own_mac}",
            URL_SAFE_NO_PAD.encode("logs/victim/1")
        );
        assert_eq!(
            verify(KEY, &elsewhere, at(1), "logs/victim/1/x"),
            Err(TokenError::BadSignature)
        );
        for token in ["", ".", "v1", "v1.1000.x.!!", "x.y"] {
            assert!(verify(KEY, token, at(1), &path).is_err(), "{token}");
        }
    }

    #[test]
    fn a_prefix_that_is_no_folder_allows_nothing() {
        for prefix in ["", "/", "a/../b"] {
            let token = sign(KEY, prefix, at(1000));
            assert_eq!(
                verify(KEY, &token, at(1), "a/b"),
                Err(TokenError::OtherRun),
                "{prefix}"
            );
            assert_eq!(
                verify(KEY, &token, at(1), "/etc"),
                Err(TokenError::OtherRun),
                "{prefix}"
            );
        }
    }
}
