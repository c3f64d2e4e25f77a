//! `/prowjobs.js` and `/prowjob`: the objects themselves, for scripts.

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

use super::{NO_STORE, text};
use crate::app::App;
use crate::index::{Filter, Job, Omit};

/// Objects in one piece of the answer: the whole is never in memory.
const AT_ONCE: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    var: String,
    omit: String,
    org: String,
    repo: String,
    owner: String,
}

pub(super) async fn all(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Response {
    if !wanted.var.is_empty() && !is_identifier(&wanted.var) {
        return text(
            StatusCode::BAD_REQUEST,
            "var is not a name that JavaScript takes\n",
        );
    }
    let viewing = app.viewing();
    let jobs = app
        .index
        .page(
            &Filter::default(),
            |job| viewing(job) && is_wanted(&wanted, job),
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
    let omit = Omit::parse(&wanted.omit);
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

/// Prow's filters: exact, each on the job's own refs, or on any of the others if it has none.
fn is_wanted(wanted: &Wanted, job: &Job) -> bool {
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
pub(super) struct Named {
    prowjob: String,
}

/// One object as YAML.
pub(super) async fn one(State(app): State<Arc<App>>, Query(query): Query<Named>) -> Response {
    if query.prowjob.is_empty() {
        return text(StatusCode::BAD_REQUEST, "missing prowjob query parameter\n");
    }
    let Some(job) = app
        .index
        .by_name(&query.prowjob)
        .filter(|job| app.may_view(job))
    else {
        return text(StatusCode::NOT_FOUND, "There is no such ProwJob.\n");
    };
    let value: Value = serde_json::from_str(&job.json(Omit::default())).unwrap_or_default();
    match serde_saphyr::to_string(&value) {
        Ok(yaml) => (NO_STORE, text(StatusCode::OK, yaml)).into_response(),
        Err(error) => {
            tracing::error!(prowjob = query.prowjob, %error, "a ProwJob cannot be written as YAML");
            text(
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
