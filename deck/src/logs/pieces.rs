//! Reads the pieces of a log that its sidecar uploads, in order, and then the whole log from where
//! the pieces end: nothing twice, nothing lost.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::stored_log::StoredLog;
use super::{LogError, LogStream};

/// A reader's position in a log that is uploaded in pieces.
pub(super) struct LogPieces {
    log: StoredLog,
    /// Number of the piece to read, from 1.
    number: u64,
    /// Bytes of that piece that were read.
    within: u64,
    /// Bytes of the log that were read.
    read: u64,
    open: Option<LogStream>,
    /// What is open is the whole log.
    whole: bool,
    ended: bool,
}

impl LogPieces {
    pub(super) fn new(log: StoredLog) -> Self {
        Self {
            log,
            number: 1,
            within: 0,
            read: 0,
            open: None,
            whole: false,
            ended: false,
        }
    }

    /// Number of the piece that is read next.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the whole log was stored and was read to its end.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// The next bytes. `None`: there are no more, or none yet; see [`Self::ended`]. After an error,
    /// reading continues at the same position.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, LogError> {
        while !self.ended {
            if self.open.is_none() && !self.open_next().await? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else {
                continue;
            };
            match open.try_next().await {
                Ok(Some(chunk)) => {
                    self.read += chunk.len() as u64;
                    self.within += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Ok(None) => {
                    self.open = None;
                    self.ended = self.whole;
                    self.number += 1;
                    self.within = 0;
                }
                Err(error) => {
                    self.open = None;
                    return Err(LogError::Other(error));
                }
            }
        }
        Ok(None)
    }

    /// Opens what comes next. If a piece is gone, the whole log has it, which is stored first.
    async fn open_next(&mut self) -> Result<bool, LogError> {
        self.whole = false;
        match self.log.open_piece_from(self.number, self.within).await {
            Ok(piece) => self.open = Some(piece),
            Err(LogError::Absent) => match self.log.open_whole_from(self.read).await {
                Ok(rest) => {
                    self.open = Some(rest);
                    self.whole = true;
                }
                Err(LogError::Absent) => return Ok(false),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// A stream of all that is there now; an error if there is nothing.
    pub(super) async fn into_stream(mut self) -> Result<LogStream, LogError> {
        if !self.open_next().await? {
            return Err(LogError::Absent);
        }
        let chunks = stream::try_unfold(self, async |mut pieces| {
            let chunk = pieces.next_chunk().await?;
            Ok::<_, anyhow::Error>(chunk.map(|chunk| (chunk, pieces)))
        });
        Ok(chunks.boxed())
    }
}

#[cfg(test)]
mod tests;
