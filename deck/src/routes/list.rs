//! `/`: the jobs, newest first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as UrlQuery, State};
use axum::response::{IntoResponse, Response};
use common::prowjob::{ProwJobState, ProwJobType};
use jiff::Timestamp;
use serde::Deserialize;

use super::error::{Kind, Problem, html};
use super::{NO_STORE, aside, events};
use crate::app::App;
use crate::index::{Choices, Filter, Page, Query};
use crate::view::{Frame, KINDS, Links, Row, StateView, encode_query};

/// Jobs on a page.
pub(super) const PAGE_SIZE: usize = 50;
/// Names each filter offers.
const MAX_CHOICES: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PageNumber {
    page: String,
}

/// One state to choose, and how many jobs are in it.
#[derive(Debug)]
struct Chip {
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
    frame: Frame,
    query: Query,
    kinds: [ProwJobType; 4],
    choices: Choices,
    chips: Vec<Chip>,
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

pub(super) async fn page(
    State(app): State<Arc<App>>,
    UrlQuery(query): UrlQuery<Query>,
    UrlQuery(number): UrlQuery<PageNumber>,
) -> Response {
    let filter = match Filter::parse(&query) {
        Ok(filter) => filter,
        Err(says) => return Problem::page(&app, Kind::BadRequest, says),
    };
    let number: usize = number.page.parse().unwrap_or(1).max(1);
    let page = aside(move || html(&JobsPage::new(&app, query, &filter, number))).await;
    (NO_STORE, page).into_response()
}

impl JobsPage {
    fn new(app: &App, query: Query, filter: &Filter, mut number: usize) -> Self {
        let viewing = app.viewing();
        let page = |number: usize| {
            let skip = (number - 1).saturating_mul(PAGE_SIZE);
            app.index.page(filter, &viewing, skip, PAGE_SIZE)
        };
        let mut found = page(number);
        let pages = found.total.div_ceil(PAGE_SIZE).max(1);
        if number > pages {
            number = pages;
            found = page(number);
        }
        Self {
            frame: app.frame(),
            kinds: KINDS,
            choices: app.index.choices(&viewing, MAX_CHOICES),
            chips: chips(&query, &found),
            filtered: !filter.is_empty(),
            rows: rows(app, &found),
            caption: caption(number, &found),
            page: number,
            pages,
            newer: (number > 1).then(|| address(&query, None, number - 1)),
            older: (number < pages).then(|| address(&query, None, number + 1)),
            events: events::address(app, &address(&query, None, 1), found.revision),
            first_page: number == 1,
            size: PAGE_SIZE,
            query,
        }
    }
}

fn rows(app: &App, found: &Page) -> Vec<String> {
    let (settings, now) = (app.settings(), Timestamp::now());
    let links = Links {
        base: &settings.link_url,
    };
    found
        .jobs
        .iter()
        .map(|job| Row::of(job, &links, now).render().unwrap_or_default())
        .collect()
}

fn caption(number: usize, found: &Page) -> String {
    let first = (number - 1) * PAGE_SIZE + 1;
    let last = first + found.jobs.len().max(1) - 1;
    format!("Jobs {first}–{last} of {}, newest first", found.total)
}

/// All, then each state that occurs or is asked for.
fn chips(query: &Query, found: &Page) -> Vec<Chip> {
    let all = Chip {
        class: "all",
        label: "All",
        sign: "",
        count: found.counts.values().sum(),
        href: address(query, Some(""), 1),
        current: query.state.is_empty(),
    };
    let states = ProwJobState::ALL.into_iter().map(|state| {
        let view = StateView::of(state);
        Chip {
            class: view.name,
            label: view.label,
            sign: view.sign,
            count: found.counts.get(&state).copied().unwrap_or(0),
            href: address(query, Some(view.name), 1),
            current: query.state == view.name,
        }
    });
    // Waiting for a scheduler is rare enough to be told only when it happens.
    let states = states.filter(|chip| chip.class != "scheduling" || chip.count > 0 || chip.current);
    std::iter::once(all).chain(states).collect()
}

/// The list with these filters, another state, another page.
fn address(query: &Query, state: Option<&str>, page: usize) -> String {
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
        let query = Query {
            repo: "o/r".into(),
            job: "a b*".into(),
            state: "failure".into(),
            ..Query::default()
        };
        assert_eq!(
            address(&query, None, 2),
            "/?repo=o/r&job=a%20b*&state=failure&page=2"
        );
        assert_eq!(address(&query, Some(""), 1), "/?repo=o/r&job=a%20b*");
        assert_eq!(address(&Query::default(), None, 1), "/");
    }
}
