//! What pods put into Deck's storage: by whom, how much, and that half an object is none.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use common::storage::token::{self, TokenError};
use common::storage::{Attributes, Body, Storage};
use futures::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::keys::run_of;
use crate::options::OwnStorage;

/// Uploads at once; each may hold some megabytes on its way to the disk.
const AT_ONCE: usize = 32;
/// Runs whose size is remembered; beyond them it is counted again.
const REMEMBERED: usize = 10_000;
/// An object that must not replace another is read whole first, so it has to be small.
const MAX_IF_ABSENT: usize = 1 << 20;

/// Why an upload did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("an object may have {0} bytes")]
    ObjectTooLarge(u64),
    #[error("a run may keep {0} bytes")]
    RunTooLarge(u64),
    /// `If-None-Match: *` and there is one.
    #[error("the object exists")]
    Exists,
    /// The sender went away or broke the protocol.
    #[error("the upload broke off")]
    Broken,
    #[error(transparent)]
    Storage(common::storage::Error),
}

#[derive(Debug)]
pub(crate) struct Uploads {
    own: OwnStorage,
    slots: Semaphore,
    /// Bytes kept by run, by its folder.
    sizes: Mutex<HashMap<String, u64>>,
}

impl Uploads {
    pub(crate) fn new(own: OwnStorage) -> Self {
        Self {
            own,
            slots: Semaphore::new(AT_ONCE),
            sizes: Mutex::default(),
        }
    }

    fn storage(&self) -> &Storage {
        &self.own.storage
    }

    /// Whether `token` may write `key`.
    pub(crate) fn check(&self, token: &str, now: Timestamp, key: &str) -> Result<(), Refusal> {
        Ok(token::verify(&self.own.key, token, now, key)?)
    }

    /// Stores `body` under `key`. `length` is what the sender announced.
    pub(crate) async fn put<E>(
        &self,
        key: &str,
        attributes: &Attributes,
        length: Option<u64>,
        only_if_absent: bool,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<(), Refusal>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let _slot = self
            .slots
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let dir = run_of(key).map_or("", |run| run.dir);
        let room = self.room(dir, length).await?;
        let max = self.own.max_object_size;
        if length.is_some_and(|length| length > max) {
            return Err(Refusal::ObjectTooLarge(max));
        }
        let meter = Arc::new(Meter::new(max.min(room)));
        let body = meter.clone().measure(body);
        let result = if only_if_absent {
            self.put_if_absent(key, attributes, body).await
        } else {
            self.storage()
                .put(key, Body::stream(body), attributes)
                .await
                .map_err(Refusal::Storage)
        };
        match result {
            Ok(()) => {
                self.add(dir, meter.seen.load(Ordering::Relaxed));
                Ok(())
            }
            Err(_) if meter.exceeded.load(Ordering::Relaxed) && room < max => {
                Err(Refusal::RunTooLarge(self.own.max_job_size))
            }
            Err(_) if meter.exceeded.load(Ordering::Relaxed) => Err(Refusal::ObjectTooLarge(max)),
            Err(_) if meter.broken.load(Ordering::Relaxed) => Err(Refusal::Broken),
            Err(refusal) => Err(refusal),
        }
    }

    async fn put_if_absent(
        &self,
        key: &str,
        attributes: &Attributes,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), Refusal> {
        let whole = body
            .try_fold(Vec::new(), async |mut whole: Vec<u8>, chunk| {
                if whole.len() + chunk.len() > MAX_IF_ABSENT {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                whole.extend_from_slice(&chunk);
                Ok(whole)
            })
            .await
            .map_err(|_| Refusal::ObjectTooLarge(MAX_IF_ABSENT as u64))?;
        match self.storage().put_if_absent(key, whole, attributes).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Exists),
            Err(error) => Err(Refusal::Storage(error)),
        }
    }

    /// Bytes the run may still add. Before it says no, it counts again: objects may have been
    /// replaced by smaller ones.
    async fn room(&self, dir: &str, length: Option<u64>) -> Result<u64, Refusal> {
        if dir.is_empty() {
            return Ok(u64::MAX);
        }
        let wanted = length.unwrap_or(1);
        let max = self.own.max_job_size;
        let known = self
            .sizes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(dir)
            .copied();
        let used = match known {
            Some(used) if used.saturating_add(wanted) <= max => used,
            _ => self.count(dir).await?,
        };
        if used.saturating_add(wanted) > max {
            return Err(Refusal::RunTooLarge(max));
        }
        Ok(max - used)
    }

    async fn count(&self, dir: &str) -> Result<u64, Refusal> {
        let listing = self
            .storage()
            .list(dir, false)
            .await
            .map_err(Refusal::Storage)?;
        let used = listing.objects.iter().map(|object| object.size).sum();
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= REMEMBERED {
            sizes.clear();
        }
        sizes.insert(dir.to_owned(), used);
        Ok(used)
    }

    fn add(&self, dir: &str, bytes: u64) {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = sizes.get_mut(dir) {
            *used = used.saturating_add(bytes);
        }
    }
}

/// Counts a body on its way and ends it when it is too long.
struct Meter {
    limit: u64,
    seen: AtomicU64,
    exceeded: AtomicBool,
    broken: AtomicBool,
}

impl Meter {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            seen: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    fn measure<E>(
        self: Arc<Self>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        body.map(move |chunk| match chunk {
            Ok(chunk) => {
                let seen =
                    self.seen.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
                if seen > self.limit {
                    self.exceeded.store(true, Ordering::Relaxed);
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                Ok(chunk)
            }
            Err(error) => {
                self.broken.store(true, Ordering::Relaxed);
                Err(io::Error::other(error))
            }
        })
    }
}
