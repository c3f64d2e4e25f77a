//! Every path that Deck answers: its handler, who may see the response, and its security headers.
//!
//! The one place for all three. A handler is reached only through the guard of its route, and its
//! responses get the headers of its route, whatever their status.

use std::sync::Arc;

use axum::routing::{MethodRouter, any, get};

use super::{
    artifact, badge, events, job_list, job_page, log, log_events, not_implemented, prowjobs,
    schema, static_files, storage,
};
use crate::app::DeckState;

/// What the responses of a path are about, which decides who may see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteVisibility {
    /// No run: the response is the same for everybody.
    Everyone,
    /// Many runs; those that the viewer may not see are left out.
    Listing,
    /// The run that the parameters `job` and `id` name.
    Build,
    /// The run that the parameter `prowjob` names.
    ProwJob,
    /// The run that the rest of the path names, as in `/view`.
    Page,
    /// The run whose folder, in any bucket, has the object that the rest of the path names.
    Artifact,
    /// The same in Deck's own storage; a run's token allows that run's objects.
    Storage,
}

impl RouteVisibility {
    /// Whether an address names one run, or an object of one.
    #[must_use]
    pub fn is_of_one_run(self) -> bool {
        !matches!(self, Self::Everyone | Self::Listing)
    }
}

/// What a response may do in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityPolicy {
    /// A page of Deck: its scripts and styles are Deck's static files.
    Page,
    /// Text and data, which do nothing, and which other sites do not get.
    Data,
    /// A picture that other sites may embed in their pages.
    Picture,
    /// What a job wrote: styles and images of the same run, no script, no origin.
    Artifact,
}

/// A path and how it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The path in axum's syntax.
    pub path: &'static str,
    /// Methods that are answered with something else than 405; `HEAD` goes with `GET`. Empty: all.
    pub methods: &'static [&'static str],
    pub visibility: RouteVisibility,
    pub dress: SecurityPolicy,
    /// Whether responses are compressed. Streams must be sent as they come, and stored objects may
    /// be requested in parts.
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

/// All routes, with those that are not implemented yet.
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
