//! The key that tokens are checked with: where it is kept, filled where there is none, followed
//! when it is rotated.

mod secret;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use common::storage::token::keys::{StorageKeyError, StorageKeyFile, StorageKeys};
use common::storage::token::{self, StorageGrant, TokenError};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use secret::SecretKeyStore;

/// Between two looks at a key that is there: it may be rotated.
const RELOAD_INTERVAL: Duration = Duration::from_secs(30);
/// Between two looks that tokens can cause; while there is no key, looks become rarer from here.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// How long a request waits for a look.
const RELOAD_TIMEOUT: Duration = Duration::from_millis(1500);

/// Where the key is kept.
#[derive(Debug)]
pub(crate) enum KeyStore {
    File(StorageKeyFile),
    Secret(Box<SecretKeyStore>),
}

impl KeyStore {
    /// The keys as they are, with a new one where there is none.
    async fn read_or_create_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        match self {
            Self::File(file) => file.read_or_create_keys(),
            Self::Secret(secret) => secret.read_or_create_keys().await,
        }
    }
}

/// The key as it is known.
#[derive(Debug)]
pub(crate) struct StorageKey {
    home: KeyStore,
    known: RwLock<Result<StorageKeys, StorageKeyError>>,
    /// When it was looked at last; held while somebody looks.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRejection {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Of this Deck's own doing: the sender should come again.
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

    /// Fills the key, and looks at it again and again until the end.
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

    /// What `token` allows at the time `now`. One that no known key has signed may be of a key
    /// that plank has seen first.
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
                // Whoever is late looks on; the sender comes again.
                let look = timeout(RELOAD_TIMEOUT, self.reload_keys(Instant::now())).await;
                look.map_err(|_| StorageKeyError::Unreadable)?;
                Ok(token::verify_token(&self.known_keys()?, token, now)?)
            }
            Ok(verified) => Ok(verified?),
        }
    }

    /// Looks, unless somebody else has since `asked`; at most once in a while.
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
            // What was good holds while its home cannot be read.
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
        // As an operator rotates, with plank the first to see it.
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
