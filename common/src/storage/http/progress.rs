//! A request's body whose progress is observed: an upload may take as long as it likes, but must
//! not stall.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, BoxStream, StreamExt};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use crate::storage::object::ObjectBody;

/// Bytes that count as progress. With larger chunks, a slow connection would seem to stall.
const PROGRESS_CHUNK_SIZE: usize = 16 << 10;

/// When the last bytes were taken from a body.
#[derive(Debug, Clone)]
pub(in crate::storage) struct UploadProgress(Arc<Mutex<Instant>>);

impl UploadProgress {
    fn last_progress(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_progress(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The result of `sending`; `None` if nothing has moved for `stall`.
    pub(in crate::storage) async fn await_unless_stalled<T>(
        &self,
        stall: Duration,
        sending: impl Future<Output = T>,
    ) -> Option<T> {
        let mut sending = std::pin::pin!(sending);
        loop {
            let last = self.last_progress();
            let stalled = std::pin::pin!(sleep_until(last + stall));
            match select(sending.as_mut(), stalled).await {
                Either::Left((done, _)) => return Some(done),
                Either::Right(_) if self.last_progress() == last => return None,
                Either::Right(_) => {}
            }
        }
    }
}

/// A body in small chunks, each of which counts as progress.
pub(in crate::storage) struct ProgressBody {
    /// Never locked: the mutex makes the body `Sync`, which reqwest requires.
    chunks: Mutex<BoxStream<'static, io::Result<Bytes>>>,
    chunk: Bytes,
    /// The remaining bytes, if known.
    left: Option<u64>,
    progress: UploadProgress,
}

impl ProgressBody {
    pub(in crate::storage) fn new(body: ObjectBody) -> (Self, UploadProgress) {
        let progress = UploadProgress(Arc::new(Mutex::new(Instant::now())));
        let (chunks, chunk, left) = match body {
            ObjectBody::Stream(chunks) => (chunks, Bytes::new(), None),
            ObjectBody::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (stream::empty().boxed(), bytes, Some(length))
            }
        };
        let watched = Self {
            chunks: Mutex::new(chunks),
            chunk,
            left,
            progress: progress.clone(),
        };
        (watched, progress)
    }
}

impl http_body::Body for ProgressBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        while self.chunk.is_empty() {
            let chunks = self.chunks.get_mut();
            let chunks = chunks.unwrap_or_else(PoisonError::into_inner);
            match ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => return Poll::Ready(None),
            }
        }
        self.progress.record_progress();
        let step = self.chunk.len().min(PROGRESS_CHUNK_SIZE);
        let step = self.chunk.split_to(step);
        self.left = self.left.map(|left| left - step.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(step))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
