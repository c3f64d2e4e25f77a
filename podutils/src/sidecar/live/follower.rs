//! One log that grows: what of it can be shown.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use common::storage::ObjectAttributes;
use tracing::warn;

use crate::censor::{Censor, CensorStream};
use crate::upload::{UploadSourceError, open_below};

/// The largest piece, in bytes: what a job writes faster comes later.
const PIECE: u64 = 8 << 20;
/// What a new censor reads again of what the last one has released, in bytes: a secret may have
/// begun in it.
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
    /// Bytes that the log had at the last look, and at the one before it: only these are read,
    /// since a secret that was replaced this moment may not be known yet.
    length: u64,
    until: u64,
    /// Bytes that the stream has taken.
    read: u64,
    /// Bytes that are in stored pieces.
    stored: u64,
    /// Bytes that the stream gives once more, which are in stored pieces.
    skip: u64,
    /// Pieces that are stored.
    pieces: u64,
    /// What follows these.
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

    /// Whether there may be something to show.
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
            // Its container has not begun.
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

    /// Without what is in stored pieces already.
    fn skip_stored(&mut self, settled: Vec<u8>) -> Option<Bytes> {
        let settled = Bytes::from(settled);
        let known =
            usize::try_from(self.skip).map_or(settled.len(), |skip| skip.min(settled.len()));
        self.skip -= known as u64;
        Some(settled.slice(known..)).filter(|fresh| !fresh.is_empty())
    }

    /// The number of the next piece.
    pub(super) fn next_number(&self) -> u64 {
        self.pieces + 1
    }

    /// The next piece is where it belongs.
    pub(super) fn mark_stored(&mut self) {
        if let Some(piece) = self.next.take() {
            self.stored += piece.len() as u64;
            self.pieces += 1;
        }
    }

    /// Shows no more of it.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.next = None;
    }

    fn give_up_because(&mut self, why: &str) {
        warn!(log = %self.path.display(), why, "the log is no longer shown live");
        self.give_up();
    }
}

/// Work on the file system, away from the runtime.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadSourceError> + Send + 'static,
) -> Result<T, UploadSourceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(io::Error::other(e).into()))
}
