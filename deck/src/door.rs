//! The one way from an address to a run or an object of one, for whoever may see it.
//!
//! A run is bound to its bucket and folder: a `ProwJob` speaks for no other place. Whatever
//! cannot be found out hides the run, and what is hidden looks like what does not exist, in the
//! time it takes as well: the same files are asked for.

mod words;

use std::sync::Arc;

use common::storage::paths::inverse::{self, BesideKey, RunKey};
use common::storage::{Bucket, Error};

use crate::app::App;
use crate::buckets::Place;
use crate::index::Job;
use crate::stored_run;
use crate::view::encode_path;
use crate::visibility::{Verdict, Witness, Word, decide};

/// Folders of runs inside a run's folder, as far as they are looked into.
const MAX_INNER: usize = 4;
/// An alias is one URL.
const MAX_ALIAS: usize = 4096;

/// What an address of a run leads to.
pub(crate) enum Found {
    Run(FoundRun),
    /// An alias was asked for; the run's page is at this path.
    Elsewhere(String),
    /// There is none, or not for this viewer.
    Nothing,
}

/// A run that the viewer may see.
#[derive(Clone, Debug)]
pub(crate) enum FoundRun {
    /// Its `ProwJob` exists. No place: it keeps no files, or not yet.
    Live(Arc<Job>, Option<Place>),
    /// Only what it has stored is left.
    Stored(Place),
}

/// The run at `prowjob/JOB/ID` or at `<provider>/<bucket…>/<folder>`.
pub(crate) async fn find(app: &App, path: &str) -> anyhow::Result<Found> {
    if let Some((job, id)) = path
        .strip_prefix("prowjob/")
        .and_then(|rest| rest.split_once('/'))
    {
        let Some(job) = app.run(job, id) else {
            return Ok(Found::Nothing);
        };
        let place = app.place_of(&job)?;
        return Ok(Found::Run(FoundRun::Live(job, place)));
    }
    let Some(place) = locate(app, path)? else {
        return Ok(Found::Nothing);
    };
    let Some(run) = inverse::run(&place.key) else {
        return Ok(alias(app, &place).await?);
    };
    if !may_see(app, &place).await? {
        // Read all the same: a run that is absent takes this time, too.
        let _ = stored_run::read(&place, &run).await;
        return Ok(Found::Nothing);
    }
    let live = bound(app, &place.bucket, &place.key).into_iter().next();
    Ok(Found::Run(match live {
        Some(job) => FoundRun::Live(job, Some(place)),
        None => FoundRun::Stored(place),
    }))
}

/// The place a path names, in a bucket that may be opened.
pub(crate) fn locate(app: &App, path: &str) -> Result<Option<Place>, Error> {
    app.buckets.locate(path, &app.settings().allowed)
}

/// Whether the viewer may see the object that is stored there. What belongs to no run nobody
/// may.
pub(crate) async fn may_see_object(app: &App, place: &Place) -> Result<bool, Error> {
    match (
        inverse::runs(&place.key).first(),
        inverse::beside(&place.key),
    ) {
        (Some(run), _) if run.rest.is_empty() => Ok(false),
        (Some(_), _) => may_see(app, place).await,
        (None, Some(beside)) => may_see_beside(app, place, &beside).await,
        (None, None) => Ok(false),
    }
}

/// Whether the viewer may see the run whose folder this is, or something in it.
async fn may_see(app: &App, place: &Place) -> Result<bool, Error> {
    let runs = inverse::runs(&place.key);
    let Some((run, inner)) = runs.split_first() else {
        return Ok(false);
    };
    let verdict = judge(app, &words(app, place, run).await?);
    tracing::debug!(key = place.key, %verdict, "a run was asked for");
    if !verdict.shown || inner.len() > MAX_INNER {
        return Ok(false);
    }
    // Another installation may have let a run's folder be inside another's: it may hide itself.
    for run in inner.iter().filter(|run| !run.rest.is_empty()) {
        let words = words(app, place, run).await?;
        if !words.is_empty() && !judge(app, &words).shown {
            return Ok(false);
        }
    }
    Ok(true)
}

fn judge(app: &App, words: &[Word]) -> Verdict {
    decide(&app.viewer, any_hidden(app), words)
}

/// All that is said of the run in a folder of the bucket of `place`.
async fn words(app: &App, place: &Place, run: &RunKey<'_>) -> Result<Vec<Word>, Error> {
    let live = bound(app, &place.bucket, run.folder);
    let mut words: Vec<Word> = live.iter().map(|job| of_live(app, job)).collect();
    if live.is_empty() {
        // One that is not about this folder may hide it all the same.
        let namesake = app.index.by_build(run.job, run.build_id);
        let namesake = namesake.map(|job| of_live(app, &job));
        words.extend(namesake.filter(|word| !judge(app, std::slice::from_ref(word)).shown));
        words.extend(of_configuration(app, run.job));
    } else if judge(app, &words).shown {
        return Ok(words);
    }
    let folder = Place {
        key: run.folder.to_owned(),
        ..place.clone()
    };
    let stored = words::stored(&folder, &app.settings().hidden_repos, any_hidden(app)).await?;
    if live.is_empty() {
        words.extend(stored);
        words.extend(of_segment(app, run.segment));
    }
    Ok(words)
}

/// Whether anything is hidden here: a repository, a configured job, or a run that exists.
fn any_hidden(app: &App) -> bool {
    let is_listed = *app.index.synced().borrow();
    !is_listed || app.settings().any_hidden || app.index.any_hidden()
}

/// Runs that exist and store in this folder of this bucket.
fn bound(app: &App, bucket: &str, folder: &str) -> Vec<Arc<Job>> {
    let mut runs = app.index.in_folder(folder);
    runs.retain(|job| {
        let own = job.bucket.as_deref().map(Bucket::parse);
        own.is_some_and(|own| own.is_ok_and(|own| own.view_path() == bucket))
    });
    runs
}

fn of_live(app: &App, job: &Job) -> Word {
    let settings = app.settings();
    Word {
        witness: Witness::ProwJob,
        hidden: job.hidden || job.repos.iter().any(|repo| settings.hidden_repos.has(repo)),
        tenants: vec![job.tenant.to_string()],
    }
}

fn of_configuration(app: &App, job: &str) -> Option<Word> {
    let settings = app.settings();
    let job = settings.jobs.get(job)?;
    Some(Word {
        witness: Witness::Configuration,
        hidden: job.hidden,
        tenants: job.tenants.clone(),
    })
}

fn of_segment(app: &App, segment: Option<&str>) -> Option<Word> {
    let settings = app.settings();
    let hidden = settings
        .segments
        .is_hidden(segment, &settings.hidden_repos)?;
    Some(Word {
        witness: Witness::Segment,
        hidden,
        tenants: Vec::new(),
    })
}

/// Of an alias its run decides; of a job's newest build id its newest run, and all that is
/// configured of it.
async fn may_see_beside(app: &App, place: &Place, key: &BesideKey<'_>) -> Result<bool, Error> {
    let live = match key.build_id {
        Some(build_id) => app.index.by_build(key.job, build_id),
        None => app.index.newest(key.job),
    };
    let mut words: Vec<Word> = live.iter().map(|job| of_live(app, job)).collect();
    if live.is_none() || key.build_id.is_none() {
        words.extend(of_configuration(app, key.job));
    }
    if key.build_id.is_some() {
        // Asked for whoever asks, so that it takes the same time.
        let target = target(app, place).await?;
        if let Some(target) = target.filter(|_| live.is_none()) {
            let run = inverse::run(&target.key)
                .filter(|run| run.job == key.job && Some(run.build_id) == key.build_id);
            if let Some(run) = run {
                words.extend(self::words(app, &target, &run).await?);
            }
        }
    } else {
        words.extend(
            key.segment
                .and_then(|segment| of_segment(app, Some(segment))),
        );
    }
    words.sort_by_key(|word| word.witness);
    Ok(judge(app, &words).shown)
}

/// `pr-logs/directory/JOB/BUILD` names a small object that holds the folder's URL.
async fn alias(app: &App, place: &Place) -> Result<Found, Error> {
    let key = format!("{}.txt", place.key.trim_end_matches(".txt"));
    if inverse::beside(&key).is_none_or(|key| key.build_id.is_none()) {
        return Ok(Found::Nothing);
    }
    let place = Place {
        key,
        ..place.clone()
    };
    let Some(target) = target(app, &place).await? else {
        return Ok(Found::Nothing);
    };
    if inverse::run(&target.key).is_none() || !may_see(app, &target).await? {
        return Ok(Found::Nothing);
    }
    Ok(Found::Elsewhere(format!(
        "/view/{}/{}",
        target.bucket,
        encode_path(&target.key)
    )))
}

/// What the alias there is for: a folder of the bucket that its URL names, if that may be opened.
async fn target(app: &App, place: &Place) -> Result<Option<Place>, Error> {
    let object = match place.storage.get(&place.key).await {
        Ok(object) if object.size <= MAX_ALIAS as u64 => object,
        Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let url = object.bytes(MAX_ALIAS).await?;
    let url = std::str::from_utf8(&url).unwrap_or_default().trim();
    let settings = app.settings();
    let key_in = |bucket: &Bucket| {
        let key = url.strip_prefix(bucket.url())?.strip_prefix('/')?;
        Some((bucket.clone(), key.to_owned()))
    };
    // The longest: a bucket's folder may be named beside the bucket.
    let named = settings.allowed.named().filter_map(key_in);
    if let Some((bucket, key)) = named.min_by_key(|(_, key)| key.len()) {
        return Ok(Some(Place {
            storage: app.buckets.open(&bucket)?,
            bucket: bucket.view_path(),
            key,
        }));
    }
    if let Some((_, key)) = key_in(place.storage.bucket()) {
        return Ok(Some(Place {
            key,
            ..place.clone()
        }));
    }
    match Bucket::parse(url) {
        Ok(folder) => locate(app, &folder.view_path()),
        Err(_) => Ok(None),
    }
}
