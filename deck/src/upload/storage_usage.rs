//! What each run keeps in storage, counted as it comes: its folder is listed once, not at every
//! upload.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use common::storage::StorageError;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

/// Runs that are remembered; one that was forgotten is counted again.
const MAX_RUNS: usize = 10_000;
/// A run that is full is counted again after this: somebody may have deleted some of it.
const RECOUNT: SignedDuration = SignedDuration::from_mins(1);

/// Every run that has uploaded lately, by its folder.
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
            // Whoever uploads now still holds its own.
            runs.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = Arc::<RunUsage>::default();
        runs.insert(dir.to_owned(), account.clone());
        account
    }
}

/// One run's bytes.
#[derive(Debug, Default)]
pub(super) struct RunUsage {
    balance: Mutex<UsageBytes>,
    counting: tokio::sync::Mutex<()>,
    /// Keys that are being written.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct UsageBytes {
    /// Bytes of all objects that are there.
    kept: u64,
    /// Bytes that uploads under way would add.
    coming: u64,
    /// When the folder was listed.
    counted: Option<Timestamp>,
    /// Rises with every change of the others.
    changes: u64,
}

impl RunUsage {
    fn lock_bytes(&self) -> MutexGuard<'_, UsageBytes> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the run keeps, as far as it is known.
    pub(super) fn kept(&self) -> u64 {
        self.lock_bytes().kept
    }

    /// Waits until nobody else writes `key`: what a write replaces has to be known.
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

    /// An object of `size` bytes is no more.
    pub(super) fn subtract_bytes(&self, size: u64) {
        let mut balance = self.lock_bytes();
        balance.kept = balance.kept.saturating_sub(size);
        balance.changes += 1;
    }

    /// Makes room for an upload so that the run keeps at most `limit` bytes; `None`: there is none.
    ///
    /// `list` gives the bytes in the folder. It is asked the first time, and before a refusal if
    /// that was a while ago.
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

    /// Counts what is there: if it was never counted, or longer than `age` ago.
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
        // An upload that ended while the folder was listed may be in the list or not.
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

/// An upload to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpaceRequest {
    /// Bytes of the object that it replaces.
    pub(super) replaced: u64,
    /// Its own bytes, where the sender says.
    pub(super) announced: Option<u64>,
}

/// An upload under way: what it adds counts from now on, and no more once it is dropped.
#[derive(Debug)]
pub(super) struct SpaceReservation {
    account: Arc<RunUsage>,
    replaced: u64,
    limit: u64,
    seen: u64,
    /// What of it counts in [`UsageBytes::coming`].
    added: u64,
}

impl SpaceReservation {
    /// Counts bytes as they come; `false` if there is no room for them.
    pub(super) fn grow_by(&mut self, bytes: u64) -> bool {
        self.seen = self.seen.saturating_add(bytes);
        self.grow_to(self.seen)
    }

    /// Makes room for an object of `size` bytes. What is no larger than what it replaces needs none.
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

    /// The upload is in its place.
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
