//! `/view/…`: one run, with its log and what it left.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

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
use crate::logs::{self, Excerpt, LogOrigin, StoredLog};
use crate::stored_run;
use crate::view::{Beside, Facts, Frame, Link, Links, StateView, encode_path, encode_query};

/// Files named on the page.
const MAX_ARTIFACTS: usize = 300;
/// How long the log of a finished run may take, for as long as it comes.
const LONGEST_LOG: Duration = Duration::from_secs(15);

const FROM_SIDECAR: &str = "The log comes from the sidecar, masked, a second or two old.";
const NOT_LET_OUT: &str = "The run\u{2019}s sidecar has let out nothing of its log yet. If it lets out no live log, the log will be here when the run has finished.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    container: String,
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
    state: StateView,
    facts: String,
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
    let (log, (artifacts, more_artifacts, no_artifacts), failure, losses) = tokio::join!(
        log(app, run, container, in_time),
        artifacts(run, in_time),
        failure(run, container, in_time),
        not_stored(run, in_time)
    );
    let beside = Beside {
        exists: run.exists,
        place_in_line: app.index.place_in_line(job),
    };
    let page = JobPage {
        frame: app.frame(),
        job: job.job.to_string(),
        state: StateView::of(job.state),
        facts: Facts::of(job, &links, Timestamp::now(), beside)
            .render()
            .unwrap_or_default(),
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

async fn log(app: &App, run: &Run, container: &str, in_time: Instant) -> LogView {
    let job = &run.job;
    let live = run.exists && !job.is_complete();
    let mut view = LogView {
        container: container.to_owned(),
        ..LogView::default()
    };
    if live && LogOrigin::of(job) == LogOrigin::Sidecar {
        view.note = FROM_SIDECAR;
    }
    let excerpt = match excerpt(app, run, container, in_time).await {
        Ok(excerpt) => excerpt,
        Err(error) => {
            view.message = absence(job, error);
            Excerpt::default()
        }
    };
    let query = format!(
        "job={}&id={}&container={}",
        encode_query(&job.job),
        id(job),
        encode_query(container)
    );
    if live {
        view.events = format!("/log/events?{query}&after={}", excerpt.lines);
    }
    if excerpt.bytes > 0 {
        view.meta = format!("{} · {}", lines(excerpt.lines), size(excerpt.bytes));
        if excerpt.late && !live {
            view.meta
                .push_str(" so far: the rest takes too long to read");
        }
        view.raw = match &run.place {
            Some(place) if !live => {
                address(place, &paths::build_log(container, job.containers.len()))
            }
            _ => format!("/log?{query}"),
        };
    } else if view.message.is_empty() {
        view.message = if live {
            "The log has not begun.".into()
        } else {
            "There is no log of this run.".into()
        };
    }
    view.html = excerpt.html;
    view
}

/// What a page shows of the log. Of one that still grows the rest is heard later.
async fn excerpt(
    app: &App,
    run: &Run,
    container: &str,
    in_time: Instant,
) -> Result<Excerpt, logs::Error> {
    let job = &run.job;
    let log = async {
        match (&run.place, run.exists) {
            (Some(place), false) => {
                let log = StoredLog::new(place, container, job.containers.len());
                log.finished().await
            }
            _ => logs::now(app, job, container).await,
        }
    };
    let log = timeout_at(in_time, log)
        .await
        .unwrap_or_else(|_| Err(logs::Error::late()))?;
    let complete = !run.exists || job.is_complete();
    let longest = if complete {
        LONGEST_LOG
    } else {
        Duration::ZERO
    };
    Ok(Excerpt::read(log, complete, in_time, longest).await?)
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

fn lines(count: u64) -> String {
    if count == 1 {
        "1 line".to_owned()
    } else {
        format!("{count} lines")
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
