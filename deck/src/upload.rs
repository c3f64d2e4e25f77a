//! Uploads of pods to Deck's storage: who may write, how much, and never half an object.

mod meter;
mod pointer;
mod storage_limits;
mod storage_usage;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use common::storage::token::keys::StorageKeyError;
use common::storage::token::{GrantedKey, StorageGrant, TokenError};
use common::storage::{
    ObjectAttributes, ObjectBody, ObjectListing, ObjectStorage, StorageError, paths,
};
use futures::{FutureExt, Stream, TryFutureExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::options::DeckStorage;
use crate::storage_key::{StorageKey, TokenRejection};
use meter::{CutReason, UploadMeter};
use pointer::{PointerVerdict, judge_pointer};
pub(crate) use storage_limits::StoredObjectKind;
use storage_limits::{MAX_POINTER, StorageLimits};
use storage_usage::{RunUsage, SpaceRequest, SpaceReservation, StorageUsage};

/// Maximum number of uploads at once; each may hold some megabytes in memory.
const MAX_UPLOADS: usize = 32;
/// How long an upload waits for its turn before its sender has to try again.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// An object that must not replace another is first read into memory, so it has to be small.
const MAX_IF_ABSENT: u64 = 1 << 20;
/// The same for `finished.json`, which contains a job's metadata.
const MAX_RESULT: u64 = 4 << 20;

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadRefusal {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No token can be verified now.
    #[error(transparent)]
    Key(StorageKeyError),
    /// A pointer outside the run's folder may name only this run.
    #[error("it would tell of another run")]
    Foreign,
    /// The `finished.json` of a complete run is not replaced.
    #[error("the run is complete, and its result stands")]
    Ended,
    /// The jobs are not listed yet, so it is not known whether the run is complete.
    #[error("the jobs are not listed yet")]
    NotListed,
    #[error("an object of this kind may have {0} bytes (--storage-max-object-size)")]
    ObjectTooLarge(u64),
    #[error(
        "the {} of a run may have {room} bytes together, and it keeps {kept} already (--storage-max-job-size)",
        kind.plural_name()
    )]
    RunTooLarge {
        kind: StoredObjectKind,
        room: u64,
        kept: u64,
    },
    /// `If-None-Match: *` was sent, and the object exists.
    #[error("the object exists")]
    Exists,
    /// Of a run's objects, only the pieces of its live log may be deleted.
    #[error("the object is kept")]
    Kept,
    /// The sender disconnected or broke the protocol.
    #[error("the upload broke off")]
    Broken,
    #[error("too many uploads at once")]
    Busy,
    #[error(transparent)]
    Storage(StorageError),
}

impl From<TokenRejection> for UploadRefusal {
    fn from(rejection: TokenRejection) -> Self {
        match rejection {
            TokenRejection::Token(error) => Self::Token(error),
            TokenRejection::Key(error) => Self::Key(error),
        }
    }
}

type UploadTurn<'a> = (OwnedMutexGuard<()>, SemaphorePermit<'a>);

/// A request to store an object.
pub(crate) struct PutRequest<'a> {
    pub(crate) key: &'a str,
    /// What the sender's token allows.
    pub(crate) grant: &'a StorageGrant,
    /// Whether the run is complete; `None`: not known yet.
    pub(crate) is_complete: &'a (dyn Fn() -> Option<bool> + Sync),
    pub(crate) attributes: &'a ObjectAttributes,
    /// The length that the sender announced, in bytes.
    pub(crate) length: Option<u64>,
    pub(crate) only_if_absent: bool,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Uploads {
    own: DeckStorage,
    key: StorageKey,
    slots: Semaphore,
    ledger: StorageUsage,
}

impl Uploads {
    pub(crate) fn new(own: DeckStorage, key: StorageKey) -> Self {
        Self {
            own,
            key,
            slots: Semaphore::new(MAX_UPLOADS),
            ledger: StorageUsage::default(),
        }
    }

    fn storage(&self) -> &ObjectStorage {
        &self.own.storage
    }

    fn size_limits(&self) -> StorageLimits {
        StorageLimits {
            object: self.own.max_object_size,
            run: self.own.max_job_size,
        }
    }

    /// The key that tokens are verified with.
    pub(crate) fn storage_key(&self) -> &StorageKey {
        &self.key
    }

    /// Verifies `token` and returns what it allows.
    pub(crate) async fn verify_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<StorageGrant, UploadRefusal> {
        Ok(self.key.verify_token(token, now).await?)
    }

    /// Stores `body`, unless it is too large, takes the space of other kinds of objects, or says
    /// what the token does not allow.
    pub(crate) async fn put_object<E>(
        &self,
        put: &PutRequest<'_>,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<(), UploadRefusal>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let reach = put.grant.check_key(put.key)?;
        let dir = match reach {
            GrantedKey::Inside(_) => put.grant.folder(),
            GrantedKey::Alias | GrantedKey::LatestBuild => "",
        };
        let kind = StoredObjectKind::from_key(put.key, dir);
        let mut size = self.size_limits().max_object_size(kind);
        let is_result = reach == GrantedKey::Inside(paths::FINISHED);
        if put.only_if_absent {
            size = size.min(MAX_IF_ABSENT);
        } else if is_result {
            size = size.min(MAX_RESULT);
        }
        if put.length.is_some_and(|length| length > size) {
            return Err(UploadRefusal::ObjectTooLarge(size));
        }
        let account = self.ledger.run_usage(dir);
        let _turn = self.wait_for_turn(&account, put.key).await?;
        let room = self.size_limits().max_run_size(kind);
        let no_room = || UploadRefusal::RunTooLarge {
            kind,
            room,
            kept: account.kept(),
        };
        let share = match kind {
            StoredObjectKind::Pointer => None,
            _ => Some(
                self.reserve_space(put, dir, room)
                    .await?
                    .ok_or_else(no_room)?,
            ),
        };
        let meter = UploadMeter::new(size, share);
        let body = meter.clone().measure_body(body);
        let stored = if kind == StoredObjectKind::Pointer {
            self.put_pointer(put, reach, body).await
        } else if put.only_if_absent {
            self.put_if_absent(put, body).await
        } else if is_result {
            self.put_result(put, body).await
        } else {
            self.storage()
                .put_object(put.key, ObjectBody::from_stream(body), put.attributes)
                .await
                .map_err(UploadRefusal::Storage)
        };
        match (stored, meter.cut_reason()) {
            (Ok(()), _) => {
                meter.commit_upload();
                Ok(())
            }
            (Err(_), Some(CutReason::ObjectTooLarge)) => Err(UploadRefusal::ObjectTooLarge(size)),
            (Err(_), Some(CutReason::NoRoom)) => Err(no_room()),
            (Err(_), Some(CutReason::Broken)) => Err(UploadRefusal::Broken),
            (Err(refusal), None) => Err(refusal),
        }
    }

    /// Deletes a piece of the live log of the run that `token` is for.
    pub(crate) async fn delete_piece(
        &self,
        token: &str,
        now: Timestamp,
        key: &str,
    ) -> Result<(), UploadRefusal> {
        let grant = self.verify_token(token, now).await?;
        grant.check_key(key)?;
        let dir = grant.folder();
        if StoredObjectKind::from_key(key, dir) != StoredObjectKind::Piece {
            return Err(UploadRefusal::Kept);
        }
        let account = self.ledger.run_usage(dir);
        let _turn = self.wait_for_turn(&account, key).await?;
        let size = match self.storage().head_object(key).await {
            Ok(object) => object.size,
            Err(StorageError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(UploadRefusal::Storage(error)),
        };
        self.storage()
            .delete_object(key)
            .await
            .map_err(UploadRefusal::Storage)?;
        account.subtract_bytes(size);
        Ok(())
    }

    /// Waits for the exclusive right to write `key`, and for an upload slot.
    async fn wait_for_turn(
        &self,
        account: &RunUsage,
        key: &str,
    ) -> Result<UploadTurn<'_>, UploadRefusal> {
        let waiting = async {
            let key = account.wait_for_turn(key).await;
            let slot = self.slots.acquire().await;
            (key, slot.expect("the semaphore is never closed"))
        };
        let turn = tokio::time::timeout(TURN_TIMEOUT, waiting).await;
        turn.map_err(|_| UploadRefusal::Busy)
    }

    /// Checks whether the run is complete after all of its result has arrived.
    async fn put_result(
        &self,
        put: &PutRequest<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), UploadRefusal> {
        let text = read_whole(body).await?;
        self.check_not_complete(put).await?;
        self.storage()
            .put_object(put.key, text, put.attributes)
            .await
            .map_err(UploadRefusal::Storage)
    }

    /// A result may be replaced until the run is complete.
    async fn check_not_complete(&self, put: &PutRequest<'_>) -> Result<(), UploadRefusal> {
        let is_complete = (put.is_complete)();
        if is_complete == Some(false) {
            return Ok(());
        }
        match (self.storage().head_object(put.key).await, is_complete) {
            (Err(StorageError::NotFound(_)), _) => Ok(()),
            (Err(error), _) => Err(UploadRefusal::Storage(error)),
            (Ok(_), Some(_)) => Err(UploadRefusal::Ended),
            (Ok(_), None) => Err(UploadRefusal::NotListed),
        }
    }

    async fn put_pointer(
        &self,
        put: &PutRequest<'_>,
        reach: GrantedKey<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), UploadRefusal> {
        let text = read_whole(body).await?;
        let standing = match self.storage().get_object(put.key).await {
            Ok(_) if put.only_if_absent => return Err(UploadRefusal::Exists),
            // A pointer that is too long is ignored.
            Ok(object) if object.size > MAX_POINTER as u64 => None,
            Ok(object) => Some(
                object
                    .read_bytes(MAX_POINTER)
                    .await
                    .map_err(UploadRefusal::Storage)?,
            ),
            Err(StorageError::NotFound(_)) => None,
            Err(error) => return Err(UploadRefusal::Storage(error)),
        };
        match judge_pointer(put.grant, reach, &text, standing.as_deref(), put.now) {
            PointerVerdict::Keep => Ok(()),
            PointerVerdict::Foreign => Err(UploadRefusal::Foreign),
            PointerVerdict::Write => self
                .storage()
                .put_object(put.key, text, put.attributes)
                .await
                .map_err(UploadRefusal::Storage),
        }
    }

    async fn put_if_absent(
        &self,
        put: &PutRequest<'_>,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), UploadRefusal> {
        let whole = read_whole(body).await?;
        let stored = self
            .storage()
            .put_if_absent(put.key, whole, put.attributes)
            .await;
        match stored {
            Ok(true) => Ok(()),
            Ok(false) => Err(UploadRefusal::Exists),
            Err(error) => Err(UploadRefusal::Storage(error)),
        }
    }

    /// Reserves space in the run's folder; `None`: there is none.
    async fn reserve_space(
        &self,
        put: &PutRequest<'_>,
        dir: &str,
        room: u64,
    ) -> Result<Option<SpaceReservation>, UploadRefusal> {
        let replaced = match self.storage().head_object(put.key).await {
            Ok(object) => object.size,
            Err(StorageError::NotFound(_)) => 0,
            Err(error) => return Err(UploadRefusal::Storage(error)),
        };
        let claim = SpaceRequest {
            replaced,
            announced: put.length,
        };
        let list = || {
            let listing = self.storage().list_objects(dir, false);
            let sum =
                |listing: ObjectListing| listing.objects.iter().map(|object| object.size).sum();
            listing.map_ok(sum).boxed()
        };
        let account = self.ledger.run_usage(dir);
        account
            .reserve_space(claim, room, put.now, list)
            .await
            .map_err(UploadRefusal::Storage)
    }
}

async fn read_whole(body: impl Stream<Item = io::Result<Bytes>>) -> Result<Vec<u8>, UploadRefusal> {
    let whole = body.try_fold(Vec::new(), async |mut whole: Vec<u8>, chunk| {
        whole.extend_from_slice(&chunk);
        Ok(whole)
    });
    // The meter knows why the body ended. There is a timeout, since others wait for their turn.
    let whole = tokio::time::timeout(TURN_TIMEOUT, whole).await;
    let whole = whole.map_err(|_| UploadRefusal::Broken)?;
    whole.map_err(|_| UploadRefusal::Broken)
}

#[cfg(test)]
mod tests;
