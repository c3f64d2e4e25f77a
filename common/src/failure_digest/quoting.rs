//! Whether text of a run's log and artifacts may be quoted where more people can read it than may
//! open the run's files: in comments, check runs, Slack, descriptions.
//!
//! | the run | quoted | why |
//! |---|---|---|
//! | `finished.json` of its pod: `censored: true`, no `censor-in-clear` | yes | it is censored |
//! | its spec gives no Secret to a container of its own | yes | there was none to print |
//! | any other | no | what is printed may be a Secret |
//!
//! Names of failed tests may always be quoted, and so may the output of a failed clone: no
//! container of the job had run. Deck's pages show what is stored to those who may see it.

use serde::{Deserialize, de::IgnoredAny};

use super::{DigestNote, FailureDigest, FailureKind, NO_FAILED_TEST_NAMED};

/// How much of a run may be quoted, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotingPolicy {
    /// All text: the run's sidecar censored what it stored.
    Censored,
    /// All text: the job got no Secret.
    NoSecret,
    /// Names of tests: the pod does not say that it censored everything.
    Unmarked,
    /// Names of tests: there is no `finished.json` that the pod wrote.
    Unfinished,
}

impl QuotingPolicy {
    /// Decides by `finished.json`, empty if it is not available, and by whether the job's spec
    /// gives a Secret to a container of its own (`gives_secret` of `prowjob::secrets`).
    #[must_use]
    pub fn from_finished(finished: &[u8], gives_secret: bool) -> Self {
        match (FinishedExcerpt::parse_from_pod(finished), gives_secret) {
            (Some(finished), _) if finished.metadata.censors_all() => Self::Censored,
            (_, false) => Self::NoSecret,
            (Some(_), true) => Self::Unmarked,
            (None, true) => Self::Unfinished,
        }
    }

    /// Whether more than names of tests may be quoted.
    #[must_use]
    pub fn allows_words(self) -> bool {
        matches!(self, Self::Censored | Self::NoSecret)
    }
}

/// Whether a run's own pod wrote this `finished.json`, so that everything it uploads is there.
#[must_use]
pub fn is_written_by_pod(finished: &[u8]) -> bool {
    FinishedExcerpt::parse_from_pod(finished).is_some()
}

/// The fields of `finished.json` that are read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct FinishedExcerpt {
    metadata: CensoringMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CensoringMetadata {
    censored: bool,
    /// Secrets that were too short to be censored.
    #[serde(rename = "censor-in-clear")]
    in_clear: Vec<IgnoredAny>,
    /// Set if crier wrote the file instead of the pod.
    uploader: String,
}

impl CensoringMetadata {
    fn censors_all(&self) -> bool {
        self.censored && self.in_clear.is_empty()
    }
}

impl FinishedExcerpt {
    fn parse_from_pod(finished: &[u8]) -> Option<Self> {
        let finished: Self = serde_json::from_slice(finished).ok()?;
        finished.metadata.uploader.is_empty().then_some(finished)
    }
}

impl FailureDigest {
    /// The digest without the text that may not be quoted.
    #[must_use]
    pub fn apply_quoting(mut self, quoting: QuotingPolicy) -> Self {
        if quoting.allows_words() || self.kind == FailureKind::Clone {
            return self;
        }
        for test in &mut self.tests {
            test.message.clear();
            test.frame.clear();
        }
        self.lines.clear();
        self.annotations.clear();
        if self.kind == FailureKind::Log {
            self.kind = FailureKind::Unknown;
            NO_FAILED_TEST_NAMED.clone_into(&mut self.summary);
        }
        self.note = Some(DigestNote::Uncensored);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure_digest::{DigestAnnotation, DigestLine, FailedTest};

    /// Each kind of `finished.json`, and the policy for a run with and without a Secret.
    const ROWS: [(&str, QuotingPolicy, QuotingPolicy); 10] = {
        use QuotingPolicy::{Censored, NoSecret, Unfinished, Unmarked};
        [
            (r#"{"metadata": {"censored": true}}"#, Censored, Censored),
            (r#"{"metadata": {"censored": false}}"#, Unmarked, NoSecret),
            (
                r#"{"metadata": {"censored": true, "censor-in-clear": ["/secrets/pin"]}}"#,
                Unmarked,
                NoSecret,
            ),
            (
                r#"{"metadata": {"censored": "true"}}"#,
                Unfinished,
                NoSecret,
            ),
            (r#"{"metadata": {}}"#, Unmarked, NoSecret),
            (r#"{"metadata": null}"#, Unfinished, NoSecret),
            (r#"{"censored": true}"#, Unmarked, NoSecret),
            (
                r#"{"metadata": {"uploader": "crier", "censored": true}}"#,
                Unfinished,
                NoSecret,
            ),
            ("not JSON", Unfinished, NoSecret),
            ("", Unfinished, NoSecret),
        ]
    };

    #[test]
    fn a_job_without_a_secret_is_quoted_without_a_mark() {
        for (finished, _, without) in ROWS {
            let quoting = QuotingPolicy::from_finished(finished.as_bytes(), false);
            assert_eq!(quoting, without, "{finished}");
            assert!(quoting.allows_words(), "{finished}");
        }
    }

    #[test]
    fn without_the_mark_nothing_of_the_log_is_quoted() {
        for (finished, with, _) in ROWS {
            let quoting = QuotingPolicy::from_finished(finished.as_bytes(), true);
            assert_eq!(quoting, with, "{finished}");
            let is_marked = with == QuotingPolicy::Censored;
            assert_eq!(quoting.allows_words(), is_marked, "{finished}");
            assert_eq!(
                is_written_by_pod(finished.as_bytes()),
                with != QuotingPolicy::Unfinished
            );
            for kind in [FailureKind::Log, FailureKind::Tests] {
                let told = format!("{:?}", digest(kind).apply_quoting(quoting));
                assert_eq!(told.contains("hunter2"), is_marked, "{finished}");
                assert!(told.contains("TestFoo"), "{finished}");
            }
            let clone = digest(FailureKind::Clone);
            assert_eq!(
                clone.clone().apply_quoting(quoting),
                clone,
                "no job has run"
            );
        }
    }

    fn digest(kind: FailureKind) -> FailureDigest {
        FailureDigest {
            kind,
            summary: match kind {
                FailureKind::Log => "error: hunter2".into(),
                _ => "1 test failed: TestFoo".into(),
            },
            tests: vec![FailedTest {
                name: "TestFoo".into(),
                message: "hunter2".into(),
                frame: "hunter2.go:1".into(),
            }],
            lines: vec![DigestLine {
                text: "hunter2".into(),
                ..DigestLine::default()
            }],
            annotations: vec![DigestAnnotation {
                path: "hunter2.go".into(),
                message: "hunter2".into(),
                ..DigestAnnotation::default()
            }],
            ..FailureDigest::default()
        }
    }
}
