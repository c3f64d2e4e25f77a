//! A REST client that checks every response against GitHub's `OpenAPI` description.

use axum::http::HeaderMap;
use local::github::FakeGithub;
use serde_json::Value;

use super::schema;

/// A client with or without a token. It checks every response against GitHub's description.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    token: Option<String>,
}

/// A response that matches the description.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a response that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    pub(crate) fn new(github: &FakeGithub, token: &str) -> Client {
        Client {
            url: github.url().to_owned(),
            token: Some(token.to_owned()),
        }
    }

    pub(crate) fn anonymous(github: &FakeGithub) -> Client {
        Client {
            url: github.url().to_owned(),
            token: None,
        }
    }

    /// The URL for git, with the token in it.
    pub(crate) fn remote(&self, repo: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        match &self.token {
            Some(token) => format!("http://x-access-token:{token}@{host}/{repo}.git"),
            None => format!("http://{host}/{repo}.git"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(reqwest::Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::POST, path, Some(body), &[])
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::PUT, path, Some(body), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::PATCH, path, Some(body), &[])
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(reqwest::Method::DELETE, path, None, &[]).await
    }

    /// `path` may be a whole URL, as in a `Link`.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut request = client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let is_json = headers
            .get("content-type")
            .is_some_and(|kind| kind == "application/json");
        let body = if is_json {
            serde_json::from_slice(&bytes).unwrap()
        } else {
            Value::from(String::from_utf8_lossy(&bytes).into_owned())
        };
        if is_json || bytes.is_empty() {
            let complaints = schema::answer_complaints(method.as_str(), path, status, &body);
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
        Answer {
            status,
            headers,
            body,
        }
    }
}
