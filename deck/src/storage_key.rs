//! The key that tokens are checked with: where it is kept, filled where there is none, followed
//! when it is rotated.

mod secret;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use common::storage::token::keys::{KeyError, KeyFile, Keys};
use common::storage::token::{self, Grant, TokenError};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use secret::SecretHome;

/// Between two looks at a key that is there: it may be rotated.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks that tokens can cause; while there is no key, looks become rarer from here.
const EAGER: Duration = Duration::from_secs(1);

/// How long a request waits for a look.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Where the key is kept.
#[derive(Debug)]
pub(crate) enum Home {
    File(KeyFile),
    Secret(Box<SecretHome>),
}

impl Home {
    /// The keys as they are, with a new one where there is none.
    async fn fill(&self) -> Result<Keys, KeyError> {
        match self {
            Self::File(file) => file.fill(),
            Self::Secret(secret) => secret.fill().await,
        }
    }
}

/// The key as it is known.
#[derive(Debug)]
pub(crate) struct StorageKey {
    home: Home,
    known: RwLock<Result<Keys, KeyError>>,
    /// When it was looked at last; held while somebody looks.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Of this Deck's own doing: the sender should come again.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl StorageKey {
    pub(crate) fn new(home: Home) -> Self {
        Self {
            home,
            known: RwLock::new(Err(KeyError::Missing)),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// Fills the key, and looks at it again and again until the end.
    pub(crate) async fn follow(&self, shutdown: &CancellationToken) {
        let following = async {
            let mut wait = EAGER;
            loop {
                self.look(Instant::now()).await;
                wait = if self.known().is_ok() {
                    LOOK
                } else {
                    LOOK.min(wait * 2)
                };
                sleep(wait).await;
            }
        };
        shutdown.run_until_cancelled(following).await;
    }

    /// What `token` allows at the time `now`. One that no known key has signed may be of a key
    /// that plank has seen first.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Grant, Rejection> {
        let verified = self.known().map(|keys| token::verify(&keys, token, now));
        match verified {
            Err(_) | Ok(Err(TokenError::BadSignature)) => {
                // Whoever is late looks on; the sender comes again.
                let look = timeout(PATIENCE, self.look(Instant::now())).await;
                look.map_err(|_| KeyError::Unreadable)?;
                Ok(token::verify(&self.known()?, token, now)?)
            }
            Ok(verified) => Ok(verified?),
        }
    }

    /// Looks, unless somebody else has since `asked`; at most once in a while.
    async fn look(&self, asked: Instant) {
        let mut looked = self.looked.lock().await;
        if let Some(last) = *looked {
            if last > asked {
                return;
            }
            sleep_until(last + EAGER).await;
        }
        *looked = Some(Instant::now());
        let found = self.home.fill().await;
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

    fn known(&self) -> Result<Keys, KeyError> {
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
        let key = StorageKey::new(Home::File(KeyFile::new(path.clone())));
        let hour = Timestamp::from_second(3600).unwrap();
        let zero = Timestamp::UNIX_EPOCH;
        let malformed = Err(Rejection::Token(TokenError::Malformed));
        assert_eq!(key.verify("v1", zero).await, malformed);
        let first = KeyFile::new(path.clone()).read().unwrap();
        let token = first.sign("logs/j/1", hour);
        assert!(key.verify(&token, zero).await.is_ok());
        // As an operator rotates, with plank the first to see it.
        std::fs::rename(&path, folder.path().join("key.previous")).unwrap();
        std::fs::write(&path, "another key of 24 bytes.").unwrap();
        let second = KeyFile::new(path).read().unwrap();
        for token in [second.sign("logs/j/1", hour), token] {
            assert!(key.verify(&token, zero).await.is_ok());
        }
        let forged = token::sign(b"a key that nobody has", "logs/j/1", hour);
        let bad = Err(Rejection::Token(TokenError::BadSignature));
        assert_eq!(key.verify(&forged, zero).await, bad);
    }
}
