//! What each run keeps in storage, counted as it comes: its folder is listed once, not at every
//! upload.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use common::storage::Error;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

/// Runs that are remembered; one that was forgotten is counted again.
const REMEMBERED: usize = 10_000;
/// A run that is full is counted again after this: somebody may have deleted some of it.
const RECOUNT: SignedDuration = SignedDuration::from_mins(1);

/// Every run that has uploaded lately, by its folder.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    runs: Mutex<HashMap<String, Arc<Account>>>,
}

impl Ledger {
    pub(super) fn account(&self, dir: &str) -> Arc<Account> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = runs.get(dir) {
            return account.clone();
        }
        if runs.len() >= REMEMBERED {
            // Whoever uploads now still holds its own.
            runs.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = Arc::<Account>::default();
        runs.insert(dir.to_owned(), account.clone());
        account
    }
}

/// One run's bytes.
#[derive(Debug, Default)]
pub(super) struct Account {
    balance: Mutex<Balance>,
    counting: tokio::sync::Mutex<()>,
    /// Keys that are being written.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    /// Bytes of all objects that are there.
    kept: u64,
    /// Bytes that uploads under way would add.
    coming: u64,
    /// When the folder was listed.
    counted: Option<Timestamp>,
    /// Rises with every change of the others.
    changes: u64,
}

impl Account {
    fn balance(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the run keeps, as far as it is known.
    pub(super) fn kept(&self) -> u64 {
        self.balance().kept
    }

    /// Waits until nobody else writes `key`: what a write replaces has to be known.
    pub(super) async fn turn(&self, key: &str) -> OwnedMutexGuard<()> {
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
    pub(super) fn forget(&self, size: u64) {
        let mut balance = self.balance();
        balance.kept = balance.kept.saturating_sub(size);
        balance.changes += 1;
    }

    /// Makes room for an upload so that the run keeps at most `limit` bytes; `None`: there is none.
    ///
    /// `list` gives the bytes in the folder. It is asked the first time, and before a refusal if
    /// that was a while ago.
    pub(super) async fn reserve<'l>(
        self: &Arc<Self>,
        claim: Claim,
        limit: u64,
        now: Timestamp,
        list: impl Fn() -> BoxFuture<'l, Result<u64, Error>>,
    ) -> Result<Option<Share>, Error> {
        self.count(now, None, &list).await?;
        let mut taken = self.take(claim, limit);
        if taken.is_none() {
            self.count(now, Some(RECOUNT), &list).await?;
            taken = self.take(claim, limit);
        }
        Ok(taken)
    }

    /// Counts what is there: if it was never counted, or longer than `age` ago.
    async fn count<'l>(
        &self,
        now: Timestamp,
        age: Option<SignedDuration>,
        list: &impl Fn() -> BoxFuture<'l, Result<u64, Error>>,
    ) -> Result<(), Error> {
        let is_fresh = |balance: &Balance| match (balance.counted, age) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(counted), Some(age)) => now.duration_since(counted) < age,
        };
        if is_fresh(&self.balance()) {
            return Ok(());
        }
        let _counting = self.counting.lock().await;
        let before = *self.balance();
        if is_fresh(&before) {
            return Ok(());
        }
        let kept = list().await?;
        let mut balance = self.balance();
        // An upload that ended while the folder was listed may be in the list or not.
        if before.coming == 0 && balance.changes == before.changes {
            balance.kept = kept;
            balance.counted = Some(now);
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, claim: Claim, limit: u64) -> Option<Share> {
        let mut share = Share {
            account: self.clone(),
            replaced: claim.replaced,
            limit,
            seen: 0,
            added: 0,
        };
        share.add(claim.announced.unwrap_or(0)).then_some(share)
    }
}

/// An upload to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Bytes of the object that it replaces.
    pub(super) replaced: u64,
    /// Its own bytes, where the sender says.
    pub(super) announced: Option<u64>,
}

/// An upload under way: what it adds counts from now on, and no more once it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    account: Arc<Account>,
    replaced: u64,
    limit: u64,
    seen: u64,
    /// What of it counts in [`Balance::coming`].
    added: u64,
}

impl Share {
    /// Counts bytes as they come; `false` if there is no room for them.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        self.seen = self.seen.saturating_add(bytes);
        self.add(self.seen)
    }

    /// Makes room for an object of `size` bytes. What is no larger than what it replaces needs none.
    fn add(&mut self, size: u64) -> bool {
        let more = size
            .saturating_sub(self.replaced)
            .saturating_sub(self.added);
        let mut balance = self.account.balance();
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
    pub(super) fn commit(self) {
        let mut balance = self.account.balance();
        balance.kept = balance.kept.saturating_sub(self.replaced) + self.seen;
        balance.changes += 1;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut balance = self.account.balance();
        balance.coming -= self.added;
        balance.changes += 1;
    }
}

#[cfg(test)]
mod tests;
