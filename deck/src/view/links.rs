//! Links to the code host and to Deck's own pages.

use std::fmt::Write;

use super::ViewLink;
use crate::index::{IndexedJob, JobPullRequest, JobRepository};

/// Links to the code host; a link of the job itself takes precedence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeHostLinks<'a> {
    /// `github.link_url` of the configuration.
    pub(crate) base: &'a str,
}

impl CodeHostLinks<'_> {
    pub(crate) fn repository_link(&self, job: &IndexedJob) -> Option<ViewLink> {
        let repository = job.repository.as_ref()?;
        Some(ViewLink {
            text: format!("{}/{}", repository.org, repository.repo),
            href: self.repository_url(repository),
        })
    }

    pub(crate) fn pull_url(&self, job: &IndexedJob, pull: &JobPullRequest) -> String {
        web_url(&pull.link)
            .unwrap_or_else(|| self.repository_path_url(job, &format!("pull/{}", pull.number)))
    }

    pub(crate) fn pull_commit_url(&self, job: &IndexedJob, pull: &JobPullRequest) -> String {
        let path = format!("pull/{}/commits/{}", pull.number, encode_path(&pull.sha));
        web_url(&pull.commit_link).unwrap_or_else(|| self.repository_path_url(job, &path))
    }

    pub(crate) fn author_url(&self, pull: &JobPullRequest) -> String {
        let guess = || format!("{}/{}", self.base, encode_path(&pull.author));
        web_url(&pull.author_link)
            .or_else(|| web_url(&guess()))
            .unwrap_or_default()
    }

    pub(crate) fn branch_url(&self, repository: &JobRepository) -> String {
        join_url(
            &self.repository_url(repository),
            &format!("tree/{}", encode_path(&repository.base_ref)),
        )
    }

    pub(crate) fn commit_url(&self, repository: &JobRepository) -> String {
        join_url(
            &self.repository_url(repository),
            &format!("commit/{}", encode_path(&repository.base_sha)),
        )
    }

    fn repository_url(&self, repository: &JobRepository) -> String {
        let path = format!(
            "{}/{}",
            encode_path(&repository.org),
            encode_path(&repository.repo)
        );
        web_url(&repository.link)
            .or_else(|| web_url(&join_url(self.base, &path)))
            .unwrap_or_default()
    }

    fn repository_path_url(&self, job: &IndexedJob, path: &str) -> String {
        job.repository
            .as_ref()
            .map_or_else(String::new, |repository| {
                join_url(&self.repository_url(repository), path)
            })
    }
}

fn join_url(base: &str, path: &str) -> String {
    if base.is_empty() {
        String::new()
    } else {
        format!("{}/{path}", base.trim_end_matches('/'))
    }
}

/// The URL, if a browser opens it as a page: never `javascript:`.
fn web_url(url: &str) -> Option<String> {
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

/// The run's page in this Deck, whatever host its URL names, or by job and id if it has none yet.
pub(crate) fn job_page_url(job: &IndexedJob) -> String {
    if let Some((_, path)) = job.url.split_once("/view/") {
        return format!("/view/{path}");
    }
    let id = if job.build_id.is_empty() {
        &job.name
    } else {
        &job.build_id
    };
    format!(
        "/view/prowjob/{}/{}",
        encode_segment(&job.job),
        encode_segment(id)
    )
}

/// Percent-encodes a path, but for its slashes.
pub(crate) fn encode_path(path: &str) -> String {
    path.split('/')
        .map(encode_segment)
        .collect::<Vec<_>>()
        .join("/")
}

pub(crate) fn encode_segment(text: &str) -> String {
    percent_encode(text, b"-._~!$'()*,:@")
}

/// Percent-encodes a value in a query string.
pub(crate) fn encode_query(text: &str) -> String {
    percent_encode(text, b"-._~*/:")
}

fn percent_encode(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_web_links_or_none() {
        assert_eq!(web_url("javascript:alert(1)"), None);
        assert_eq!(
            web_url("https://github.com/o/r").as_deref(),
            Some("https://github.com/o/r")
        );
        assert_eq!(join_url("", "pull/1"), "");
        assert_eq!(encode_path("a b/<c>#?"), "a%20b/%3Cc%3E%23%3F");
        assert_eq!(encode_query("o/r&x=1"), "o/r%26x%3D1");
    }
}
