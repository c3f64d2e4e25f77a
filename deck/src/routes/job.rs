//! `/view/…`: one run, with its log and what it left.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use common::digest::losses;
use common::prowjob::ProwJobState;
use common::storage::paths::{self, inverse};
use common::storage::{Error, live};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::NO_STORE;
use super::doors::{InTime, NO_SUCH_RUN};
use super::error::{Kind, Problem, html};
use crate::app::App;
use crate::buckets::Place;
use crate::door::FoundRun;
use crate::failure::{self, Failure};
use crate::index::Job;
use crate::logs::{self, Excerpt, LogOrigin, Look, Markup, StoredLog};
use crate::stored_run;
use crate::view::{
    Beside, Facts, Frame, Link, Links, StateView, WIDE, encode_path, encode_query, extent, size,
};

/// Files named on the page.
const MAX_ARTIFACTS: usize = 300;

const FROM_SIDECAR: &str = "The log comes from the sidecar, masked, a second or two old.";
const NOT_LET_OUT: &str = "The run\u{2019}s sidecar has let out nothing of its log yet. If it lets out no live log, the log will be here when the run has finished.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    container: String,
    /// To be shown with what is around it, wherever in the log it is.
    line: String,
}

#[derive(Debug, Default)]
struct LogView {
    container: String,
    html: String,
    /// Whose words these are, while the run lasts; empty if they are the container's own.
    note: &'static str,
    /// In the place of lines, when there are none.
    message: Cow<'static, str>,
    meta: String,
    raw: String,
    /// Where the rest is heard; empty when there is none to come.
    events: String,
    /// Its numbers have more than five digits.
    wide: bool,
    /// Its lines are being counted: the page is to be loaded again.
    counting: bool,
}

#[derive(Debug)]
struct FileView {
    name: String,
    href: String,
    size: String,
}

#[derive(Debug, Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    job: String,
    build_id: String,
    state: StateView,
    facts: String,
    /// Its pod is a process of the embedded cluster's machine.
    embedded: bool,
    /// Why it failed, as HTML; empty if that is not known.
    failure: String,
    /// What was not stored, and why; empty if all was.
    losses: String,
    log: LogView,
    containers: Vec<Link>,
    artifacts: Vec<FileView>,
    no_artifacts: &'static str,
    more_artifacts: usize,
}

/// A run to show, and where its files are.
struct Run {
    job: Arc<Job>,
    place: Option<Place>,
    /// It is in the index, so its `ProwJob` exists.
    exists: bool,
}

pub(super) async fn page(
    Extension(found): Extension<FoundRun>,
    Extension(InTime(in_time)): Extension<InTime>,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    let Ok(run) = timeout_at(in_time, run(found)).await else {
        return Problem::late(&app);
    };
    match run {
        Ok(Some(run)) => show(&app, &run, &which, &path, in_time).await,
        Ok(None) => Problem::page(&app, Kind::NotFound, NO_SUCH_RUN),
        Err(error) => Problem::internal(&app, &error, "reading a run's files"),
    }
}

/// `None`: nothing is left of it.
async fn run(found: FoundRun) -> anyhow::Result<Option<Run>> {
    let place = match found {
        FoundRun::Live(job, place) => {
            return Ok(Some(Run {
                job,
                place,
                exists: true,
            }));
        }
        FoundRun::Stored(place) => place,
    };
    let Some(key) = inverse::run(&place.key) else {
        return Ok(None);
    };
    let object = stored_run::read(&place, &key).await?;
    let job = object.and_then(|object| Job::new(&object));
    Ok(job.map(|job| Run {
        job: Arc::new(job),
        place: Some(place),
        exists: false,
    }))
}

/// The page, of what has come when it is to be answered `in_time`.
async fn show(app: &App, run: &Run, which: &Which, path: &str, in_time: Instant) -> Response {
    let job = &run.job;
    let container = match which.container.as_str() {
        "" => job
            .containers
            .first()
            .map_or(paths::TEST_CONTAINER, AsRef::as_ref),
        given if job.has_container(given) => given,
        _ => return Problem::page(app, Kind::NotFound, "This run has no such container."),
    };
    let settings = app.settings();
    let links = Links {
        base: &settings.link_url,
    };
    let (log, (artifacts, more_artifacts, no_artifacts), failure, losses, embedded) = tokio::join!(
        log(app, run, container, &which.line, in_time),
        artifacts(run, in_time),
        failure(run, container, in_time),
        not_stored(run, in_time),
        is_embedded(app, run, in_time)
    );
    let beside = Beside {
        exists: run.exists,
        place_in_line: app.index.place_in_line(job),
    };
    let page = JobPage {
        frame: app.frame(),
        job: job.title().to_string(),
        build_id: job.build_id.to_string(),
        state: StateView::of(job.state),
        facts: Facts::of(job, &links, Timestamp::now(), beside)
            .render()
            .unwrap_or_default(),
        embedded,
        failure,
        losses,
        log,
        containers: job.containers.iter().map(|name| tab(path, name)).collect(),
        artifacts,
        no_artifacts,
        more_artifacts,
    };
    (NO_STORE, html(&page)).into_response()
}

fn tab(path: &str, container: &str) -> Link {
    let href = format!(
        "/view/{}?container={}",
        encode_path(path),
        encode_query(container)
    );
    Link {
        text: container.to_owned(),
        href,
    }
}

async fn log(app: &App, run: &Run, container: &str, line: &str, in_time: Instant) -> LogView {
    let job = &run.job;
    let live = run.exists && !job.is_complete();
    let mut view = LogView {
        container: container.to_owned(),
        ..LogView::default()
    };
    if live && LogOrigin::of(job) == LogOrigin::Sidecar {
        view.note = FROM_SIDECAR;
    }
    let containers = job.containers.len();
    let look = Look {
        app,
        job,
        container,
        left: match &run.place {
            Some(place) if !run.exists => Some(StoredLog::new(place, container, containers)),
            _ => None,
        },
        complete: !live,
        in_time,
    };
    let markup = Markup {
        to_line: to_line(container),
    };
    let seen = look.see(line.parse().ok(), &markup).await;
    let (excerpt, stored) = match seen {
        Ok(seen) => (seen.excerpt, seen.stored),
        Err(error) => {
            let unread = matches!(error, logs::Error::Other(_));
            view.message = absence(job, error);
            if unread {
                view.raw = raw(run, container, look.left.is_some());
            }
            (Excerpt::default(), false)
        }
    };
    if live {
        view.raw = format!("/log?{}", query(job, container));
        view.events = format!(
            "/log/events?{}&after={}",
            query(job, container),
            excerpt.lines
        );
    }
    if excerpt.bytes > 0 {
        view.meta = if excerpt.counting {
            format!("{}, being counted", size(excerpt.bytes))
        } else {
            extent(excerpt.lines, excerpt.bytes)
        };
        if excerpt.late && !live {
            view.meta
                .push_str(" so far: the rest takes too long to read");
        }
        view.raw = raw(run, container, stored);
    } else if view.message.is_empty() {
        view.message = if live {
            "The log has not begun.".into()
        } else {
            "There is no log of this run.".into()
        };
    }
    view.wide = excerpt.lines >= WIDE;
    view.counting = excerpt.counting;
    view.html = excerpt.html;
    view
}

/// The whole log as text.
fn raw(run: &Run, container: &str, stored: bool) -> String {
    match &run.place {
        Some(place) if stored => address(
            place,
            &paths::build_log(container, run.job.containers.len()),
        ),
        _ => format!("/log?{}", query(&run.job, container)),
    }
}

fn query(job: &Job, container: &str) -> String {
    format!(
        "job={}&id={}&container={}",
        encode_query(&job.job),
        id(job),
        encode_query(container)
    )
}

/// The query of a run's page up to the number of the line that it is to show.
pub(super) fn to_line(container: &str) -> String {
    format!("?container={}&amp;line=", encode_query(container))
}

/// What stands in the place of a log that is not to be had; empty where there is none.
fn absence(job: &Job, error: logs::Error) -> Cow<'static, str> {
    match error {
        logs::Error::Absent | logs::Error::NotStarted => Cow::default(),
        logs::Error::NotLetOut => NOT_LET_OUT.into(),
        logs::Error::NoSuchCluster(_) => format!("{error}.").into(),
        logs::Error::Other(error) => {
            let (prowjob, error) = (job.name.as_ref(), format!("{error:#}"));
            tracing::warn!(
                prowjob,
                job = job.job.as_ref(),
                error,
                "a log cannot be read"
            );
            "The log cannot be read now. Try again in a moment.".into()
        }
    }
}

fn id(job: &Job) -> String {
    encode_query(if job.build_id.is_empty() {
        &job.name
    } else {
        &job.build_id
    })
}

/// Why the run failed, as HTML; nothing where nobody has found out.
async fn failure(run: &Run, container: &str, in_time: Instant) -> String {
    let failed = matches!(run.job.state, ProwJobState::Failure | ProwJobState::Error);
    let Some(place) = run.place.as_ref().filter(|_| failed) else {
        return String::new();
    };
    match timeout_at(in_time, failure::read(place)).await {
        Ok(Ok(Some(digest))) => Failure::new(&digest, container)
            .render()
            .unwrap_or_default(),
        Ok(Ok(None)) | Err(_) => String::new(),
        Ok(Err(error)) => {
            tracing::warn!(%error, key = place.key, "a failure digest cannot be read");
            String::new()
        }
    }
}

/// Whether its pod runs or ran in the embedded cluster. What is in line has none yet.
async fn is_embedded(app: &App, run: &Run, in_time: Instant) -> bool {
    if !run.exists || LogOrigin::of(&run.job) == LogOrigin::Nowhere {
        return false;
    }
    let asked = app.runners.is_embedded(&app.clusters, &run.job.cluster);
    timeout_at(in_time, asked).await.unwrap_or(false)
}

/// What the run could not store; nothing where its result does not say.
async fn not_stored(run: &Run, in_time: Instant) -> String {
    let Some(place) = run.place.as_ref().filter(|_| run.job.is_complete()) else {
        return String::new();
    };
    match timeout_at(in_time, stored_run::small(place, paths::FINISHED)).await {
        // The viewer may open the file that says it.
        Ok(Ok(finished)) => losses(&finished.unwrap_or_default(), true),
        Ok(Err(error)) => {
            tracing::warn!(%error, key = place.key, "a run's result cannot be read");
            String::new()
        }
        Err(_) => String::new(),
    }
}

/// Files of the run, how many more there are, and what to say when there are none.
async fn artifacts(run: &Run, in_time: Instant) -> (Vec<FileView>, usize, &'static str) {
    let Some(place) = &run.place else {
        return (
            Vec::new(),
            0,
            "This job is not decorated, so it keeps no files.",
        );
    };
    let listing = match timeout_at(in_time, place.storage.list(&place.key, false)).await {
        Ok(Ok(listing)) => listing,
        Ok(Err(Error::Unsupported(..))) => {
            return (Vec::new(), 0, "This storage cannot be listed.");
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, key = place.key, "a run's files cannot be listed");
            return (Vec::new(), 0, "The files cannot be listed now.");
        }
        Err(_) => {
            return (
                Vec::new(),
                0,
                "The files take too long to list. Try again in a moment.",
            );
        }
    };
    let none = if run.job.is_complete() {
        "This run left no files."
    } else {
        "Files are uploaded when the run ends."
    };
    let named = listing.objects.iter().map(|object| {
        let name = object.key.strip_prefix(&place.key);
        (name.unwrap_or(&object.key).trim_start_matches('/'), object)
    });
    // The log itself is above.
    let named: Vec<_> = named.filter(|(name, _)| !live::is_piece(name)).collect();
    let more = named.len().saturating_sub(MAX_ARTIFACTS);
    let files = named
        .iter()
        .take(MAX_ARTIFACTS)
        .map(|(name, object)| FileView {
            name: (*name).to_owned(),
            href: address(place, name),
            size: size(object.size),
        });
    (files.collect(), more, none)
}

/// Where Deck serves a file of the run.
fn address(place: &Place, name: &str) -> String {
    let base = if place.bucket == "storage" {
        "/storage".to_owned()
    } else {
        format!("/artifact/{}", place.bucket)
    };
    format!("{base}/{}", encode_path(&format!("{}/{name}", place.key)))
}
