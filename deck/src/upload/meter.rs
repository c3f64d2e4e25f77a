//! Counts a body on its way and ends it when it is too long.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::ledger::Share;

/// Why a body ended before its end; the first that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    ObjectTooLarge,
    NoRoom,
    /// The sender went away or broke the protocol.
    Broken,
}

#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: u64,
    /// Where a run's room is counted.
    share: Option<Share>,
    cut: Option<Cut>,
}

impl Meter {
    pub(super) fn new(limit: u64, share: Option<Share>) -> Arc<Self> {
        let state = State {
            seen: 0,
            share,
            cut: None,
        };
        Arc::new(Self {
            limit,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn measure<E>(
        self: Arc<Self>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        body.map(move |chunk| match chunk {
            Ok(chunk) => self.count(chunk),
            Err(error) => {
                self.state().cut.get_or_insert(Cut::Broken);
                Err(io::Error::other(error))
            }
        })
    }

    fn count(&self, chunk: Bytes) -> io::Result<Bytes> {
        let bytes = chunk.len() as u64;
        let mut state = self.state();
        state.seen = state.seen.saturating_add(bytes);
        let cut = if state.seen > self.limit {
            Some(Cut::ObjectTooLarge)
        } else if !state.share.as_mut().is_none_or(|share| share.grow(bytes)) {
            Some(Cut::NoRoom)
        } else {
            None
        };
        match cut {
            None => Ok(chunk),
            Some(cut) => {
                state.cut.get_or_insert(cut);
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }

    pub(super) fn cut(&self) -> Option<Cut> {
        self.state().cut
    }

    /// The upload is in its place.
    pub(super) fn commit(&self) {
        if let Some(share) = self.state().share.take() {
            share.commit();
        }
    }
}
