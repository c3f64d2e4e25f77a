//! `page`, `per_page` and the `Link` header.

use axum::{Json, extract::FromRequestParts, response::IntoResponse as _};
use http::{HeaderValue, header, request::Parts};
use serde_json::Value;

use super::{
    FakeGithubContext,
    response::{RestError, RestResult},
};

const LARGEST_PAGE: usize = 100;
const USUAL_PAGE: usize = 30;

/// Which page a request asks for, and the URL for links to others.
#[derive(Clone, Debug)]
pub(crate) struct Pagination {
    page: usize,
    pub(crate) per_page: usize,
    path: String,
    query: Vec<(String, String)>,
}

impl FromRequestParts<FakeGithubContext> for Pagination {
    type Rejection = RestError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &FakeGithubContext,
    ) -> Result<Pagination, RestError> {
        let path = format!("{}{}", context.url, parts.uri.path());
        Ok(Pagination::parse_query(
            path,
            parts.uri.query().unwrap_or_default(),
        ))
    }
}

impl Pagination {
    /// Invalid values are ignored, as on GitHub.
    fn parse_query(path: String, query: &str) -> Pagination {
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
        Pagination {
            page,
            per_page,
            path,
            query,
        }
    }

    /// The value of another parameter.
    pub(crate) fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The items of the requested page.
    pub(crate) fn take_page<T>(&self, items: Vec<T>) -> Vec<T> {
        let skipped = self.page.saturating_sub(1).saturating_mul(self.per_page);
        items
            .into_iter()
            .skip(skipped)
            .take(self.per_page)
            .collect()
    }

    /// Answers with one page of a list.
    pub(crate) fn reply_with_page<T>(
        &self,
        items: Vec<T>,
        render: impl Fn(&T) -> Value,
    ) -> RestResult {
        let total = items.len();
        let page: Vec<Value> = self.take_page(items).iter().map(render).collect();
        self.reply_with_links(total, page.into())
    }

    /// Answers with `body`, which has one page of `total` items.
    pub(crate) fn reply_with_links(&self, total: usize, body: Value) -> RestResult {
        let mut response = Json(body).into_response();
        if let Some(link) = self.link_header(total) {
            response.headers_mut().insert(
                header::LINK,
                HeaderValue::from_str(&link).map_err(anyhow::Error::from)?,
            );
        }
        Ok(response)
    }

    /// `None` if everything fits on one page.
    fn link_header(&self, total: usize) -> Option<String> {
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
                    self.url_with_parameter("page", &page.to_string())
                )
            })
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }

    /// The same request with one parameter changed.
    pub(crate) fn url_with_parameter(&self, name: &str, value: &str) -> String {
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
                Pagination::parse_query("u".to_owned(), query)
                    .link_header(total)
                    .as_deref(),
                link,
                "{query}"
            );
        }
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let paging = Pagination::parse_query("u".to_owned(), "per_page=2&page=9");
        assert_eq!(paging.take_page(vec![1, 2, 3]), Vec::<i32>::new());
    }
}
