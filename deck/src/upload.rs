//! What pods put into Deck's storage: by whom, how much, and that half an object is none.

mod ledger;
mod meter;
mod pointer;
mod room;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use common::storage::token::keys::KeyError;
use common::storage::token::{Grant, Reach, TokenError};
use common::storage::{Attributes, Body, Error, Listing, Storage, paths};
use futures::{FutureExt, Stream, TryFutureExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::options::OwnStorage;
use crate::storage_key::{Rejection, StorageKey};
use ledger::{Account, Claim, Ledger, Share};
use meter::{Cut, Meter};
use pointer::{Verdict, judge};
pub(crate) use room::Kind;
use room::{Limits, POINTER};

/// Uploads at once; each may hold some megabytes on its way to the disk.
const AT_ONCE: usize = 32;
/// How long an upload waits for its turn before its sender is asked to come again.
const TURN: Duration = Duration::from_secs(30);
/// An object that must not replace another is read whole first, so it has to be small.
const MAX_IF_ABSENT: u64 = 1 << 20;
/// The same of `finished.json`, which has a job's metadata.
const MAX_RESULT: u64 = 4 << 20;

/// Why an upload did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No token can be checked now.
    #[error(transparent)]
    Key(KeyError),
    /// A key beside the run's folder may tell of this run only.
    #[error("it would tell of another run")]
    Foreign,
    /// What stands in `finished.json` once the run is complete.
    #[error("the run is complete, and its result stands")]
    Ended,
    /// The jobs are not listed yet, so nobody knows whether the run is complete.
    #[error("the jobs are not listed yet")]
    NotListed,
    #[error("an object of this kind may have {0} bytes (--storage-max-object-size)")]
    ObjectTooLarge(u64),
    #[error(
        "the {} of a run may have {room} bytes together, and it keeps {kept} already (--storage-max-job-size)",
        kind.plural()
    )]
    RunTooLarge { kind: Kind, room: u64, kept: u64 },
    /// `If-None-Match: *` and there is one.
    #[error("the object exists")]
    Exists,
    /// Of what a run has stored nothing may go but the pieces of its live log.
    #[error("the object is kept")]
    Kept,
    /// The sender went away or broke the protocol.
    #[error("the upload broke off")]
    Broken,
    #[error("too many uploads at once")]
    Busy,
    #[error(transparent)]
    Storage(Error),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Token(error) => Self::Token(error),
            Rejection::Key(error) => Self::Key(error),
        }
    }
}

type Turn<'a> = (OwnedMutexGuard<()>, SemaphorePermit<'a>);

/// What is put.
pub(crate) struct Put<'a> {
    pub(crate) key: &'a str,
    /// What the sender's token allows.
    pub(crate) grant: &'a Grant,
    /// Whether the run is complete; `None`: nobody knows yet.
    pub(crate) is_complete: &'a (dyn Fn() -> Option<bool> + Sync),
    pub(crate) attributes: &'a Attributes,
    /// What the sender announced, in bytes.
    pub(crate) length: Option<u64>,
    pub(crate) only_if_absent: bool,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Uploads {
    own: OwnStorage,
    key: StorageKey,
    slots: Semaphore,
    ledger: Ledger,
}

impl Uploads {
    pub(crate) fn new(own: OwnStorage, key: StorageKey) -> Self {
        Self {
            own,
            key,
            slots: Semaphore::new(AT_ONCE),
            ledger: Ledger::default(),
        }
    }

    fn storage(&self) -> &Storage {
        &self.own.storage
    }

    fn limits(&self) -> Limits {
        Limits {
            object: self.own.max_object_size,
            run: self.own.max_job_size,
        }
    }

    /// The key that tokens are checked with.
    pub(crate) fn key(&self) -> &StorageKey {
        &self.key
    }

    /// What `token` allows.
    pub(crate) async fn grant(&self, token: &str, now: Timestamp) -> Result<Grant, Refusal> {
        Ok(self.key.verify(token, now).await?)
    }

    /// Stores `body`, unless it would become too large, fill what is kept for other objects, or
    /// say what the token does not allow to say.
    pub(crate) async fn put<E>(
        &self,
        put: &Put<'_>,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<(), Refusal>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let reach = put.grant.reach(put.key)?;
        let dir = match reach {
            Reach::Inside(_) => put.grant.folder(),
            Reach::Alias | Reach::LatestBuild => "",
        };
        let kind = Kind::of(put.key, dir);
        let mut size = self.limits().size(kind);
        let is_result = reach == Reach::Inside(paths::FINISHED);
        if put.only_if_absent {
            size = size.min(MAX_IF_ABSENT);
        } else if is_result {
            size = size.min(MAX_RESULT);
        }
        if put.length.is_some_and(|length| length > size) {
            return Err(Refusal::ObjectTooLarge(size));
        }
        let account = self.ledger.account(dir);
        let _turn = self.turn(&account, put.key).await?;
        let room = self.limits().room(kind);
        let no_room = || Refusal::RunTooLarge {
            kind,
            room,
            kept: account.kept(),
        };
        let share = match kind {
            Kind::Pointer => None,
            _ => Some(self.reserve(put, dir, room).await?.ok_or_else(no_room)?),
        };
        let meter = Meter::new(size, share);
        let body = meter.clone().measure(body);
        let stored = if kind == Kind::Pointer {
            self.put_pointer(put, reach, body).await
        } else if put.only_if_absent {
            self.put_if_absent(put, body).await
        } else if is_result {
            self.put_result(put, body).await
        } else {
            self.storage()
                .put(put.key, Body::stream(body), put.attributes)
                .await
                .map_err(Refusal::Storage)
        };
        match (stored, meter.cut()) {
            (Ok(()), _) => {
                meter.commit();
                Ok(())
            }
            (Err(_), Some(Cut::ObjectTooLarge)) => Err(Refusal::ObjectTooLarge(size)),
            (Err(_), Some(Cut::NoRoom)) => Err(no_room()),
            (Err(_), Some(Cut::Broken)) => Err(Refusal::Broken),
            (Err(refusal), None) => Err(refusal),
        }
    }

    /// Removes a piece of the live log of the run that `token` is for.
    pub(crate) async fn delete_piece(
        &self,
        token: &str,
        now: Timestamp,
        key: &str,
    ) -> Result<(), Refusal> {
        let grant = self.grant(token, now).await?;
        grant.reach(key)?;
        let dir = grant.folder();
        if Kind::of(key, dir) != Kind::Piece {
            return Err(Refusal::Kept);
        }
        let account = self.ledger.account(dir);
        let _turn = self.turn(&account, key).await?;
        let size = match self.storage().head(key).await {
            Ok(object) => object.size,
            Err(Error::NotFound(_)) => return Ok(()),
            Err(error) => return Err(Refusal::Storage(error)),
        };
        self.storage().delete(key).await.map_err(Refusal::Storage)?;
        account.forget(size);
        Ok(())
    }

    /// The right to write `key` now, which nobody else has.
    async fn turn(&self, account: &Account, key: &str) -> Result<Turn<'_>, Refusal> {
        let waiting = async {
            let key = account.turn(key).await;
            let slot = self.slots.acquire().await;
            (key, slot.expect("the semaphore is never closed"))
        };
        let turn = tokio::time::timeout(TURN, waiting).await;
        turn.map_err(|_| Refusal::Busy)
    }

    /// Whether the run is complete is asked when all of its result is here.
    async fn put_result(
        &self,
        put: &Put<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), Refusal> {
        let text = whole(body).await?;
        self.check_end(put).await?;
        self.storage()
            .put(put.key, text, put.attributes)
            .await
            .map_err(Refusal::Storage)
    }

    /// A result may be replaced until the run is complete.
    async fn check_end(&self, put: &Put<'_>) -> Result<(), Refusal> {
        let is_complete = (put.is_complete)();
        if is_complete == Some(false) {
            return Ok(());
        }
        match (self.storage().head(put.key).await, is_complete) {
            (Err(Error::NotFound(_)), _) => Ok(()),
            (Err(error), _) => Err(Refusal::Storage(error)),
            (Ok(_), Some(_)) => Err(Refusal::Ended),
            (Ok(_), None) => Err(Refusal::NotListed),
        }
    }

    async fn put_pointer(
        &self,
        put: &Put<'_>,
        reach: Reach<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), Refusal> {
        let text = whole(body).await?;
        let standing = match self.storage().get(put.key).await {
            Ok(_) if put.only_if_absent => return Err(Refusal::Exists),
            // What is too long is nothing to go by.
            Ok(object) if object.size > POINTER as u64 => None,
            Ok(object) => Some(object.bytes(POINTER).await.map_err(Refusal::Storage)?),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(Refusal::Storage(error)),
        };
        match judge(put.grant, reach, &text, standing.as_deref(), put.now) {
            Verdict::Keep => Ok(()),
            Verdict::Foreign => Err(Refusal::Foreign),
            Verdict::Write => self
                .storage()
                .put(put.key, text, put.attributes)
                .await
                .map_err(Refusal::Storage),
        }
    }

    async fn put_if_absent(
        &self,
        put: &Put<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), Refusal> {
        let whole = whole(body).await?;
        let stored = self
            .storage()
            .put_if_absent(put.key, whole, put.attributes)
            .await;
        match stored {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Exists),
            Err(error) => Err(Refusal::Storage(error)),
        }
    }

    /// Room in the run's folder; `None`: there is none.
    async fn reserve(&self, put: &Put<'_>, dir: &str, room: u64) -> Result<Option<Share>, Refusal> {
        let replaced = match self.storage().head(put.key).await {
            Ok(object) => object.size,
            Err(Error::NotFound(_)) => 0,
            Err(error) => return Err(Refusal::Storage(error)),
        };
        let claim = Claim {
            replaced,
            announced: put.length,
        };
        let list = || {
            let listing = self.storage().list(dir, false);
            let sum = |listing: Listing| listing.objects.iter().map(|object| object.size).sum();
            listing.map_ok(sum).boxed()
        };
        let account = self.ledger.account(dir);
        account
            .reserve(claim, room, put.now, list)
            .await
            .map_err(Refusal::Storage)
    }
}

async fn whole(body: impl Stream<Item = io::Result<Bytes>>) -> Result<Vec<u8>, Refusal> {
    let whole = body.try_fold(Vec::new(), async |mut whole: Vec<u8>, chunk| {
        whole.extend_from_slice(&chunk);
        Ok(whole)
    });
    // Why it ended is told by its meter. Others wait for their turn meanwhile.
    let whole = tokio::time::timeout(TURN, whole).await;
    let whole = whole.map_err(|_| Refusal::Broken)?;
    whole.map_err(|_| Refusal::Broken)
}

#[cfg(test)]
mod tests;
