//! `page`, `per_page` and the `Link` header.

use axum::{Json, extract::FromRequestParts, response::IntoResponse as _};
use http::{HeaderValue, header, request::Parts};
use serde_json::Value;

use super::{
    Context,
    answer::{Error, Reply},
};

const LARGEST_PAGE: usize = 100;
const USUAL_PAGE: usize = 30;

/// Which page a request asks for, and how to ask for others.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    page: usize,
    pub(crate) per_page: usize,
    path: String,
    query: Vec<(String, String)>,
}

impl FromRequestParts<Context> for Paging {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Paging, Error> {
        let path = format!("{}{}", context.url, parts.uri.path());
        Ok(Paging::parse(path, parts.uri.query().unwrap_or_default()))
    }
}

impl Paging {
    /// As GitHub, nonsense is read as if nothing had been asked.
    fn parse(path: String, query: &str) -> Paging {
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let number = |name: &str| -> Option<usize> {
            query
                .iter()
                .find(|(key, _)| key == name)
                .and_then(|(_, value)| value.parse().ok())
                .filter(|n| *n > 0)
        };
        let page = number("page").unwrap_or(1);
        let per_page = number("per_page").unwrap_or(USUAL_PAGE).min(LARGEST_PAGE);
        Paging {
            page,
            per_page,
            path,
            query,
        }
    }

    /// The value of another parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The items of the page asked for.
    pub(crate) fn cut<T>(&self, items: Vec<T>) -> Vec<T> {
        let skipped = self.page.saturating_sub(1).saturating_mul(self.per_page);
        items
            .into_iter()
            .skip(skipped)
            .take(self.per_page)
            .collect()
    }

    /// Answers with one page of a list.
    pub(crate) fn reply<T>(&self, items: Vec<T>, render: impl Fn(&T) -> Value) -> Reply {
        let total = items.len();
        let page: Vec<Value> = self.cut(items).iter().map(render).collect();
        self.wrap(total, page.into())
    }

    /// Answers with `body`, which shows one page of `total` items.
    pub(crate) fn wrap(&self, total: usize, body: Value) -> Reply {
        let mut response = Json(body).into_response();
        if let Some(link) = self.link(total) {
            response.headers_mut().insert(
                header::LINK,
                HeaderValue::from_str(&link).map_err(anyhow::Error::from)?,
            );
        }
        Ok(response)
    }

    /// `None` where everything fits on one page.
    fn link(&self, total: usize) -> Option<String> {
        let last = total.div_ceil(self.per_page).max(1);
        let mut links = Vec::new();
        if self.page > 1 {
            links.push(("prev", self.page.min(last + 1) - 1));
        }
        if self.page < last {
            links.push(("next", self.page + 1));
            links.push(("last", last));
        }
        if self.page > 1 {
            links.push(("first", 1));
        }
        let links: Vec<String> = links
            .into_iter()
            .map(|(rel, page)| {
                format!(
                    "<{}>; rel=\"{rel}\"",
                    self.address("page", &page.to_string())
                )
            })
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }

    /// The same request with one parameter changed.
    pub(crate) fn address(&self, name: &str, value: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(key, _)| key != name));
        query.append_pair(name, value);
        format!("{}?{}", self.path, query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_every_other_page() {
        for (query, total, link) in [
            ("", 30, None),
            (
                "per_page=2",
                5,
                Some("<u?per_page=2&page=2>; rel=\"next\", <u?per_page=2&page=3>; rel=\"last\""),
            ),
            (
                "per_page=2&page=3",
                5,
                Some("<u?per_page=2&page=2>; rel=\"prev\", <u?per_page=2&page=1>; rel=\"first\""),
            ),
            ("per_page=1000", 100, None),
            (
                "per_page=0&page=x",
                31,
                Some("<u?per_page=0&page=2>; rel=\"next\", <u?per_page=0&page=2>; rel=\"last\""),
            ),
        ] {
            assert_eq!(
                Paging::parse("u".to_owned(), query).link(total).as_deref(),
                link,
                "{query}"
            );
        }
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let paging = Paging::parse("u".to_owned(), "per_page=2&page=9");
        assert_eq!(paging.cut(vec![1, 2, 3]), Vec::<i32>::new());
    }
}
