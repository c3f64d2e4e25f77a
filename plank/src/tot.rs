//! Build ids of tot, Prow's service that counts the runs of each job.

use std::time::Duration;

use url::Url;

/// How long to wait for an answer; a job that gets no build id is tried again later.
const TOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most digits of a build id.
const MAX_DIGITS: usize = 20;

#[derive(Clone, Debug)]
pub struct TotClient {
    url: Url,
    http: reqwest::Client,
}

impl TotClient {
    /// `url` is where tot serves `/vend/JOB`.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            http: reqwest::Client::new(),
        }
    }

    /// The next build id of this job.
    pub(crate) async fn vend_build_id(&self, job: &str) -> anyhow::Result<String> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("--tot-url takes no path"))?
            .pop_if_empty()
            .extend(["vend", job]);
        let request = self.http.get(url).timeout(TOT_TIMEOUT);
        let mut response = request.send().await?.error_for_status()?;
        let first = response.chunk().await?.unwrap_or_default();
        let number = std::str::from_utf8(&first)?.trim();
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        anyhow::ensure!(
            is_number && (1..=MAX_DIGITS).contains(&number.len()),
            "tot answers with something else than a number"
        );
        Ok(number.to_owned())
    }
}
