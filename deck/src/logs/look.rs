//! A log as a page looks at it: both ends and perhaps a place between them, in the time that a
//! reader waits.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::excerpt::{Ends, Excerpt, Middle};
use super::markup::Markup;
use super::stored::{StoredLog, without};
use super::window::{HEAD, TAIL, Window};
use super::{Error, LogOrigin, LogStream, now};
use crate::app::App;
use crate::index::Job;

/// How long a page waits for all of a stored log before it shows the ends alone.
const COUNT: Duration = Duration::from_millis(600);
/// How long the log of a finished run may take that is not stored, for as long as it comes.
const LONGEST: Duration = Duration::from_secs(15);

/// Whose log, and when the page has to begin.
pub(crate) struct Look<'a> {
    pub(crate) app: &'a App,
    pub(crate) job: &'a Job,
    pub(crate) container: &'a str,
    /// What is left of a run whose `ProwJob` is gone.
    pub(crate) left: Option<StoredLog>,
    /// Nothing more is to come.
    pub(crate) complete: bool,
    pub(crate) in_time: Instant,
}

/// What was found, and where.
pub(crate) struct Seen {
    pub(crate) excerpt: Excerpt,
    /// It is the stored log.
    pub(crate) stored: bool,
}

impl Look<'_> {
    /// With `line` and what is around it, if it is in the log.
    pub(crate) async fn see(&self, line: Option<u64>, markup: &Markup) -> Result<Seen, Error> {
        let stored = self.stored()?;
        if let Some(log) = &stored
            && let Some(window) = self.large(log).await?
        {
            let excerpt = self.excerpt(&window, self.complete, line, markup).await;
            return Ok(Seen {
                excerpt,
                stored: true,
            });
        }
        let (log, stored) = match timeout_at(self.in_time, self.open(stored)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Error::late()),
        };
        let longest = if self.complete {
            LONGEST
        } else {
            Duration::ZERO
        };
        let (window, late) = Window::read(log, self.in_time, longest).await?;
        let mut excerpt = self
            .excerpt(&window, self.complete && !late, line, markup)
            .await;
        excerpt.late = late;
        Ok(Seen { excerpt, stored })
    }

    /// Where the log is or may be stored.
    fn stored(&self) -> Result<Option<StoredLog>, Error> {
        if self.left.is_some() {
            return Ok(self.left.clone());
        }
        match LogOrigin::of(self.job) {
            LogOrigin::Storage | LogOrigin::StorageElsePod => {
                match StoredLog::of(self.app, self.job, self.container) {
                    Ok(log) => Ok(Some(log)),
                    Err(Error::Absent) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            LogOrigin::Nowhere | LogOrigin::Pod | LogOrigin::Sidecar => Ok(None),
        }
    }

    /// The ends of a stored log that is too long for a page. `None`: it is not, or is not there.
    async fn large(&self, log: &StoredLog) -> Result<Option<Window>, Error> {
        let version = match timeout_at(self.in_time, log.version()).await {
            Ok(Ok(version)) => version,
            Ok(Err(Error::Absent)) => return Ok(None),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(Error::late()),
        };
        if version.size <= (HEAD + TAIL) as u64 && version.plain {
            return Ok(None);
        }
        let soon = self.in_time.min(Instant::now() + COUNT);
        if let Some(window) = self.app.scans.get(log, version.clone(), soon).await {
            return Ok(Some(Window::clone(&window)));
        }
        let ends = timeout_at(self.in_time, log.ends(&version)).await;
        ends.unwrap_or_else(|_| Err(Error::late())).map(Some)
    }

    async fn open(&self, stored: Option<StoredLog>) -> Result<(LogStream, bool), Error> {
        if let Some(log) = stored {
            match log.finished().await {
                Ok(log) => return Ok((log, true)),
                Err(Error::Absent) if self.left.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let log = now(self.app, self.job, self.container).await?;
        Ok((log, false))
    }

    async fn excerpt(
        &self,
        window: &Window,
        complete: bool,
        line: Option<u64>,
        markup: &Markup,
    ) -> Excerpt {
        let ends = Ends::of(window, complete);
        let first = line.and_then(|line| ends.missing(line));
        let middle = match first {
            None => None,
            Some(first) => {
                let middle = timeout_at(self.in_time, self.middle(window, first, &ends)).await;
                // Without it the page says where it is to be had.
                middle.ok().and_then(Result::ok).flatten()
            }
        };
        Excerpt::of(window, complete, ends.into_html(middle, markup))
    }

    async fn middle(
        &self,
        window: &Window,
        first: u64,
        ends: &Ends,
    ) -> Result<Option<Middle>, Error> {
        let (at, before) = window.before_line(first);
        let log = match self.stored()? {
            Some(log) => match log.whole_from(at).await {
                Err(Error::Absent) => without(self.open(Some(log)).await?.0, at),
                opened => opened?,
            },
            None => without(now(self.app, self.job, self.container).await?, at),
        };
        Ok(Middle::read(log, before, first, ends).await?)
    }
}

/// The first bytes of a log.
pub(super) async fn first_bytes(mut log: LogStream, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(length);
    while first.len() < length {
        let Some(chunk): Option<Bytes> = log.try_next().await? else {
            break;
        };
        first.extend_from_slice(&chunk[..chunk.len().min(length - first.len())]);
    }
    Ok(first)
}
