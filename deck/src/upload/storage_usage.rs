//! The storage that each run uses, counted as it uploads: its folder is listed once, not at every
//! upload.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use common::storage::StorageError;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

/// Maximum number of runs that are remembered; a forgotten run is counted again.
const MAX_RUNS: usize = 10_000;
/// A full run is counted again after this time: some of its objects may have been deleted.
const RECOUNT: SignedDuration = SignedDuration::from_mins(1);

/// The usage of every run that has uploaded lately, by its folder.
#[derive(Debug, Default)]
pub(super) struct StorageUsage {
    runs: Mutex<HashMap<String, Arc<RunUsage>>>,
}

impl StorageUsage {
    pub(super) fn run_usage(&self, dir: &str) -> Arc<RunUsage> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = runs.get(dir) {
            return account.clone();
        }
        if runs.len() >= MAX_RUNS {
            // Uploads in progress still hold a reference to theirs.
            runs.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = Arc::<RunUsage>::default();
        runs.insert(dir.to_owned(), account.clone());
        account
    }
}

/// The bytes that one run uses.
#[derive(Debug, Default)]
pub(super) struct RunUsage {
    balance: Mutex<UsageBytes>,
    counting: tokio::sync::Mutex<()>,
    /// Locks of the keys that are being written.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct UsageBytes {
    /// Bytes of all stored objects.
    kept: u64,
    /// Bytes that uploads in progress would add.
    coming: u64,
    /// When the folder was listed.
    counted: Option<Timestamp>,
    /// Increases with every change of the other fields.
    changes: u64,
}

impl RunUsage {
    fn lock_bytes(&self) -> MutexGuard<'_, UsageBytes> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the run keeps, as far as they are known.
    pub(super) fn kept(&self) -> u64 {
        self.lock_bytes().kept
    }

    /// Waits until nobody else writes `key`: the size that a write replaces has to be known.
    pub(super) async fn wait_for_turn(&self, key: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(key.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    /// Subtracts an object of `size` bytes, which was deleted.
    pub(super) fn subtract_bytes(&self, size: u64) {
        let mut balance = self.lock_bytes();
        balance.kept = balance.kept.saturating_sub(size);
        balance.changes += 1;
    }

    /// Reserves space for an upload if the run then keeps at most `limit` bytes, or else `None`.
    ///
    /// `list` returns the bytes in the folder. It is called the first time, and before a refusal if
    /// the last count was a while ago.
    pub(super) async fn reserve_space<'l>(
        self: &Arc<Self>,
        claim: SpaceRequest,
        limit: u64,
        now: Timestamp,
        list: impl Fn() -> BoxFuture<'l, Result<u64, StorageError>>,
    ) -> Result<Option<SpaceReservation>, StorageError> {
        self.count_folder(now, None, &list).await?;
        let mut taken = self.try_reserve(claim, limit);
        if taken.is_none() {
            self.count_folder(now, Some(RECOUNT), &list).await?;
            taken = self.try_reserve(claim, limit);
        }
        Ok(taken)
    }

    /// Counts the folder if it was never counted, or longer than `age` ago.
    async fn count_folder<'l>(
        &self,
        now: Timestamp,
        age: Option<SignedDuration>,
        list: &impl Fn() -> BoxFuture<'l, Result<u64, StorageError>>,
    ) -> Result<(), StorageError> {
        let is_fresh = |balance: &UsageBytes| match (balance.counted, age) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(counted), Some(age)) => now.duration_since(counted) < age,
        };
        if is_fresh(&self.lock_bytes()) {
            return Ok(());
        }
        let _counting = self.counting.lock().await;
        let before = *self.lock_bytes();
        if is_fresh(&before) {
            return Ok(());
        }
        let kept = list().await?;
        let mut balance = self.lock_bytes();
        // An upload that ended during the listing may be in the list or not.
        if before.coming == 0 && balance.changes == before.changes {
            balance.kept = kept;
            balance.counted = Some(now);
        }
        Ok(())
    }

    fn try_reserve(self: &Arc<Self>, claim: SpaceRequest, limit: u64) -> Option<SpaceReservation> {
        let mut share = SpaceReservation {
            account: self.clone(),
            replaced: claim.replaced,
            limit,
            seen: 0,
            added: 0,
        };
        share.grow_to(claim.announced.unwrap_or(0)).then_some(share)
    }
}

/// An upload that needs space.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpaceRequest {
    /// Bytes of the object that it replaces.
    pub(super) replaced: u64,
    /// Its own bytes, if the sender announced them.
    pub(super) announced: Option<u64>,
}

/// An upload in progress: what it adds counts from now on, until it is dropped.
#[derive(Debug)]
pub(super) struct SpaceReservation {
    account: Arc<RunUsage>,
    replaced: u64,
    limit: u64,
    seen: u64,
    /// The bytes of it that count in [`UsageBytes::coming`].
    added: u64,
}

impl SpaceReservation {
    /// Counts bytes as they arrive; `false` if there is no space for them.
    pub(super) fn grow_by(&mut self, bytes: u64) -> bool {
        self.seen = self.seen.saturating_add(bytes);
        self.grow_to(self.seen)
    }

    /// Reserves space for an object of `size` bytes, if it is larger than what it replaces.
    fn grow_to(&mut self, size: u64) -> bool {
        let more = size
            .saturating_sub(self.replaced)
            .saturating_sub(self.added);
        let mut balance = self.account.lock_bytes();
        let total = balance.kept.saturating_add(balance.coming);
        if more > 0 && total.saturating_add(more) > self.limit {
            return false;
        }
        balance.coming += more;
        balance.changes += 1;
        self.added += more;
        true
    }

    /// Counts the upload as stored.
    pub(super) fn commit_upload(self) {
        let mut balance = self.account.lock_bytes();
        balance.kept = balance.kept.saturating_sub(self.replaced) + self.seen;
        balance.changes += 1;
    }
}

impl Drop for SpaceReservation {
    fn drop(&mut self) {
        let mut balance = self.account.lock_bytes();
        balance.coming -= self.added;
        balance.changes += 1;
    }
}

#[cfg(test)]
mod tests;
