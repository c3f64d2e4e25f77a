//! `/log/events`: a run's log and state while it runs.

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

use super::job::to_line;
use super::{NO_STORE, busy, events, text};
use crate::app::App;
use crate::index::Job;
use crate::logs::{self, Batch, LogStream, Markup};
use crate::view::{Beside, Facts, Links, extent};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    job: String,
    id: String,
    container: String,
    /// Lines the page has already.
    after: u64,
}

pub(super) async fn stream(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Response {
    let container = if wanted.container.is_empty() {
        paths::TEST_CONTAINER
    } else {
        &wanted.container
    }
    .to_owned();
    let Some(job) = app
        .run(&wanted.job, &wanted.id)
        .filter(|job| job.has_container(&container))
    else {
        return text(StatusCode::NOT_FOUND, "There is no such run.\n");
    };
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        return busy::busy("Too many logs are being followed. Try again later.\n");
    };
    let (sender, receiver) = mpsc::channel(8);
    let teller = Teller {
        app: app.clone(),
        job,
        container,
        after: wanted.after,
        sender,
    };
    tokio::spawn(async move {
        let _held_to_the_end = permit;
        // An error says that the page is gone.
        let _ = teller.run().await;
    });
    let events = events::until_shutdown(&app, ReceiverStream::new(receiver));
    (
        NO_STORE,
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))),
    )
        .into_response()
}

/// The page went away.
struct Gone;

struct Teller {
    app: Arc<App>,
    job: Arc<Job>,
    container: String,
    after: u64,
    sender: mpsc::Sender<Event>,
}

impl Teller {
    /// Tells lines and facts until the run is complete and its log has ended.
    async fn run(mut self) -> Result<(), Gone> {
        let mut changes = self.app.index.changes();
        let mut log: Option<LogStream> = Some(logs::follow(
            self.app.clone(),
            self.job.clone(),
            self.container.clone(),
        ));
        let markup = Markup {
            to_line: to_line(&self.container),
        };
        let mut batch = Batch::new(self.after);
        // The page may be older than this.
        self.tell_facts().await?;
        loop {
            if log.is_none() && self.job.is_complete() {
                return self
                    .send(Event::default().event("done").data("the run is over"))
                    .await;
            }
            tokio::select! {
                () = self.sender.closed() => return Err(Gone),
                () = self.app.shutdown.cancelled() => return Ok(()),
                chunk = next(&mut log) => match chunk {
                    Ok(Some(chunk)) => batch.push(&chunk),
                    ended => {
                        if let Err(error) = ended {
                            let (prowjob, error) = (self.job.name.as_ref(), format!("{error:#}"));
                            tracing::warn!(prowjob, error, "a followed log broke off");
                        }
                        log = None;
                        let html = batch.finish(&markup);
                        self.tell_lines(html, &batch).await?;
                    }
                },
                () = batch.due() => {
                    let html = batch.take_html(&markup);
                    self.tell_lines(html, &batch).await?;
                }
                change = changes.recv() => match change {
                    Ok(change) if change.after.as_ref().is_some_and(|job| job.name != self.job.name) => {}
                    _ => self.catch_up().await?,
                },
            }
        }
    }

    /// The lines, and how long the log is by now.
    async fn tell_lines(&self, html: String, batch: &Batch) -> Result<(), Gone> {
        if html.is_empty() {
            return Ok(());
        }
        self.send(Event::default().event("lines").data(html))
            .await?;
        let extent = extent(batch.lines, batch.bytes);
        self.send(Event::default().event("meta").data(extent)).await
    }

    /// Tells the job's facts if they changed. A job that is gone is complete, as far as a page goes.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        let Some(job) = self
            .app
            .index
            .by_name(&self.job.name)
            .filter(|job| self.app.may_view(job))
        else {
            return if self.job.is_complete() {
                Ok(())
            } else {
                Err(Gone)
            };
        };
        if Arc::ptr_eq(&job, &self.job) {
            return Ok(());
        }
        self.job = job;
        self.tell_facts().await
    }

    async fn tell_facts(&self) -> Result<(), Gone> {
        let settings = self.app.settings();
        let links = Links {
            base: &settings.link_url,
        };
        let beside = Beside {
            exists: true,
            place_in_line: self.app.index.place_in_line(&self.job),
        };
        let facts = Facts::of(&self.job, &links, Timestamp::now(), beside);
        let html = facts.render().unwrap_or_default().replace('\r', "");
        self.send(Event::default().event("facts").data(html)).await
    }

    async fn send(&self, event: Event) -> Result<(), Gone> {
        self.sender.send(event).await.map_err(|_| Gone)
    }
}

/// The next bytes; never, once the log has ended.
async fn next(log: &mut Option<LogStream>) -> anyhow::Result<Option<Bytes>> {
    match log {
        Some(log) => log.try_next().await,
        None => std::future::pending().await,
    }
}
