//! `/events`: the changes of a list of jobs, as they happen.

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

use super::{NO_STORE, text_response, unavailable};
use crate::app::DeckState;
use crate::index::{IndexedJob, JobChange, JobFilter, JobListQuery};
use crate::view::{CodeHostLinks, JobRow};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SinceQuery {
    since: String,
}

/// A job that was added, changed or removed, as the list is to show it.
#[derive(Debug, Serialize)]
struct JobEvent<'a> {
    name: &'a str,
    job: &'a str,
    /// The state under which the list counted it before.
    from: Option<&'static str>,
    to: Option<&'static str>,
    /// Its row, if it is (still) in this list.
    row: Option<String>,
}

/// The URL of the events after `revision` for the list at the URL `list`.
pub(super) fn events_url(app: &DeckState, list: &str, revision: u64) -> String {
    let parameters = list
        .split_once('?')
        .map_or(String::new(), |(_, parameters)| format!("{parameters}&"));
    format!("/events?{parameters}since={}-{revision}", app.boot)
}

pub(super) async fn stream_events(
    State(app): State<Arc<DeckState>>,
    UrlQuery(query): UrlQuery<JobListQuery>,
    UrlQuery(since): UrlQuery<SinceQuery>,
    headers: HeaderMap,
) -> Response {
    let Ok(filter) = JobFilter::parse_query(&query) else {
        return text_response(StatusCode::BAD_REQUEST, "No such filter.\n");
    };
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        return unavailable::unavailable_response(
            "Too many pages are listening. Try again later.\n",
        );
    };
    // After a break the browser sends the id of the last event, which is newer than the page.
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or(&since.since);
    let events = subscribe_events(app.clone(), filter, last).map(move |event| {
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

fn subscribe_events(
    app: Arc<DeckState>,
    filter: JobFilter,
    last: &str,
) -> BoxStream<'static, Event> {
    let revision = last
        .rsplit_once('-')
        .filter(|(boot, _)| *boot == app.boot)
        .and_then(|(_, n)| n.parse().ok());
    let Some(subscription) = revision.and_then(|revision| app.index.subscribe_since(revision))
    else {
        return stream::iter([reset_event()])
            .chain(stream::pending())
            .boxed();
    };
    stream::iter(subscription.missed)
        .map(Ok)
        .chain(BroadcastStream::new(subscription.coming))
        .filter_map(move |change| {
            let event = match change {
                Ok(change) => change_event(&app, &filter, &change),
                // The reader is too slow to get each change.
                Err(_) => Some(reset_event()),
            };
            std::future::ready(event)
        })
        .boxed()
}

/// Makes the page load its list again. Browsers drop an event without data.
fn reset_event() -> Event {
    Event::default().event("reset").data("load again")
}

fn change_event(app: &DeckState, filter: &JobFilter, change: &JobChange) -> Option<Event> {
    let viewing = app.view_filter();
    let counted = |job: &Option<Arc<IndexedJob>>| {
        job.as_deref()
            .filter(|job| viewing(job) && filter.matches_but_state(job))
            .map(|job| job.state)
    };
    let (from, to) = (counted(&change.before), counted(&change.after));
    if from.is_none() && to.is_none() {
        return None;
    }
    let settings = app.current_settings();
    let links = CodeHostLinks {
        base: &settings.link_url,
    };
    let shown = change
        .after
        .as_deref()
        .filter(|job| to.is_some() && filter.matches_job(job));
    let any = change.after.as_deref().or(change.before.as_deref())?;
    let news = JobEvent {
        name: &any.name,
        job: &any.job,
        from: from.map(ProwJobState::as_str),
        to: to.map(ProwJobState::as_str),
        row: shown.and_then(|job| {
            JobRow::from_job(job, &links, Timestamp::now())
                .render()
                .ok()
        }),
    };
    let id = format!("{}-{}", app.boot, change.revision);
    Event::default().event("job").id(id).json_data(&news).ok()
}

/// Ends the events when the process shuts down.
pub(super) fn until_shutdown<S: Stream<Item = Event> + Send + 'static>(
    app: &DeckState,
    events: S,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    events
        .map(Ok)
        .take_until(app.shutdown.clone().cancelled_owned())
}
