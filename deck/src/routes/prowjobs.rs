//! `/prowjobs.js` and `/prowjob`: the `ProwJob`s themselves, for scripts.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use super::{NO_STORE, text_response};
use crate::app::DeckState;
use crate::index::{IndexedJob, JobFilter, OmitFields};

/// Objects per chunk of the response: the whole response is never in memory.
const AT_ONCE: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProwJobsQuery {
    var: String,
    omit: String,
    org: String,
    repo: String,
    owner: String,
}

pub(super) async fn get_prowjobs(
    State(app): State<Arc<DeckState>>,
    Query(wanted): Query<ProwJobsQuery>,
) -> Response {
    if !wanted.var.is_empty() && !is_identifier(&wanted.var) {
        return text_response(
            StatusCode::BAD_REQUEST,
            "var is not a name that JavaScript takes\n",
        );
    }
    let viewing = app.view_filter();
    let jobs = app
        .index
        .query_page(
            &JobFilter::default(),
            |job| viewing(job) && matches_query(&wanted, job),
            0,
            usize::MAX,
        )
        .jobs;
    let (before, after, content_type) = if wanted.var.is_empty() {
        (String::new(), "", "application/json")
    } else {
        (
            format!("var {} = ", wanted.var),
            ";",
            "application/javascript",
        )
    };
    let omit = OmitFields::parse_list(&wanted.omit);
    let pieces = (0..jobs.len()).step_by(AT_ONCE).map(move |first| {
        let mut json = String::new();
        for (at, job) in jobs.iter().enumerate().skip(first).take(AT_ONCE) {
            if at > 0 {
                json.push(',');
            }
            job.write_json(omit, &mut json);
        }
        json
    });
    let begin = std::iter::once(format!("{before}{{\"items\":["));
    let end = std::iter::once(format!("]}}{after}"));
    let body = begin
        .chain(pieces)
        .chain(end)
        .map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    (
        NO_STORE,
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(stream::iter(body)),
    )
        .into_response()
}

/// Prow's filters: exact, each on the job's own refs, or on any extra refs if it has no own ones.
fn matches_query(wanted: &ProwJobsQuery, job: &IndexedJob) -> bool {
    let any_of = |fits: &dyn Fn((&str, &str)) -> bool| {
        let mut repos = job.own_repos().iter();
        repos.any(|repo| fits(repo.split_once('/').unwrap_or(("", repo))))
    };
    (wanted.org.is_empty() || any_of(&|(org, _)| org == wanted.org))
        && (wanted.repo.is_empty() || any_of(&|(_, repo)| repo == wanted.repo))
        && (wanted.owner.is_empty()
            || job
                .pulls
                .iter()
                .any(|pull| pull.author.as_ref() == wanted.owner))
}

fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    name.len() <= 64
        && name.bytes().all(word)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProwJobQuery {
    prowjob: String,
}

/// Serves one object as YAML.
pub(super) async fn get_prowjob(
    State(app): State<Arc<DeckState>>,
    Query(query): Query<ProwJobQuery>,
) -> Response {
    if query.prowjob.is_empty() {
        return text_response(StatusCode::BAD_REQUEST, "missing prowjob query parameter\n");
    }
    let Some(job) = app
        .index
        .find_by_name(&query.prowjob)
        .filter(|job| app.may_view(job))
    else {
        return text_response(StatusCode::NOT_FOUND, "There is no such ProwJob.\n");
    };
    let value: Value =
        serde_json::from_str(&job.to_json(OmitFields::default())).unwrap_or_default();
    match serde_saphyr::to_string(&value) {
        Ok(yaml) => (NO_STORE, text_response(StatusCode::OK, yaml)).into_response(),
        Err(error) => {
            tracing::error!(prowjob = query.prowjob, %error, "a ProwJob cannot be written as YAML");
            text_response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "This ProwJob cannot be shown.\n",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_identifier;

    #[test]
    fn only_names_become_variables() {
        for (name, expected) in [
            ("allBuilds", true),
            ("_x$1", true),
            ("1x", false),
            ("a;alert(1)", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_identifier(name), expected, "{name}");
        }
    }
}
