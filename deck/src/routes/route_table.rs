//! Every path that Deck answers: what is asked for there, who may see it, how it is dressed.
//!
//! The one place for both. A handler is reached through the door of its route alone, and its
//! answers leave in the headers of its route, whatever their status.

use std::sync::Arc;

use axum::routing::{MethodRouter, any, get};

use super::{
    artifact, badge, events, job_list, job_page, log, log_events, not_implemented, prowjobs,
    schema, static_files, storage,
};
use crate::app::DeckState;

/// Who may see what a path answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteVisibility {
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

impl RouteVisibility {
    /// Whether an address names one run, or something of one.
    #[must_use]
    pub fn is_of_one_run(self) -> bool {
        !matches!(self, Self::Everyone | Self::Listing)
    }
}

/// What an answer may do in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityPolicy {
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
    pub visibility: RouteVisibility,
    pub dress: SecurityPolicy,
    /// Answers end and are compressed. Streams must leave as they come, and what is in storage
    /// may be asked for in parts.
    pub(super) compressed: bool,
    pub(super) handler: fn() -> MethodRouter<Arc<DeckState>>,
}

impl Route {
    const fn get(
        path: &'static str,
        visibility: RouteVisibility,
        dress: SecurityPolicy,
        handler: fn() -> MethodRouter<Arc<DeckState>>,
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

    const fn without_compression(self) -> Self {
        Self {
            compressed: false,
            ..self
        }
    }
}

const ROUTES: [Route; 14] = {
    use RouteVisibility as V;
    use SecurityPolicy::{Artifact, Data, Page, Picture};
    [
        Route::get("/", V::Listing, Page, || get(job_list::get_job_list)),
        Route::get("/view/{*path}", V::Page, Page, || {
            get(job_page::get_job_page)
        }),
        Route::get("/prowjobs.js", V::Listing, Data, || {
            get(prowjobs::get_prowjobs)
        }),
        Route::get("/prowjob", V::ProwJob, Data, || get(prowjobs::get_prowjob)),
        Route::get("/badge.svg", V::Listing, Picture, || get(badge::get_badge)),
        Route::get("/static/{name}", V::Everyone, Data, || {
            get(static_files::get_static_file)
        }),
        Route::get("/favicon.ico", V::Everyone, Data, || {
            get(static_files::get_favicon)
        }),
        Route::get("/schema/prow-jobs.json", V::Everyone, Data, || {
            get(schema::get_prow_jobs_schema)
        }),
        Route::get("/schema/jobs.json", V::Everyone, Data, || {
            get(schema::get_jobs_schema)
        }),
        Route::get("/events", V::Listing, Data, || get(events::stream_events))
            .without_compression(),
        Route::get("/log", V::Build, Data, || get(log::get_log)).without_compression(),
        Route::get("/log/events", V::Build, Data, || {
            get(log_events::stream_log_events)
        })
        .without_compression(),
        Route::get("/artifact/{*path}", V::Artifact, Artifact, || {
            get(artifact::get_artifact)
        })
        .without_compression(),
        Route {
            methods: &["GET", "PUT", "DELETE"],
            ..Route::get("/storage/{*key}", V::Storage, Artifact, || {
                get(storage::get_object)
                    .put(storage::put_object)
                    .delete(storage::delete_object)
            })
            .without_compression()
        },
    ]
};

/// The whole table.
pub fn list_routes() -> impl Iterator<Item = Route> {
    let later = not_implemented::NOT_IMPLEMENTED_PATHS
        .into_iter()
        .map(|path| Route {
            methods: &[],
            ..Route::get(
                path,
                RouteVisibility::Everyone,
                SecurityPolicy::Data,
                || any(not_implemented::answer_not_implemented),
            )
            .without_compression()
        });
    ROUTES.into_iter().chain(later)
}
