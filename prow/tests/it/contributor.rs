//! A contributor of the demo's repository: reads and writes at the GitHub stand-in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{demo::curl, support::Program};

pub(crate) struct Contributor {
    /// The header with the token.
    header: String,
    /// The comments of the open pull request.
    comments_url: String,
}

impl Contributor {
    /// The contributor that the demo prints, once it serves.
    pub(crate) fn introduced_by(demo: &mut Program, patience: Duration) -> Self {
        let url = demo.line_with("/comments", patience);
        let header = demo.line_with("Authorization: Bearer", patience);
        Self {
            header: header.split('\'').nth(1).unwrap().to_owned(),
            comments_url: url.split_whitespace().last().unwrap().to_owned(),
        }
    }

    /// What a commit has: `statuses` or `check-runs`.
    pub(crate) fn get_of_commit(&self, sha: &str, what: &str) -> Value {
        let repo = self.comments_url.split_once("/issues/").unwrap().0;
        self.get(&format!("{repo}/commits/{sha}/{what}?per_page=100"))
    }

    /// The comments of the pull request.
    pub(crate) fn get_comments(&self) -> Value {
        self.get(&format!("{}?per_page=100", self.comments_url))
    }

    pub(crate) fn write_comment(&self, text: &str) {
        let body = json!({"body": text}).to_string();
        let (answer, code) = curl(&["-H", &self.header, "-d", &body, &self.comments_url]);
        assert_eq!(code, "201", "{answer}");
    }

    fn get(&self, url: &str) -> Value {
        let (body, code) = curl(&["-H", &self.header, url]);
        assert_eq!(code, "200", "{url}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}
