//! Reads one growing log and decides what of it can be shown.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use common::storage::ObjectAttributes;
use tracing::warn;

use crate::censor::{Censor, CensorStream};
use crate::upload::{UploadSourceError, open_below};

/// The largest piece, in bytes. If a job writes faster, the rest comes later.
const PIECE: u64 = 8 << 20;
/// Bytes of stored pieces that a new censor reads again, because a secret may have begun in
/// them.
const CONTEXT: u64 = 64 << 10;

/// How a piece is stored.
pub(super) fn piece_attributes() -> ObjectAttributes {
    ObjectAttributes::of_type("text/plain; charset=utf-8")
}

#[derive(Debug)]
pub(super) struct LiveLogReader {
    path: PathBuf,
    /// `None` until the secrets are known.
    stream: Option<CensorStream>,
    /// The log's length at the last check, and at the one before (`until`). Only bytes before
    /// `until` are read, since a secret that was just replaced may not be known yet.
    length: u64,
    until: u64,
    /// Bytes that the stream has read.
    read: u64,
    /// Bytes that are in stored pieces.
    stored: u64,
    /// Bytes that the stream will return again although they are in stored pieces.
    skip: u64,
    /// Pieces that are stored.
    pieces: u64,
    /// The piece that follows these.
    next: Option<Bytes>,
    given_up: bool,
}

impl LiveLogReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stream: None,
            length: 0,
            until: 0,
            read: 0,
            stored: 0,
            skip: 0,
            pieces: 0,
            next: None,
            given_up: false,
        }
    }

    /// Checks the log's length. Returns whether there may be something to show.
    pub(super) async fn check_growth(&mut self) -> bool {
        if self.given_up {
            return false;
        }
        let path = self.path.clone();
        let looked = run_blocking(move || Ok(open_below(&path, &path)?.metadata()?.len())).await;
        match looked {
            Ok(length) => {
                self.until = std::mem::replace(&mut self.length, length);
                if length < self.read {
                    self.give_up_because("it became shorter");
                }
            }
            // Its container has not started.
            Err(UploadSourceError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.give_up_because(&error.to_string()),
        }
        !self.given_up && (self.next.is_some() || self.until > self.read)
    }

    /// Masks with this censor from now on.
    pub(super) fn start_masking(&mut self, censor: &Censor) {
        let start = self.stored.saturating_sub(CONTEXT);
        self.stream = Some(censor.start_stream());
        self.read = start;
        self.skip = self.stored - start;
        self.next = None;
    }

    /// The next piece; `None` if there is nothing that can be shown.
    pub(super) async fn next_piece(&mut self) -> Option<Bytes> {
        if self.given_up {
            return None;
        }
        if self.next.is_none()
            && let Some(mut stream) = self.stream.take()
        {
            let (path, from) = (self.path.clone(), self.read);
            let length = self.until.saturating_sub(from).min(PIECE);
            let read = run_blocking(move || {
                let mut file = open_below(&path, &path)?;
                file.seek(SeekFrom::Start(from))?;
                let mut chunk = Vec::new();
                file.take(length).read_to_end(&mut chunk)?;
                let read = chunk.len() as u64;
                Ok((read, stream.push(chunk), stream))
            });
            match read.await {
                Ok((read, settled, stream)) => {
                    self.stream = Some(stream);
                    self.read += read;
                    self.next = self.skip_stored(settled);
                }
                Err(error) => self.give_up_because(&error.to_string()),
            }
        }
        self.next.clone()
    }

    /// Drops the bytes that are in stored pieces already.
    fn skip_stored(&mut self, settled: Vec<u8>) -> Option<Bytes> {
        let settled = Bytes::from(settled);
        let known =
            usize::try_from(self.skip).map_or(settled.len(), |skip| skip.min(settled.len()));
        self.skip -= known as u64;
        Some(settled.slice(known..)).filter(|fresh| !fresh.is_empty())
    }

    pub(super) fn next_number(&self) -> u64 {
        self.pieces + 1
    }

    /// Records that the next piece is stored.
    pub(super) fn mark_stored(&mut self) {
        if let Some(piece) = self.next.take() {
            self.stored += piece.len() as u64;
            self.pieces += 1;
        }
    }

    /// Shows no more of this log.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.next = None;
    }

    fn give_up_because(&mut self, why: &str) {
        warn!(log = %self.path.display(), why, "the log is no longer shown live");
        self.give_up();
    }
}

/// Runs work on the file system on a thread for blocking calls.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadSourceError> + Send + 'static,
) -> Result<T, UploadSourceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(io::Error::other(e).into()))
}
