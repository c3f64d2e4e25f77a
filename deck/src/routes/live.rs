//! `/log/events`: a run's log and state while it runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use common::storage::paths;
use futures::TryStreamExt;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;

use super::{NO_STORE, events, text};
use crate::ansi::Terminal;
use crate::app::App;
use crate::index::Job;
use crate::logs::{self, LogStream, push_gap, push_line};
use crate::view::{Beside, Facts, Links};

/// Lines are sent together that come within this time.
const GATHER: Duration = Duration::from_millis(100);
/// Lines in one event; of more, the last ones.
const MAX_LINES: usize = 2000;

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
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many logs are being followed. Try again later.\n",
        );
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
        let mut log: LogStream =
            logs::follow(self.app.clone(), self.job.clone(), self.container.clone());
        let mut terminal = Some(Terminal::starting_at(1));
        let mut batch = Batch::new(self.after);
        self.catch_up().await?;
        loop {
            if terminal.is_none() && self.job.is_complete() {
                batch.send(&self.sender).await?;
                return self
                    .send(Event::default().event("done").data("the run is over"))
                    .await;
            }
            tokio::select! {
                () = self.sender.closed() => return Err(Gone),
                () = self.app.shutdown.cancelled() => return Ok(()),
                chunk = log.try_next(), if terminal.is_some() => match chunk {
                    Ok(Some(chunk)) => {
                        if let Some(terminal) = &mut terminal {
                            terminal.feed(&chunk, &mut |number, line| batch.push(number, line));
                        }
                    }
                    ended => {
                        if let Err(error) = ended {
                            let (prowjob, error) = (self.job.name.as_ref(), format!("{error:#}"));
                            tracing::warn!(prowjob, error, "a followed log broke off");
                        }
                        if let Some(terminal) = terminal.take() {
                            terminal.finish(&mut |number, line| batch.push(number, line));
                        }
                    }
                },
                () = batch.due() => batch.send(&self.sender).await?,
                change = changes.recv() => match change {
                    Ok(change) if change.after.as_ref().is_some_and(|job| job.name != self.job.name) => {}
                    _ => self.catch_up().await?,
                },
            }
        }
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

/// Lines on their way.
struct Batch {
    lines: VecDeque<(u64, String)>,
    /// Lines that came too fast to be sent.
    skipped: u64,
    after: u64,
    since: Option<Instant>,
}

impl Batch {
    fn new(after: u64) -> Self {
        Self {
            lines: VecDeque::new(),
            skipped: 0,
            after,
            since: None,
        }
    }

    fn push(&mut self, number: u64, line: &str) {
        if number <= self.after {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
            self.skipped += 1;
        }
        self.lines.push_back((number, line.to_owned()));
        self.since.get_or_insert_with(Instant::now);
    }

    /// When the lines have waited long enough; never, if there are none.
    async fn due(&self) {
        match self.since {
            Some(since) => sleep_until(since + GATHER).await,
            None => std::future::pending().await,
        }
    }

    async fn send(&mut self, sender: &mpsc::Sender<Event>) -> Result<(), Gone> {
        let mut html = String::new();
        if self.skipped > 0 {
            push_gap(&mut html, self.skipped);
        }
        for (number, line) in self.lines.drain(..) {
            push_line(&mut html, number, &line);
        }
        self.skipped = 0;
        self.since = None;
        if html.is_empty() {
            return Ok(());
        }
        sender
            .send(Event::default().event("lines").data(html))
            .await
            .map_err(|_| Gone)
    }
}
