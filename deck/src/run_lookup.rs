//! Resolves addresses to runs and their objects, for viewers that may see them. It is the only way.
//!
//! A run belongs to its bucket and folder: a `ProwJob` says nothing of other locations. Whatever
//! cannot be found out hides the run. A hidden run looks like one that does not exist, also in the
//! time that the answer takes: the same files are read.

mod stored_statements;

use std::sync::Arc;

use common::storage::paths::inverse::{self, PointerKey, RunKey};
use common::storage::{Bucket, StorageError};

use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::index::IndexedJob;
use crate::stored_run;
use crate::view::encode_path;
use crate::visibility::{
    VisibilitySource, VisibilityStatement, VisibilityVerdict, decide_visibility,
};

/// Maximum number of run folders inside a run's folder that are checked.
const MAX_INNER: usize = 4;
/// Maximum bytes of an alias, which is one URL.
const MAX_ALIAS: usize = 4096;

/// What the address of a run resolves to.
pub(crate) enum RunLookup {
    Run(FoundRun),
    /// The address was an alias; the run's page is at this path.
    Elsewhere(String),
    /// There is no such run, or not for this viewer.
    Nothing,
}

/// A run that the viewer may see.
#[derive(Clone, Debug)]
pub(crate) enum FoundRun {
    /// Its `ProwJob` exists. Without a location it keeps no files, or none yet.
    Live(Arc<IndexedJob>, Option<StorageLocation>),
    /// Its `ProwJob` is gone, and only what it stored is left.
    Stored(StorageLocation),
}

/// Resolves `prowjob/JOB/ID` or `<provider>/<bucket…>/<folder>` to a run.
pub(crate) async fn resolve_run(app: &DeckState, path: &str) -> anyhow::Result<RunLookup> {
    if let Some((job, id)) = path
        .strip_prefix("prowjob/")
        .and_then(|rest| rest.split_once('/'))
    {
        let Some(job) = app.find_run(job, id) else {
            return Ok(RunLookup::Nothing);
        };
        let place = app.locate_run_folder(&job)?;
        return Ok(RunLookup::Run(FoundRun::Live(job, place)));
    }
    let Some(place) = resolve_path(app, path)? else {
        return Ok(RunLookup::Nothing);
    };
    let Some(run) = inverse::parse_run_folder(&place.key) else {
        return Ok(resolve_alias(app, &place).await?);
    };
    if !may_view_run(app, &place).await? {
        // Read the files all the same: for a run that does not exist this takes the time, too.
        let _ = stored_run::read_stored_run(&place, &run).await;
        return Ok(RunLookup::Nothing);
    }
    let live = bound_runs(app, &place.bucket, &place.key)
        .into_iter()
        .next();
    Ok(RunLookup::Run(match live {
        Some(job) => FoundRun::Live(job, Some(place)),
        None => FoundRun::Stored(place),
    }))
}

/// The location that a path names, in a bucket that may be opened.
pub(crate) fn resolve_path(
    app: &DeckState,
    path: &str,
) -> Result<Option<StorageLocation>, StorageError> {
    app.buckets
        .resolve_storage_path(path, &app.current_settings().allowed)
}

/// Whether the viewer may see the object at this location. Nobody may see an object that belongs to
/// no run.
pub(crate) async fn may_view_object(
    app: &DeckState,
    place: &StorageLocation,
) -> Result<bool, StorageError> {
    match (
        inverse::find_runs(&place.key).first(),
        inverse::parse_pointer_key(&place.key),
    ) {
        (Some(run), _) if run.rest.is_empty() => Ok(false),
        (Some(_), _) => may_view_run(app, place).await,
        (None, Some(beside)) => may_view_beside(app, place, &beside).await,
        (None, None) => Ok(false),
    }
}

/// Whether the viewer may see the run whose folder this is, or that has this object.
async fn may_view_run(app: &DeckState, place: &StorageLocation) -> Result<bool, StorageError> {
    let runs = inverse::find_runs(&place.key);
    let Some((run, inner)) = runs.split_first() else {
        return Ok(false);
    };
    let verdict = judge_statements(app, &gather_statements(app, place, run).await?);
    tracing::debug!(key = place.key, %verdict, "a run was asked for");
    if !verdict.shown || inner.len() > MAX_INNER {
        return Ok(false);
    }
    // Another installation may have stored a run inside another's folder: it may be hidden.
    for run in inner.iter().filter(|run| !run.rest.is_empty()) {
        let words = gather_statements(app, place, run).await?;
        if !words.is_empty() && !judge_statements(app, &words).shown {
            return Ok(false);
        }
    }
    Ok(true)
}

fn judge_statements(app: &DeckState, words: &[VisibilityStatement]) -> VisibilityVerdict {
    decide_visibility(&app.viewer, any_hidden(app), words)
}

/// All statements about the run in a folder of this bucket.
async fn gather_statements(
    app: &DeckState,
    place: &StorageLocation,
    run: &RunKey<'_>,
) -> Result<Vec<VisibilityStatement>, StorageError> {
    let live = bound_runs(app, &place.bucket, run.folder);
    let mut words: Vec<VisibilityStatement> =
        live.iter().map(|job| live_statement(app, job)).collect();
    if live.is_empty() {
        // A `ProwJob` that stores in another folder may hide the run all the same.
        let namesake = app.index.find_by_build(run.job, run.build_id);
        let namesake = namesake.map(|job| live_statement(app, &job));
        words.extend(
            namesake.filter(|word| !judge_statements(app, std::slice::from_ref(word)).shown),
        );
        words.extend(configured_statement(app, run.job));
    } else if judge_statements(app, &words).shown {
        return Ok(words);
    }
    let folder = StorageLocation {
        key: run.folder.to_owned(),
        ..place.clone()
    };
    let stored = stored_statements::read_statements(
        &folder,
        &app.current_settings().hidden_repos,
        any_hidden(app),
    )
    .await?;
    if live.is_empty() {
        words.extend(stored);
        words.extend(segment_statement(app, run.segment));
    }
    Ok(words)
}

/// Whether any repository, configured job or existing run is hidden; so until the first listing.
fn any_hidden(app: &DeckState) -> bool {
    let is_listed = *app.index.watch_synced().borrow();
    !is_listed || app.current_settings().any_hidden || app.index.any_hidden()
}

/// Runs that exist and store in this folder of this bucket.
fn bound_runs(app: &DeckState, bucket: &str, folder: &str) -> Vec<Arc<IndexedJob>> {
    let mut runs = app.index.find_by_folder(folder);
    runs.retain(|job| {
        let own = job.bucket.as_deref().map(Bucket::parse_url);
        own.is_some_and(|own| own.is_ok_and(|own| own.view_path() == bucket))
    });
    runs
}

fn live_statement(app: &DeckState, job: &IndexedJob) -> VisibilityStatement {
    let settings = app.current_settings();
    VisibilityStatement {
        witness: VisibilitySource::ProwJob,
        hidden: job.hidden
            || job
                .repos
                .iter()
                .any(|repo| settings.hidden_repos.contains_repo(repo)),
        tenants: vec![job.tenant.to_string()],
    }
}

fn configured_statement(app: &DeckState, job: &str) -> Option<VisibilityStatement> {
    let settings = app.current_settings();
    let job = settings.jobs.get(job)?;
    Some(VisibilityStatement {
        witness: VisibilitySource::Configuration,
        hidden: job.hidden,
        tenants: job.tenants.clone(),
    })
}

fn segment_statement(app: &DeckState, segment: Option<&str>) -> Option<VisibilityStatement> {
    let settings = app.current_settings();
    let hidden = settings
        .segments
        .is_hidden(segment, &settings.hidden_repos)?;
    Some(VisibilityStatement {
        witness: VisibilitySource::Segment,
        hidden,
        tenants: Vec::new(),
    })
}

/// An alias is decided by its run. `latest-build.txt` is decided by the job's newest run and by all
/// configured jobs of that name.
async fn may_view_beside(
    app: &DeckState,
    place: &StorageLocation,
    key: &PointerKey<'_>,
) -> Result<bool, StorageError> {
    let live = match key.build_id {
        Some(build_id) => app.index.find_by_build(key.job, build_id),
        None => app.index.newest_run(key.job),
    };
    let mut words: Vec<VisibilityStatement> =
        live.iter().map(|job| live_statement(app, job)).collect();
    if live.is_none() || key.build_id.is_none() {
        words.extend(configured_statement(app, key.job));
    }
    if key.build_id.is_some() {
        // Read for every viewer, so that the answer takes the same time.
        let target = read_alias_target(app, place).await?;
        if let Some(target) = target.filter(|_| live.is_none()) {
            let run = inverse::parse_run_folder(&target.key)
                .filter(|run| run.job == key.job && Some(run.build_id) == key.build_id);
            if let Some(run) = run {
                words.extend(self::gather_statements(app, &target, &run).await?);
            }
        }
    } else {
        words.extend(
            key.segment
                .and_then(|segment| segment_statement(app, Some(segment))),
        );
    }
    words.sort_by_key(|word| word.witness);
    Ok(judge_statements(app, &words).shown)
}

/// Resolves an alias: `pr-logs/directory/JOB/BUILD` names a small object with the folder's URL.
async fn resolve_alias(
    app: &DeckState,
    place: &StorageLocation,
) -> Result<RunLookup, StorageError> {
    let key = format!("{}.txt", place.key.trim_end_matches(".txt"));
    if inverse::parse_pointer_key(&key).is_none_or(|key| key.build_id.is_none()) {
        return Ok(RunLookup::Nothing);
    }
    let place = StorageLocation {
        key,
        ..place.clone()
    };
    let Some(target) = read_alias_target(app, &place).await? else {
        return Ok(RunLookup::Nothing);
    };
    if inverse::parse_run_folder(&target.key).is_none() || !may_view_run(app, &target).await? {
        return Ok(RunLookup::Nothing);
    }
    Ok(RunLookup::Elsewhere(format!(
        "/view/{}/{}",
        target.bucket,
        encode_path(&target.key)
    )))
}

/// The folder that the alias names, if the bucket of its URL may be opened.
async fn read_alias_target(
    app: &DeckState,
    place: &StorageLocation,
) -> Result<Option<StorageLocation>, StorageError> {
    let object = match place.storage.get_object(&place.key).await {
        Ok(object) if object.size <= MAX_ALIAS as u64 => object,
        Ok(_) | Err(StorageError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let url = object.read_bytes(MAX_ALIAS).await?;
    let url = std::str::from_utf8(&url).unwrap_or_default().trim();
    let settings = app.current_settings();
    let key_in = |bucket: &Bucket| {
        let key = url.strip_prefix(bucket.url())?.strip_prefix('/')?;
        Some((bucket.clone(), key.to_owned()))
    };
    // The longest bucket URL: a folder of a bucket may be configured besides the bucket itself.
    let named = settings.allowed.named_buckets().filter_map(key_in);
    if let Some((bucket, key)) = named.min_by_key(|(_, key)| key.len()) {
        return Ok(Some(StorageLocation {
            storage: app.buckets.open_bucket(&bucket)?,
            bucket: bucket.view_path(),
            key,
        }));
    }
    if let Some((_, key)) = key_in(place.storage.bucket()) {
        return Ok(Some(StorageLocation {
            key,
            ..place.clone()
        }));
    }
    match Bucket::parse_url(url) {
        Ok(folder) => resolve_path(app, &folder.view_path()),
        Err(_) => Ok(None),
    }
}
