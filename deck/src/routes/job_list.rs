//! `/`: the list of jobs, newest first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as UrlQuery, State};
use axum::response::{IntoResponse, Response};
use common::prowjob::{ProwJobState, ProwJobType};
use jiff::Timestamp;
use serde::Deserialize;

use super::error::{ErrorPage, ErrorPageKind, render_html};
use super::{NO_STORE, events, run_blocking};
use crate::app::DeckState;
use crate::index::{FilterChoices, IndexPage, JobFilter, JobListQuery};
use crate::view::{CodeHostLinks, DeckLayout, JOB_TYPES, JobRow, StateView, encode_query};

/// Number of jobs on a page.
pub(super) const PAGE_SIZE: usize = 50;
/// Maximum number of names that each filter offers.
const MAX_CHOICES: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PageNumber {
    page: String,
}

/// A state to choose, and the number of jobs in it.
#[derive(Debug)]
struct StateChip {
    class: &'static str,
    label: &'static str,
    sign: &'static str,
    count: usize,
    href: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: DeckLayout,
    query: JobListQuery,
    kinds: [ProwJobType; 4],
    choices: FilterChoices,
    chips: Vec<StateChip>,
    filtered: bool,
    rows: Vec<String>,
    caption: String,
    page: usize,
    pages: usize,
    newer: Option<String>,
    older: Option<String>,
    events: String,
    first_page: bool,
    size: usize,
}

pub(super) async fn get_job_list(
    State(app): State<Arc<DeckState>>,
    UrlQuery(query): UrlQuery<JobListQuery>,
    UrlQuery(number): UrlQuery<PageNumber>,
) -> Response {
    let filter = match JobFilter::parse_query(&query) {
        Ok(filter) => filter,
        Err(says) => return ErrorPage::page_response(&app, ErrorPageKind::BadRequest, says),
    };
    let number: usize = number.page.parse().unwrap_or(1).max(1);
    let page =
        run_blocking(move || render_html(&JobsPage::new(&app, query, &filter, number))).await;
    (NO_STORE, page).into_response()
}

impl JobsPage {
    fn new(app: &DeckState, query: JobListQuery, filter: &JobFilter, mut number: usize) -> Self {
        let viewing = app.view_filter();
        let page = |number: usize| {
            let skip = (number - 1).saturating_mul(PAGE_SIZE);
            app.index.query_page(filter, &viewing, skip, PAGE_SIZE)
        };
        let mut found = page(number);
        let pages = found.total.div_ceil(PAGE_SIZE).max(1);
        if number > pages {
            number = pages;
            found = page(number);
        }
        Self {
            frame: app.page_layout(),
            kinds: JOB_TYPES,
            choices: app.index.filter_choices(&viewing, MAX_CHOICES),
            chips: build_chips(&query, &found),
            filtered: !filter.is_empty(),
            rows: render_rows(app, &found),
            caption: format_caption(number, &found),
            page: number,
            pages,
            newer: (number > 1).then(|| list_url(&query, None, number - 1)),
            older: (number < pages).then(|| list_url(&query, None, number + 1)),
            events: events::events_url(app, &list_url(&query, None, 1), found.revision),
            first_page: number == 1,
            size: PAGE_SIZE,
            query,
        }
    }
}

fn render_rows(app: &DeckState, found: &IndexPage) -> Vec<String> {
    let (settings, now) = (app.current_settings(), Timestamp::now());
    let links = CodeHostLinks {
        base: &settings.link_url,
    };
    found
        .jobs
        .iter()
        .map(|job| {
            JobRow::from_job(job, &links, now)
                .render()
                .unwrap_or_default()
        })
        .collect()
}

fn format_caption(number: usize, found: &IndexPage) -> String {
    let first = (number - 1) * PAGE_SIZE + 1;
    let last = first + found.jobs.len().max(1) - 1;
    format!("Jobs {first}–{last} of {}, newest first", found.total)
}

/// A chip for all jobs, then one for each state.
fn build_chips(query: &JobListQuery, found: &IndexPage) -> Vec<StateChip> {
    let all = StateChip {
        class: "all",
        label: "All",
        sign: "",
        count: found.counts.values().sum(),
        href: list_url(query, Some(""), 1),
        current: query.state.is_empty(),
    };
    let states = ProwJobState::ALL.into_iter().map(|state| {
        let view = StateView::from_state(state);
        StateChip {
            class: view.name,
            label: view.label,
            sign: view.sign,
            count: found.counts.get(&state).copied().unwrap_or(0),
            href: list_url(query, Some(view.name), 1),
            current: query.state == view.name,
        }
    });
    // Waiting for a scheduler is rare, so its chip is shown only when it happens.
    let states = states.filter(|chip| chip.class != "scheduling" || chip.count > 0 || chip.current);
    std::iter::once(all).chain(states).collect()
}

/// The URL of the list with these filters, and with another state and page.
fn list_url(query: &JobListQuery, state: Option<&str>, page: usize) -> String {
    let page = if page > 1 {
        page.to_string()
    } else {
        String::new()
    };
    let parameters: Vec<String> = [
        ("repo", query.repo.as_str()),
        ("job", &query.job),
        ("author", &query.author),
        ("pull", &query.pull),
        ("type", &query.kind),
        ("state", state.unwrap_or(&query.state)),
        ("page", &page),
    ]
    .into_iter()
    .filter(|(_, value)| !value.trim().is_empty())
    .map(|(name, value)| format!("{name}={}", encode_query(value.trim())))
    .collect();
    if parameters.is_empty() {
        "/".to_owned()
    } else {
        format!("/?{}", parameters.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_other_filters() {
        let query = JobListQuery {
            repo: "o/r".into(),
            job: "a b*".into(),
            state: "failure".into(),
            ..JobListQuery::default()
        };
        assert_eq!(
            list_url(&query, None, 2),
            "/?repo=o/r&job=a%20b*&state=failure&page=2"
        );
        assert_eq!(list_url(&query, Some(""), 1), "/?repo=o/r&job=a%20b*");
        assert_eq!(list_url(&JobListQuery::default(), None, 1), "/");
    }
}
