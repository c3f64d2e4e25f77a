//! Slack's `chat.postMessage`, by the token of a workspace.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context as _;
use reqwest::{StatusCode, header};
use serde::Deserialize;
use url::form_urlencoded;

/// The address of Slack's API.
pub const SLACK_API: &str = "https://slack.com/api";
/// The workspace of `--slack-token-file`.
pub(crate) const DEFAULT_HOST: &str = "*";

/// Longest text that Slack shows, in characters.
const MAX_TEXT: usize = 40_000;
/// The wait if Slack names none, and the longest wait.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Errors that another try will not change; others are about the token, or Slack's own problems.
const PERMANENT_ERRORS: [&str; 9] = [
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "msg_too_long",
    "no_text",
    "restricted_action",
    "restricted_action_read_only_channel",
    "messages_tab_disabled",
    "invalid_arguments",
];

/// Why a message was not posted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlackError {
    #[error("no token is given for the Slack host {0:?}: see --additional-slack-token-files")]
    UnknownHost(String),
    #[error("no channel is configured")]
    NoChannel,
    /// Slack asks to wait.
    #[error("Slack asks to wait {0:?}")]
    RateLimited(Duration),
    /// Slack's error code.
    #[error("Slack answers {0}")]
    Refused(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl SlackError {
    /// Whether another try is useless.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::UnknownHost(_) | Self::NoChannel => true,
            Self::Refused(why) => PERMANENT_ERRORS.contains(&why.as_str()),
            Self::RateLimited(_) | Self::Other(_) => false,
        }
    }
}

/// The workspaces that crier can post to.
#[derive(Clone, Debug)]
pub struct SlackClient {
    endpoint: String,
    /// Read for each message, so that a renewed token is used.
    token_files: BTreeMap<String, PathBuf>,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct SlackResponse {
    ok: bool,
    #[serde(default)]
    error: String,
}

impl SlackClient {
    /// Posts through the API at `endpoint`, with a token file for each host.
    pub fn new(endpoint: &str, token_files: BTreeMap<String, PathBuf>) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("client of Slack")?;
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token_files,
            client,
        })
    }

    pub(super) async fn post_message(
        &self,
        host: &str,
        channel: &str,
        text: &str,
    ) -> Result<(), SlackError> {
        if channel.is_empty() {
            return Err(SlackError::NoChannel);
        }
        let file = self.token_files.get(host);
        let file = file.ok_or_else(|| SlackError::UnknownHost(host.to_owned()))?;
        let token = tokio::fs::read_to_string(file)
            .await
            .with_context(|| format!("reading {}", file.display()))?;
        let shown = text.char_indices().nth(MAX_TEXT);
        let text = &text[..shown.map_or(text.len(), |(end, _)| end)];
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("username", "prow"),
                ("icon_emoji", ":prow:"),
                ("token", token.trim()),
                ("channel", channel),
                ("text", text),
            ])
            .finish();
        let request = self
            .client
            .post(format!("{}/chat.postMessage", self.endpoint))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = request.send().await.context("asking Slack")?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = response.headers().get(header::RETRY_AFTER);
            let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
            let wait = wait.map_or(DEFAULT_WAIT, Duration::from_secs);
            return Err(SlackError::RateLimited(wait.min(LONGEST_WAIT)));
        }
        let answer: SlackResponse = response
            .json()
            .await
            .with_context(|| format!("Slack answers {status} without its JSON"))?;
        match (answer.ok, answer.error.as_str()) {
            (true, _) => Ok(()),
            (false, "ratelimited" | "rate_limited") => Err(SlackError::RateLimited(DEFAULT_WAIT)),
            (false, _) => Err(SlackError::Refused(answer.error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_not_there_is_given_up_and_a_bad_token_is_not() {
        for (error, permanent) in [
            (SlackError::UnknownHost("x".into()), true),
            (SlackError::NoChannel, true),
            (SlackError::Refused("channel_not_found".into()), true),
            (SlackError::Refused("invalid_auth".into()), false),
            (SlackError::Refused("internal_error".into()), false),
            (SlackError::RateLimited(DEFAULT_WAIT), false),
        ] {
            assert_eq!(error.is_permanent(), permanent, "{error}");
        }
    }
}
