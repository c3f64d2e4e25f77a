//! `/log/events`: the log and the state of a run while it lasts.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use common::storage::paths;
use futures::TryStreamExt;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::job_page::to_line;
use super::{NO_STORE, events, text_response, unavailable};
use crate::app::DeckState;
use crate::index::IndexedJob;
use crate::logs::{self, LogBatch, LogMarkup, LogStream};
use crate::view::{CodeHostLinks, RunDetails, RunExtras, format_log_size};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogEventsQuery {
    job: String,
    id: String,
    container: String,
    /// Number of lines that the page has already.
    after: u64,
}

pub(super) async fn stream_log_events(
    State(app): State<Arc<DeckState>>,
    Query(wanted): Query<LogEventsQuery>,
) -> Response {
    let container = if wanted.container.is_empty() {
        paths::TEST_CONTAINER
    } else {
        &wanted.container
    }
    .to_owned();
    let Some(job) = app
        .find_run(&wanted.job, &wanted.id)
        .filter(|job| job.has_container(&container))
    else {
        return text_response(StatusCode::NOT_FOUND, "There is no such run.\n");
    };
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        return unavailable::unavailable_response(
            "Too many logs are being followed. Try again later.\n",
        );
    };
    let (sender, receiver) = mpsc::channel(8);
    let teller = LogStreamer {
        app: app.clone(),
        job,
        container,
        after: wanted.after,
        sender,
    };
    tokio::spawn(async move {
        let _held_to_the_end = permit;
        // An error says that the page has disconnected.
        let _ = teller.stream_run().await;
    });
    let events = events::until_shutdown(&app, ReceiverStream::new(receiver));
    (
        NO_STORE,
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))),
    )
        .into_response()
}

/// The page has disconnected.
struct PageGone;

struct LogStreamer {
    app: Arc<DeckState>,
    job: Arc<IndexedJob>,
    container: String,
    after: u64,
    sender: mpsc::Sender<Event>,
}

impl LogStreamer {
    /// Sends lines and facts until the run is complete and its log has ended.
    async fn stream_run(mut self) -> Result<(), PageGone> {
        let mut changes = self.app.index.subscribe_changes();
        let mut log: Option<LogStream> = Some(logs::follow_log(
            self.app.clone(),
            self.job.clone(),
            self.container.clone(),
        ));
        let markup = LogMarkup {
            to_line: to_line(&self.container),
        };
        let mut batch = LogBatch::new(self.after);
        // The page may show an older state.
        self.send_facts().await?;
        loop {
            if log.is_none() && self.job.is_complete() {
                return self
                    .send_event(Event::default().event("done").data("the run is over"))
                    .await;
            }
            tokio::select! {
                () = self.sender.closed() => return Err(PageGone),
                () = self.app.shutdown.cancelled() => return Ok(()),
                chunk = next_chunk(&mut log) => match chunk {
                    Ok(Some(chunk)) => batch.push_chunk(&chunk),
                    ended => {
                        if let Err(error) = ended {
                            let (prowjob, error) = (self.job.name.as_ref(), format!("{error:#}"));
                            tracing::warn!(prowjob, error, "a followed log broke off");
                        }
                        log = None;
                        let html = batch.finish_html(&markup);
                        self.send_lines(html, &batch).await?;
                    }
                },
                () = batch.wait_until_due() => {
                    let html = batch.take_html(&markup);
                    self.send_lines(html, &batch).await?;
                }
                change = changes.recv() => match change {
                    Ok(change) if change.after.as_ref().is_some_and(|job| job.name != self.job.name) => {}
                    _ => self.refresh_job().await?,
                },
            }
        }
    }

    /// Sends the lines, and the size of the log so far.
    async fn send_lines(&self, html: String, batch: &LogBatch) -> Result<(), PageGone> {
        if html.is_empty() {
            return Ok(());
        }
        self.send_event(Event::default().event("lines").data(html))
            .await?;
        let extent = format_log_size(batch.lines, batch.bytes);
        self.send_event(Event::default().event("meta").data(extent))
            .await
    }

    /// Sends the job's facts if they changed. The stream ends if an incomplete job is gone.
    async fn refresh_job(&mut self) -> Result<(), PageGone> {
        let Some(job) = self
            .app
            .index
            .find_by_name(&self.job.name)
            .filter(|job| self.app.may_view(job))
        else {
            return if self.job.is_complete() {
                Ok(())
            } else {
                Err(PageGone)
            };
        };
        if Arc::ptr_eq(&job, &self.job) {
            return Ok(());
        }
        self.job = job;
        self.send_facts().await
    }

    async fn send_facts(&self) -> Result<(), PageGone> {
        let settings = self.app.current_settings();
        let links = CodeHostLinks {
            base: &settings.link_url,
        };
        let beside = RunExtras {
            exists: true,
            place_in_line: self.app.index.queue_position(&self.job),
        };
        let facts = RunDetails::from_job(&self.job, &links, Timestamp::now(), beside);
        let html = facts.render().unwrap_or_default().replace('\r', "");
        self.send_event(Event::default().event("facts").data(html))
            .await
    }

    async fn send_event(&self, event: Event) -> Result<(), PageGone> {
        self.sender.send(event).await.map_err(|_| PageGone)
    }
}

/// The next bytes; waits for ever once the log has ended.
async fn next_chunk(log: &mut Option<LogStream>) -> anyhow::Result<Option<Bytes>> {
    match log {
        Some(log) => log.try_next().await,
        None => std::future::pending().await,
    }
}
