//! `/events`: what changes in a list, as it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query as UrlQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use common::prowjob::ProwJobState;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::BroadcastStream;

use super::{NO_STORE, busy, text};
use crate::app::App;
use crate::index::{Change, Filter, Job, Query};
use crate::view::{Links, Row};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    since: String,
}

/// A job that came, changed or went, as the list is to show it.
#[derive(Debug, Serialize)]
struct News<'a> {
    name: &'a str,
    job: &'a str,
    /// The state it was counted under.
    from: Option<&'static str>,
    to: Option<&'static str>,
    /// Its line, unless it is not in this list (any more).
    row: Option<String>,
}

/// Where the list at `list` hears what happens after `revision`.
pub(super) fn address(app: &App, list: &str, revision: u64) -> String {
    let parameters = list
        .split_once('?')
        .map_or(String::new(), |(_, parameters)| format!("{parameters}&"));
    format!("/events?{parameters}since={}-{revision}", app.boot)
}

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    UrlQuery(query): UrlQuery<Query>,
    UrlQuery(since): UrlQuery<Since>,
    headers: HeaderMap,
) -> Response {
    let Ok(filter) = Filter::parse(&query) else {
        return text(StatusCode::BAD_REQUEST, "No such filter.\n");
    };
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        return busy::busy("Too many pages are listening. Try again later.\n");
    };
    // After a break the browser says what it saw last; that is newer than the page.
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or(&since.since);
    let events = events(app.clone(), filter, last).map(move |event| {
        let _held_to_the_end = &permit;
        Ok::<_, Infallible>(event)
    });
    let events = events.take_until(app.shutdown.clone().cancelled_owned());
    (
        NO_STORE,
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))),
    )
        .into_response()
}

fn events(app: Arc<App>, filter: Filter, last: &str) -> BoxStream<'static, Event> {
    let revision = last
        .rsplit_once('-')
        .filter(|(boot, _)| *boot == app.boot)
        .and_then(|(_, n)| n.parse().ok());
    let Some(subscription) = revision.and_then(|revision| app.index.subscribe(revision)) else {
        return stream::iter([reset()]).chain(stream::pending()).boxed();
    };
    stream::iter(subscription.missed)
        .map(Ok)
        .chain(BroadcastStream::new(subscription.coming))
        .filter_map(move |change| {
            let event = match change {
                Ok(change) => event(&app, &filter, &change),
                // Too slow to be told one by one.
                Err(_) => Some(reset()),
            };
            std::future::ready(event)
        })
        .boxed()
}

/// The page is to load its list again. Browsers drop an event without data.
fn reset() -> Event {
    Event::default().event("reset").data("load again")
}

fn event(app: &App, filter: &Filter, change: &Change) -> Option<Event> {
    let viewing = app.viewing();
    let counted = |job: &Option<Arc<Job>>| {
        job.as_deref()
            .filter(|job| viewing(job) && filter.matches_but_state(job))
            .map(|job| job.state)
    };
    let (from, to) = (counted(&change.before), counted(&change.after));
    if from.is_none() && to.is_none() {
        return None;
    }
    let settings = app.settings();
    let links = Links {
        base: &settings.link_url,
    };
    let shown = change
        .after
        .as_deref()
        .filter(|job| to.is_some() && filter.matches(job));
    let any = change.after.as_deref().or(change.before.as_deref())?;
    let news = News {
        name: &any.name,
        job: &any.job,
        from: from.map(ProwJobState::as_str),
        to: to.map(ProwJobState::as_str),
        row: shown.and_then(|job| Row::of(job, &links, Timestamp::now()).render().ok()),
    };
    let id = format!("{}-{}", app.boot, change.revision);
    Event::default().event("job").id(id).json_data(&news).ok()
}

/// Sends nothing more once the process is to end.
pub(super) fn until_shutdown<S: Stream<Item = Event> + Send + 'static>(
    app: &App,
    events: S,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    events
        .map(Ok)
        .take_until(app.shutdown.clone().cancelled_owned())
}
