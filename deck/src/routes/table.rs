//! Every path that Deck answers: what is asked for there, who may see it, how it is dressed.
//!
//! The one place for both. A handler is reached through the door of its route alone, and its
//! answers leave in the headers of its route, whatever their status.

use std::sync::Arc;

use axum::routing::{MethodRouter, any, get};

use super::{
    artifact, badge, events, job, later, list, live, log, prowjobs, schema, statics, storage,
};
use crate::app::App;

/// Who may see what a path answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The same for everybody; nothing of any run.
    Everyone,
    /// Of many runs; those that the viewer may not see are left out.
    Listing,
    /// Of the run that the parameters `job` and `id` name.
    Build,
    /// Of the run that the parameter `prowjob` names.
    ProwJob,
    /// Of the run that the rest of the path names, as `/view` does.
    Page,
    /// Of the run in whose folder, in any bucket, the object is that the rest of the path names.
    Artifact,
    /// The same in Deck's own storage; a run's token opens the run's own.
    Storage,
}

impl Visibility {
    /// Whether an address names one run, or something of one.
    #[must_use]
    pub fn is_of_one_run(self) -> bool {
        !matches!(self, Self::Everyone | Self::Listing)
    }
}

/// What an answer may do in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dress {
    /// A page of Deck's own: its scripts and styles are Deck's static files.
    Page,
    /// Text and data: does nothing, and other sites do not get it.
    Data,
    /// A picture that may stand in other sites' pages.
    Picture,
    /// What a job wrote: styles and images of the same run, no script, no origin.
    Artifact,
}

/// One path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// As axum writes it.
    pub path: &'static str,
    /// Answered with something else than 405; `HEAD` wherever there is `GET`. Empty: all.
    pub methods: &'static [&'static str],
    pub visibility: Visibility,
    pub dress: Dress,
    /// Answers end and are compressed. Streams must leave as they come, and what is in storage
    /// may be asked for in parts.
    pub(super) compressed: bool,
    pub(super) handler: fn() -> MethodRouter<Arc<App>>,
}

impl Route {
    const fn get(
        path: &'static str,
        visibility: Visibility,
        dress: Dress,
        handler: fn() -> MethodRouter<Arc<App>>,
    ) -> Self {
        Self {
            path,
            methods: &["GET"],
            visibility,
            dress,
            compressed: true,
            handler,
        }
    }

    const fn uncompressed(self) -> Self {
        Self {
            compressed: false,
            ..self
        }
    }
}

const ROUTES: [Route; 14] = {
    use Dress::{Artifact, Data, Page, Picture};
    use Visibility as V;
    [
        Route::get("/", V::Listing, Page, || get(list::page)),
        Route::get("/view/{*path}", V::Page, Page, || get(job::page)),
        Route::get("/prowjobs.js", V::Listing, Data, || get(prowjobs::all)),
        Route::get("/prowjob", V::ProwJob, Data, || get(prowjobs::one)),
        Route::get("/badge.svg", V::Listing, Picture, || get(badge::svg)),
        Route::get("/static/{name}", V::Everyone, Data, || get(statics::file)),
        Route::get("/favicon.ico", V::Everyone, Data, || get(statics::favicon)),
        Route::get("/schema/prow-jobs.json", V::Everyone, Data, || {
            get(schema::prow_jobs)
        }),
        Route::get("/schema/jobs.json", V::Everyone, Data, || get(schema::jobs)),
        Route::get("/events", V::Listing, Data, || get(events::stream)).uncompressed(),
        Route::get("/log", V::Build, Data, || get(log::plain)).uncompressed(),
        Route::get("/log/events", V::Build, Data, || get(live::stream)).uncompressed(),
        Route::get("/artifact/{*path}", V::Artifact, Artifact, || {
            get(artifact::object)
        })
        .uncompressed(),
        Route {
            methods: &["GET", "PUT", "DELETE"],
            ..Route::get("/storage/{*key}", V::Storage, Artifact, || {
                get(storage::get).put(storage::put).delete(storage::delete)
            })
            .uncompressed()
        },
    ]
};

/// The whole table.
pub fn routes() -> impl Iterator<Item = Route> {
    let later = later::PATHS.into_iter().map(|path| Route {
        methods: &[],
        ..Route::get(path, Visibility::Everyone, Dress::Data, || {
            any(later::answer)
        })
        .uncompressed()
    });
    ROUTES.into_iter().chain(later)
}
