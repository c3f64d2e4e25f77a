//! Which jobs a reader asks for.

use common::prowjob::{ProwJobState, ProwJobType};
use serde::Deserialize;

use super::job::Job;

/// Prow's query parameters, as they come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Query {
    pub repo: String,
    pub job: String,
    pub author: String,
    pub state: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub pull: String,
}

/// The conditions; all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `org/repo`: of the job itself or of its extra references.
    pub repo: Option<String>,
    pub job: Option<Pattern>,
    pub author: Option<String>,
    pub state: Option<ProwJobState>,
    pub kind: Option<ProwJobType>,
    pub pull: Option<u64>,
}

impl Filter {
    /// Reads the parameters; empty ones ask for nothing. An error says which one is no good.
    pub fn parse(query: &Query) -> Result<Self, String> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = given(&query.state)
            .map(|text| {
                let known = ProwJobState::ALL
                    .into_iter()
                    .find(|state| state.as_str() == text);
                known.ok_or_else(|| format!("There is no state “{text}”."))
            })
            .transpose()?;
        let kind = given(&query.kind)
            .map(|text| parse_kind(&text))
            .transpose()?;
        let pull = given(&query.pull)
            .map(|text| {
                let number = text.trim_start_matches('#').parse();
                number.map_err(|_| format!("“{text}” is no pull request number."))
            })
            .transpose()?;
        Ok(Self {
            repo: given(&query.repo),
            job: given(&query.job).map(Pattern::new),
            author: given(&query.author),
            state,
            kind,
            pull,
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn matches(&self, job: &Job) -> bool {
        self.state.is_none_or(|state| state == job.state) && self.matches_but_state(job)
    }

    pub fn matches_but_state(&self, job: &Job) -> bool {
        let holds =
            |wanted: &Option<String>, has: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(has);
        self.kind.is_none_or(|kind| kind == job.kind)
            && self
                .pull
                .is_none_or(|number| job.pulls.iter().any(|pull| pull.number == number))
            && holds(&self.repo, &|repo| {
                job.repos.iter().any(|has| has.as_ref() == repo)
            })
            && holds(&self.author, &|author| {
                job.pulls.iter().any(|pull| pull.author.as_ref() == author)
            })
            && self
                .job
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&job.job))
    }
}

fn parse_kind(text: &str) -> Result<ProwJobType, String> {
    [
        ProwJobType::Presubmit,
        ProwJobType::Postsubmit,
        ProwJobType::Periodic,
        ProwJobType::Batch,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == text)
    .ok_or_else(|| format!("There is no type “{text}”."))
}

/// A job's name with `*` for any characters and `?` for any one, matched as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name, if only one can match.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In time linear in both for each `*`: only the last one is ever tried again.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while seen < name.len() {
            match (pattern.get(at), star) {
                (Some(b'*'), _) => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                (Some(wanted), _) if *wanted == b'?' || *wanted == name[seen] => {
                    at += 1;
                    seen += 1;
                }
                (_, Some((after, from))) => {
                    star = Some((after, from + 1));
                    (at, seen) = (after, from + 1);
                }
                (_, None) => return false,
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("unit", "unit", true),
            ("unit", "unit-2", false),
            ("pull-*-unit", "pull-kube-unit", true),
            ("pull-*-unit", "pull-kube-unit-2", false),
            ("*unit*", "x-unit-y", true),
            ("*", "", true),
            ("", "x", false),
            ("a*b*c", "a-b-b-c", true),
            ("v?", "v1", true),
            ("v?", "v", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (query, says) in [
            (
                Query {
                    state: "green".into(),
                    ..Query::default()
                },
                "no state “green”",
            ),
            (
                Query {
                    kind: "nightly".into(),
                    ..Query::default()
                },
                "no type “nightly”",
            ),
            (
                Query {
                    pull: "seven".into(),
                    ..Query::default()
                },
                "“seven” is no pull request",
            ),
        ] {
            let error = Filter::parse(&query).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let blank = Query {
            repo: " ".into(),
            ..Query::default()
        };
        assert!(Filter::parse(&blank).unwrap().is_empty());
        let pull = Query {
            pull: "#7".into(),
            ..Query::default()
        };
        assert_eq!(Filter::parse(&pull).unwrap().pull, Some(7));
    }
}
