//! The webhook deliveries of the App, successful and failed.

use http::{HeaderMap, Method, header};
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::{
    GithubClient, GithubResult,
    api::encode_segment,
    auth::GithubAuth,
    transport::{GithubRequest, GithubResponse},
};
use crate::prowjob::null_default;

/// One attempt at delivering a webhook to the App.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// The attempt's id; later ones are greater.
    pub id: u64,
    /// The delivery's id (`X-GitHub-Delivery`): the same for all attempts.
    pub guid: String,
    pub delivered_at: Timestamp,
    pub event: String,
    /// In GitHub's words: `OK`, `failed to connect to host`, `Invalid HTTP Response: 503`.
    #[serde(default, deserialize_with = "null_default")]
    pub status: String,
    /// The response's status code. Without a response it is 0, or GitHub's substitute (502, 504).
    #[serde(default, deserialize_with = "null_default")]
    pub status_code: u16,
}

/// A page of [`HookDelivery`]s, newest first.
#[derive(Clone, Debug, Default)]
pub struct HookDeliveries {
    pub deliveries: Vec<HookDelivery>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

impl GithubClient {
    /// Whether the client acts as a GitHub App, whose deliveries can be listed.
    pub fn is_app(&self) -> bool {
        matches!(self.0.auth, GithubAuth::App(_))
    }

    /// Up to a hundred attempts of the last days, newest first, or those after a `cursor`.
    ///
    /// `GET /app/hook/deliveries`; an error for a client that is no App.
    pub async fn list_hook_deliveries(&self, cursor: Option<&str>) -> GithubResult<HookDeliveries> {
        let mut path = "/app/hook/deliveries?per_page=100".to_owned();
        if let Some(cursor) = cursor {
            path.push_str(&format!("&cursor={}", encode_segment(cursor)));
        }
        let answer = self.send_as_app(Method::GET, &path).await?;
        Ok(HookDeliveries {
            deliveries: answer.parse_json()?,
            next: next_cursor(&answer.headers),
        })
    }

    /// Asks GitHub to try a delivery again soon. `attempt` is any of its attempts, at most three
    /// days old.
    ///
    /// `POST /app/hook/deliveries/{id}/attempts`; an error for a client that is no App.
    pub async fn redeliver_webhook(&self, attempt: u64) -> GithubResult<()> {
        let path = format!("/app/hook/deliveries/{attempt}/attempts");
        self.send_as_app(Method::POST, &path).await.map(drop)
    }

    async fn send_as_app(&self, method: Method, path: &str) -> GithubResult<GithubResponse> {
        let GithubAuth::App(app) = &self.0.auth else {
            return Err(anyhow::anyhow!("only a GitHub App has deliveries to ask for").into());
        };
        let call = GithubRequest::new(method, path);
        self.0
            .transport
            .send_with_retries(&call, Some(&app.sign_jwt()?))
            .await
    }
}

/// The cursor in the link to the next page (`<https://…?cursor=v1_2>; rel="next"`).
fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(header::LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let address = next.trim().strip_prefix('<')?.split_once('>')?.0;
    let url = Url::parse(address).ok()?;
    let mut pairs = url.query_pairs();
    let (_, cursor) = pairs.find(|(name, _)| name == "cursor")?;
    Some(cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_its_link() {
        for (link, cursor) in [
            ("", None),
            (
                "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_12%3D>; rel=\"next\"",
                Some("v1_12="),
            ),
            (
                "<https://x/d?cursor=a>; rel=\"prev\", <https://x/d?cursor=b&per_page=1>; rel=\"next\"",
                Some("b"),
            ),
            ("<https://x/d?page=2>; rel=\"next\"", None),
            ("<https://x/d?cursor=a>; rel=\"prev\"", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, link.parse().unwrap());
            assert_eq!(next_cursor(&headers).as_deref(), cursor, "{link}");
        }
    }

    #[test]
    fn an_attempt_is_read_as_github_writes_it() {
        let text = r#"{"id":12345678901234,"guid":"0b989ba4","delivered_at":"2026-06-03T00:57:16Z",
            "redelivery":false,"duration":0.27,"status":"OK","status_code":200,"event":"issues",
            "action":"opened","installation_id":123,"repository_id":456,"throttled_at":null}"#;
        let read: HookDelivery = serde_json::from_str(text).unwrap();
        assert_eq!((read.id, read.status_code), (12_345_678_901_234, 200));
        assert_eq!(read.delivered_at.to_string(), "2026-06-03T00:57:16Z");
    }
}
