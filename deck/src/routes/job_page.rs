//! `/view/…`: one run, with its log and its files.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use common::failure_digest::describe_upload_losses;
use common::prowjob::ProwJobState;
use common::storage::paths::{self, inverse};
use common::storage::{StorageError, live};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::NO_STORE;
use super::error::{ErrorPage, ErrorPageKind, render_html};
use super::guards::{NO_SUCH_RUN, ResponseDeadline};
use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::failure::{self, FailureSection};
use crate::index::IndexedJob;
use crate::logs::{self, ExcerptReader, LogExcerpt, LogMarkup, LogOrigin, StoredLog};
use crate::run_lookup::FoundRun;
use crate::stored_run;
use crate::view::{
    CodeHostLinks, DeckLayout, RunDetails, RunExtras, StateView, ViewLink, WIDE_LINE_NUMBER,
    encode_path, encode_query, format_bytes, format_log_size,
};

/// Maximum number of files that the page lists.
const MAX_ARTIFACTS: usize = 300;

const FROM_SIDECAR: &str = "The log comes from the sidecar, masked, a second or two old.";
const NOT_LET_OUT: &str = "The run\u{2019}s sidecar has let out nothing of its log yet. If it lets out no live log, the log will be here when the run has finished.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JobPageQuery {
    container: String,
    /// The line to show with the lines around it, wherever in the log it is.
    line: String,
}

#[derive(Debug, Default)]
struct LogView {
    container: String,
    html: String,
    /// Says where the log comes from while the run lasts; empty if it comes from the container.
    note: &'static str,
    /// Shown instead of lines, when there are none.
    message: Cow<'static, str>,
    meta: String,
    raw: String,
    /// URL of the events with the rest of the log; empty when there is no more to come.
    events: String,
    /// Whether line numbers have more than five digits.
    wide: bool,
    /// Whether lines are being counted, so that the page has to be loaded again.
    counting: bool,
}

#[derive(Debug)]
struct ArtifactView {
    name: String,
    href: String,
    size: String,
}

#[derive(Debug, Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: DeckLayout,
    job: String,
    build_id: String,
    state: StateView,
    facts: String,
    /// Whether its pod is a process of the embedded cluster's machine.
    embedded: bool,
    /// Why the run failed, as HTML; empty if that is not known.
    failure: String,
    /// What was not stored, and why; empty if everything was.
    losses: String,
    log: LogView,
    containers: Vec<ViewLink>,
    artifacts: Vec<ArtifactView>,
    no_artifacts: &'static str,
    more_artifacts: usize,
}

/// A run to show, and the location of its files.
struct ShownRun {
    job: Arc<IndexedJob>,
    place: Option<StorageLocation>,
    /// Whether it is in the index, so that its `ProwJob` exists.
    exists: bool,
}

pub(super) async fn get_job_page(
    Extension(found): Extension<FoundRun>,
    Extension(ResponseDeadline(in_time)): Extension<ResponseDeadline>,
    State(app): State<Arc<DeckState>>,
    Path(path): Path<String>,
    Query(which): Query<JobPageQuery>,
) -> Response {
    let Ok(run) = timeout_at(in_time, load_run(found)).await else {
        return ErrorPage::timeout_response(&app);
    };
    match run {
        Ok(Some(run)) => render_run(&app, &run, &which, &path, in_time).await,
        Ok(None) => ErrorPage::page_response(&app, ErrorPageKind::NotFound, NO_SUCH_RUN),
        Err(error) => ErrorPage::internal_response(&app, &error, "reading a run's files"),
    }
}

/// `None`: nothing is left of the run.
async fn load_run(found: FoundRun) -> anyhow::Result<Option<ShownRun>> {
    let place = match found {
        FoundRun::Live(job, place) => {
            return Ok(Some(ShownRun {
                job,
                place,
                exists: true,
            }));
        }
        FoundRun::Stored(place) => place,
    };
    let Some(key) = inverse::parse_run_folder(&place.key) else {
        return Ok(None);
    };
    let object = stored_run::read_stored_run(&place, &key).await?;
    let job = object.and_then(|object| IndexedJob::new(&object));
    Ok(job.map(|job| ShownRun {
        job: Arc::new(job),
        place: Some(place),
        exists: false,
    }))
}

/// Renders the page with the data that has arrived `in_time`.
async fn render_run(
    app: &DeckState,
    run: &ShownRun,
    which: &JobPageQuery,
    path: &str,
    in_time: Instant,
) -> Response {
    let job = &run.job;
    let container = match which.container.as_str() {
        "" => job
            .containers
            .first()
            .map_or(paths::TEST_CONTAINER, AsRef::as_ref),
        given if job.has_container(given) => given,
        _ => {
            return ErrorPage::page_response(
                app,
                ErrorPageKind::NotFound,
                "This run has no such container.",
            );
        }
    };
    let settings = app.current_settings();
    let links = CodeHostLinks {
        base: &settings.link_url,
    };
    let (log, (artifacts, more_artifacts, no_artifacts), failure, losses, embedded) = tokio::join!(
        build_log_view(app, run, container, &which.line, in_time),
        list_artifacts(run, in_time),
        render_failure(run, container, in_time),
        describe_losses(run, in_time),
        is_embedded(app, run, in_time)
    );
    let beside = RunExtras {
        exists: run.exists,
        place_in_line: app.index.queue_position(job),
    };
    let page = JobPage {
        frame: app.page_layout(),
        job: job.display_title().to_string(),
        build_id: job.build_id.to_string(),
        state: StateView::from_state(job.state),
        facts: RunDetails::from_job(job, &links, Timestamp::now(), beside)
            .render()
            .unwrap_or_default(),
        embedded,
        failure,
        losses,
        log,
        containers: job
            .containers
            .iter()
            .map(|name| container_tab(path, name))
            .collect(),
        artifacts,
        no_artifacts,
        more_artifacts,
    };
    (NO_STORE, render_html(&page)).into_response()
}

fn container_tab(path: &str, container: &str) -> ViewLink {
    let href = format!(
        "/view/{}?container={}",
        encode_path(path),
        encode_query(container)
    );
    ViewLink {
        text: container.to_owned(),
        href,
    }
}

async fn build_log_view(
    app: &DeckState,
    run: &ShownRun,
    container: &str,
    line: &str,
    in_time: Instant,
) -> LogView {
    let job = &run.job;
    let live = run.exists && !job.is_complete();
    let mut view = LogView {
        container: container.to_owned(),
        ..LogView::default()
    };
    if live && LogOrigin::from_job(job) == LogOrigin::Sidecar {
        view.note = FROM_SIDECAR;
    }
    let containers = job.containers.len();
    let look = ExcerptReader {
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
    let markup = LogMarkup {
        to_line: to_line(container),
    };
    let seen = look.read_excerpt(line.parse().ok(), &markup).await;
    let (excerpt, stored) = match seen {
        Ok(seen) => (seen.excerpt, seen.stored),
        Err(error) => {
            let unread = matches!(error, logs::LogError::Other(_));
            view.message = explain_absence(job, error);
            if unread {
                view.raw = raw_log_url(run, container, look.left.is_some());
            }
            (LogExcerpt::default(), false)
        }
    };
    if live {
        view.raw = format!("/log?{}", log_query(job, container));
        view.events = format!(
            "/log/events?{}&after={}",
            log_query(job, container),
            excerpt.lines
        );
    }
    if excerpt.bytes > 0 {
        view.meta = if excerpt.counting {
            format!("{}, being counted", format_bytes(excerpt.bytes))
        } else {
            format_log_size(excerpt.lines, excerpt.bytes)
        };
        if excerpt.late && !live {
            view.meta
                .push_str(" so far: the rest takes too long to read");
        }
        view.raw = raw_log_url(run, container, stored);
    } else if view.message.is_empty() {
        view.message = if live {
            "The log has not begun.".into()
        } else {
            "There is no log of this run.".into()
        };
    }
    view.wide = excerpt.lines >= WIDE_LINE_NUMBER;
    view.counting = excerpt.counting;
    view.html = excerpt.html;
    view
}

/// URL of the whole log as text.
fn raw_log_url(run: &ShownRun, container: &str, stored: bool) -> String {
    match &run.place {
        Some(place) if stored => artifact_url(
            place,
            &paths::build_log(container, run.job.containers.len()),
        ),
        _ => format!("/log?{}", log_query(&run.job, container)),
    }
}

fn log_query(job: &IndexedJob, container: &str) -> String {
    format!(
        "job={}&id={}&container={}",
        encode_query(&job.job),
        encode_run_id(job),
        encode_query(container)
    )
}

/// The query of a run's page up to the number of the line to show.
pub(super) fn to_line(container: &str) -> String {
    format!("?container={}&amp;line=", encode_query(container))
}

/// The text to show instead of a log that is not available; empty if there is no log.
fn explain_absence(job: &IndexedJob, error: logs::LogError) -> Cow<'static, str> {
    match error {
        logs::LogError::Absent | logs::LogError::NotStarted => Cow::default(),
        logs::LogError::NotLetOut => NOT_LET_OUT.into(),
        logs::LogError::NoSuchCluster(_) => format!("{error}.").into(),
        logs::LogError::Other(error) => {
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

fn encode_run_id(job: &IndexedJob) -> String {
    encode_query(if job.build_id.is_empty() {
        &job.name
    } else {
        &job.build_id
    })
}

/// Why the run failed, as HTML; empty if nobody has found out.
async fn render_failure(run: &ShownRun, container: &str, in_time: Instant) -> String {
    let failed = matches!(run.job.state, ProwJobState::Failure | ProwJobState::Error);
    let Some(place) = run.place.as_ref().filter(|_| failed) else {
        return String::new();
    };
    match timeout_at(in_time, failure::read_digest(place)).await {
        Ok(Ok(Some(digest))) => FailureSection::new(&digest, container)
            .render()
            .unwrap_or_default(),
        Ok(Ok(None)) | Err(_) => String::new(),
        Ok(Err(error)) => {
            tracing::warn!(%error, key = place.key, "a failure digest cannot be read");
            String::new()
        }
    }
}

/// Whether its pod runs or ran in the embedded cluster. A queued run has no pod yet.
async fn is_embedded(app: &DeckState, run: &ShownRun, in_time: Instant) -> bool {
    if !run.exists || LogOrigin::from_job(&run.job) == LogOrigin::Nowhere {
        return false;
    }
    let asked = app.runners.is_embedded(&app.clusters, &run.job.cluster);
    timeout_at(in_time, asked).await.unwrap_or(false)
}

/// What the run could not store; empty if its result does not say.
async fn describe_losses(run: &ShownRun, in_time: Instant) -> String {
    let Some(place) = run.place.as_ref().filter(|_| run.job.is_complete()) else {
        return String::new();
    };
    match timeout_at(in_time, stored_run::read_small_file(place, paths::FINISHED)).await {
        // Names and reasons may be quoted: the viewer may open the file that has them.
        Ok(Ok(finished)) => describe_upload_losses(&finished.unwrap_or_default(), true),
        Ok(Err(error)) => {
            tracing::warn!(%error, key = place.key, "a run's result cannot be read");
            String::new()
        }
        Err(_) => String::new(),
    }
}

/// Files of the run, the number of further ones, and the text to show if there are none.
async fn list_artifacts(
    run: &ShownRun,
    in_time: Instant,
) -> (Vec<ArtifactView>, usize, &'static str) {
    let Some(place) = &run.place else {
        return (
            Vec::new(),
            0,
            "This job is not decorated, so it keeps no files.",
        );
    };
    let listing = match timeout_at(in_time, place.storage.list_objects(&place.key, false)).await {
        Ok(Ok(listing)) => listing,
        Ok(Err(StorageError::Unsupported(..))) => {
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
    // Without pieces of the log, which is on the page itself.
    let named: Vec<_> = named.filter(|(name, _)| !live::is_piece(name)).collect();
    let more = named.len().saturating_sub(MAX_ARTIFACTS);
    let files = named
        .iter()
        .take(MAX_ARTIFACTS)
        .map(|(name, object)| ArtifactView {
            name: (*name).to_owned(),
            href: artifact_url(place, name),
            size: format_bytes(object.size),
        });
    (files.collect(), more, none)
}

/// The URL where Deck serves a file of the run.
fn artifact_url(place: &StorageLocation, name: &str) -> String {
    let base = if place.bucket == "storage" {
        "/storage".to_owned()
    } else {
        format!("/artifact/{}", place.bucket)
    };
    format!("{base}/{}", encode_path(&format!("{}/{name}", place.key)))
}
