//! The key that tokens are verified with: where it is stored, how it is created if there is none,
//! and how its rotation is followed.

mod secret;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use common::storage::token::keys::{StorageKeyError, StorageKeyFile, StorageKeys};
use common::storage::token::{self, StorageGrant, TokenError};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use secret::SecretKeyStore;

/// Interval of reloads of a known key: it may be rotated.
const RELOAD_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest interval of reloads that tokens can cause. Without a key, the interval grows from it.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// How long a request waits for a reload.
const RELOAD_TIMEOUT: Duration = Duration::from_millis(1500);

/// Where the key is stored.
#[derive(Debug)]
pub(crate) enum KeyStore {
    File(StorageKeyFile),
    Secret(Box<SecretKeyStore>),
}

impl KeyStore {
    /// Reads the keys, and creates one if there is none.
    async fn read_or_create_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        match self {
            Self::File(file) => file.read_or_create_keys(),
            Self::Secret(secret) => secret.read_or_create_keys().await,
        }
    }
}

/// The key as it was last read.
#[derive(Debug)]
pub(crate) struct StorageKey {
    home: KeyStore,
    known: RwLock<Result<StorageKeys, StorageKeyError>>,
    /// When it was last reloaded; locked during a reload.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRejection {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A fault of this Deck: the sender should try again.
    #[error(transparent)]
    Key(#[from] StorageKeyError),
}

impl StorageKey {
    pub(crate) fn new(home: KeyStore) -> Self {
        Self {
            home,
            known: RwLock::new(Err(StorageKeyError::Missing)),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// Creates the key if there is none, and reloads it again and again until `shutdown`.
    pub(crate) async fn follow_rotation(&self, shutdown: &CancellationToken) {
        let following = async {
            let mut wait = MIN_RELOAD_INTERVAL;
            loop {
                self.reload_keys(Instant::now()).await;
                wait = if self.known_keys().is_ok() {
                    RELOAD_INTERVAL
                } else {
                    RELOAD_INTERVAL.min(wait * 2)
                };
                sleep(wait).await;
            }
        };
        shutdown.run_until_cancelled(following).await;
    }

    /// What `token` allows at the time `now`. If no known key has signed it, the keys are reloaded:
    /// plank may have seen a new key first.
    pub(crate) async fn verify_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<StorageGrant, TokenRejection> {
        let verified = self
            .known_keys()
            .map(|keys| token::verify_token(&keys, token, now));
        match verified {
            Err(_) | Ok(Err(TokenError::BadSignature)) => {
                // A request that waits too long gives up; its sender tries again.
                let look = timeout(RELOAD_TIMEOUT, self.reload_keys(Instant::now())).await;
                look.map_err(|_| StorageKeyError::Unreadable)?;
                Ok(token::verify_token(&self.known_keys()?, token, now)?)
            }
            Ok(verified) => Ok(verified?),
        }
    }

    /// Reloads the keys, unless somebody else has since `asked`; at most once per interval.
    async fn reload_keys(&self, asked: Instant) {
        let mut looked = self.looked.lock().await;
        if let Some(last) = *looked {
            if last > asked {
                return;
            }
            sleep_until(last + MIN_RELOAD_INTERVAL).await;
        }
        *looked = Some(Instant::now());
        let found = self.home.read_or_create_keys().await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &found) {
            // The last good key stays while the key cannot be read.
            (Ok(_), Err(error)) => {
                tracing::warn!(%error, "the storage key cannot be looked at; the last one holds");
                return;
            }
            (Err(before), Err(now)) if before != now => {
                tracing::error!(error = %now, "there is no storage key: uploads wait");
            }
            (Err(_), Ok(_)) => tracing::info!("the storage key is there"),
            (Ok(before), Ok(now)) if before != now => {
                tracing::info!("the storage key was rotated");
            }
            _ => {}
        }
        *known = found;
    }

    fn known_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_of_a_key_that_came_later_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = StorageKey::new(KeyStore::File(StorageKeyFile::new(path.clone())));
        let hour = Timestamp::from_second(3600).unwrap();
        let zero = Timestamp::UNIX_EPOCH;
        let malformed = Err(TokenRejection::Token(TokenError::Malformed));
        assert_eq!(key.verify_token("v1", zero).await, malformed);
        let first = StorageKeyFile::new(path.clone()).read_keys().unwrap();
        let token = first.sign_token("logs/j/1", hour);
        assert!(key.verify_token(&token, zero).await.is_ok());
        // Rotate as an operator does, with plank the first to see it.
        std::fs::rename(&path, folder.path().join("key.previous")).unwrap();
        std::fs::write(&path, "another key of 24 bytes.").unwrap();
        let second = StorageKeyFile::new(path).read_keys().unwrap();
        for token in [second.sign_token("logs/j/1", hour), token] {
            assert!(key.verify_token(&token, zero).await.is_ok());
        }
        let forged = token::sign_token(b"a key that nobody has", "logs/j/1", hour);
        let bad = Err(TokenRejection::Token(TokenError::BadSignature));
        assert_eq!(key.verify_token(&forged, zero).await, bad);
    }
}
