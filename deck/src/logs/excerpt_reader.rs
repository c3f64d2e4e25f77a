//! Reads the excerpt of a log that a page shows, both ends and perhaps lines between them, in the
//! time that a reader waits.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::excerpt::{ExcerptEnds, ExcerptMiddle, LogExcerpt};
use super::markup::LogMarkup;
use super::stored_log::{StoredLog, skip_bytes};
use super::window::{HEAD, LogWindow, TAIL};
use super::{LogError, LogOrigin, LogStream, open_log};
use crate::app::DeckState;
use crate::index::IndexedJob;

/// How long a page waits until a stored log is read whole, before it shows the ends alone.
const COUNT_TIMEOUT: Duration = Duration::from_millis(600);
/// How long a finished run's log that is not stored may take, as long as bytes keep coming.
const LONGEST_READ: Duration = Duration::from_secs(15);

/// The log to read, and the deadline of the page.
pub(crate) struct ExcerptReader<'a> {
    pub(crate) app: &'a DeckState,
    pub(crate) job: &'a IndexedJob,
    pub(crate) container: &'a str,
    /// The stored log of a run whose `ProwJob` is gone.
    pub(crate) left: Option<StoredLog>,
    /// Whether no more of the log is to come.
    pub(crate) complete: bool,
    pub(crate) in_time: Instant,
}

/// The excerpt, and where it was found.
pub(crate) struct FoundExcerpt {
    pub(crate) excerpt: LogExcerpt,
    /// Whether it is from the stored log.
    pub(crate) stored: bool,
}

impl ExcerptReader<'_> {
    /// Reads the excerpt, with `line` and the lines around it if the log has that line.
    pub(crate) async fn read_excerpt(
        &self,
        line: Option<u64>,
        markup: &LogMarkup,
    ) -> Result<FoundExcerpt, LogError> {
        let stored = self.find_stored()?;
        if let Some(log) = &stored
            && let Some(window) = self.large_window(log).await?
        {
            let excerpt = self
                .build_excerpt(&window, self.complete, line, markup)
                .await;
            return Ok(FoundExcerpt {
                excerpt,
                stored: true,
            });
        }
        let (log, stored) = match timeout_at(self.in_time, self.open_source(stored)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(LogError::timeout_error()),
        };
        let longest = if self.complete {
            LONGEST_READ
        } else {
            Duration::ZERO
        };
        let (window, late) = LogWindow::read_log(log, self.in_time, longest).await?;
        let mut excerpt = self
            .build_excerpt(&window, self.complete && !late, line, markup)
            .await;
        excerpt.late = late;
        Ok(FoundExcerpt { excerpt, stored })
    }

    /// The log in storage, if it is or may be there.
    fn find_stored(&self) -> Result<Option<StoredLog>, LogError> {
        if self.left.is_some() {
            return Ok(self.left.clone());
        }
        match LogOrigin::from_job(self.job) {
            LogOrigin::Storage | LogOrigin::StorageElsePod => {
                match StoredLog::from_job(self.app, self.job, self.container) {
                    Ok(log) => Ok(Some(log)),
                    Err(LogError::Absent) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            LogOrigin::Nowhere | LogOrigin::Pod | LogOrigin::Sidecar => Ok(None),
        }
    }

    /// The ends of a stored log that is compressed or too long for a page. `None` for other logs.
    async fn large_window(&self, log: &StoredLog) -> Result<Option<LogWindow>, LogError> {
        let version = match timeout_at(self.in_time, log.read_version()).await {
            Ok(Ok(version)) => version,
            Ok(Err(LogError::Absent)) => return Ok(None),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(LogError::timeout_error()),
        };
        if version.size <= (HEAD + TAIL) as u64 && version.plain {
            return Ok(None);
        }
        let soon = self.in_time.min(Instant::now() + COUNT_TIMEOUT);
        if let Some(window) = self
            .app
            .scans
            .wait_for_scan(log, version.clone(), soon)
            .await
        {
            return Ok(Some(LogWindow::clone(&window)));
        }
        let ends = timeout_at(self.in_time, log.read_ends(&version)).await;
        ends.unwrap_or_else(|_| Err(LogError::timeout_error()))
            .map(Some)
    }

    async fn open_source(&self, stored: Option<StoredLog>) -> Result<(LogStream, bool), LogError> {
        if let Some(log) = stored {
            match log.open_finished().await {
                Ok(log) => return Ok((log, true)),
                Err(LogError::Absent) if self.left.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let log = open_log(self.app, self.job, self.container).await?;
        Ok((log, false))
    }

    async fn build_excerpt(
        &self,
        window: &LogWindow,
        complete: bool,
        line: Option<u64>,
        markup: &LogMarkup,
    ) -> LogExcerpt {
        let ends = ExcerptEnds::from_window(window, complete);
        let first = line.and_then(|line| ends.first_missing(line));
        let middle = match first {
            None => None,
            Some(first) => {
                let middle = timeout_at(self.in_time, self.read_middle(window, first, &ends)).await;
                // Without the middle, the page links to the lines that are left out.
                middle.ok().and_then(Result::ok).flatten()
            }
        };
        LogExcerpt::from_window(window, complete, ends.into_html(middle, markup))
    }

    async fn read_middle(
        &self,
        window: &LogWindow,
        first: u64,
        ends: &ExcerptEnds,
    ) -> Result<Option<ExcerptMiddle>, LogError> {
        let (at, before) = window.before_line(first);
        let log = match self.find_stored()? {
            Some(log) => match log.open_whole_from(at).await {
                Err(LogError::Absent) => skip_bytes(self.open_source(Some(log)).await?.0, at),
                opened => opened?,
            },
            None => skip_bytes(open_log(self.app, self.job, self.container).await?, at),
        };
        Ok(ExcerptMiddle::read_lines(log, before, first, ends).await?)
    }
}

/// The first `length` bytes of a log.
pub(super) async fn read_first_bytes(mut log: LogStream, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(length);
    while first.len() < length {
        let Some(chunk): Option<Bytes> = log.try_next().await? else {
            break;
        };
        first.extend_from_slice(&chunk[..chunk.len().min(length - first.len())]);
    }
    Ok(first)
}
