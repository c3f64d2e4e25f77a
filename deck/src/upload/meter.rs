//! Counts the bytes of an upload and cuts it off when there are too many.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::storage_usage::SpaceReservation;

/// Why a body was cut off; the first reason counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutReason {
    ObjectTooLarge,
    NoRoom,
    /// The sender disconnected or broke the protocol.
    Broken,
}

#[derive(Debug)]
pub(super) struct UploadMeter {
    limit: u64,
    state: Mutex<MeterState>,
}

#[derive(Debug)]
struct MeterState {
    seen: u64,
    /// The space reserved for the upload; `None` for pointers.
    share: Option<SpaceReservation>,
    cut: Option<CutReason>,
}

impl UploadMeter {
    pub(super) fn new(limit: u64, share: Option<SpaceReservation>) -> Arc<Self> {
        let state = MeterState {
            seen: 0,
            share,
            cut: None,
        };
        Arc::new(Self {
            limit,
            state: Mutex::new(state),
        })
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, MeterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn measure_body<E>(
        self: Arc<Self>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        body.map(move |chunk| match chunk {
            Ok(chunk) => self.count_chunk(chunk),
            Err(error) => {
                self.lock_state().cut.get_or_insert(CutReason::Broken);
                Err(io::Error::other(error))
            }
        })
    }

    fn count_chunk(&self, chunk: Bytes) -> io::Result<Bytes> {
        let bytes = chunk.len() as u64;
        let mut state = self.lock_state();
        state.seen = state.seen.saturating_add(bytes);
        let cut = if state.seen > self.limit {
            Some(CutReason::ObjectTooLarge)
        } else if !state
            .share
            .as_mut()
            .is_none_or(|share| share.grow_by(bytes))
        {
            Some(CutReason::NoRoom)
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

    pub(super) fn cut_reason(&self) -> Option<CutReason> {
        self.lock_state().cut
    }

    /// Counts the upload as stored.
    pub(super) fn commit_upload(&self) {
        if let Some(share) = self.lock_state().share.take() {
            share.commit_upload();
        }
    }
}
