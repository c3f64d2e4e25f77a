//! The filter of a list of jobs.

use common::prowjob::{ProwJobState, ProwJobType};
use serde::Deserialize;

use super::job::IndexedJob;
use super::pattern::JobPattern;

/// Prow's query parameters, not yet parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobListQuery {
    pub repo: String,
    pub job: String,
    pub author: String,
    pub state: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub pull: String,
}

/// The conditions of a filter; all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// `org/repo` of the job itself or of its extra refs.
    pub repo: Option<String>,
    pub job: Option<JobPattern>,
    pub author: Option<String>,
    pub state: Option<ProwJobState>,
    pub kind: Option<ProwJobType>,
    pub pull: Option<u64>,
}

impl JobFilter {
    /// Parses the parameters; empty ones set no condition. An error names the invalid one.
    pub fn parse_query(query: &JobListQuery) -> Result<Self, String> {
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
            job: given(&query.job)
                .map(|text| JobPattern::parse(&text))
                .transpose()?,
            author: given(&query.author),
            state,
            kind,
            pull,
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn matches_job(&self, job: &IndexedJob) -> bool {
        self.state.is_none_or(|state| state == job.state) && self.matches_but_state(job)
    }

    pub fn matches_but_state(&self, job: &IndexedJob) -> bool {
        let pattern = self.job.as_ref();
        pattern.is_none_or(|pattern| pattern.matches_name(&job.job))
            && self.matches_but_state_and_name(job)
    }

    /// The conditions that are cheap to check.
    pub(super) fn matches_but_state_and_name(&self, job: &IndexedJob) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (query, says) in [
            (
                JobListQuery {
                    state: "green".into(),
                    ..JobListQuery::default()
                },
                "no state “green”",
            ),
            (
                JobListQuery {
                    kind: "nightly".into(),
                    ..JobListQuery::default()
                },
                "no type “nightly”",
            ),
            (
                JobListQuery {
                    pull: "seven".into(),
                    ..JobListQuery::default()
                },
                "“seven” is no pull request",
            ),
            (
                JobListQuery {
                    job: "*".repeat(60_000),
                    ..JobListQuery::default()
                },
                "at most 256 bytes",
            ),
        ] {
            let error = JobFilter::parse_query(&query).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let blank = JobListQuery {
            repo: " ".into(),
            ..JobListQuery::default()
        };
        assert!(JobFilter::parse_query(&blank).unwrap().is_empty());
        let pull = JobListQuery {
            pull: "#7".into(),
            ..JobListQuery::default()
        };
        assert_eq!(JobFilter::parse_query(&pull).unwrap().pull, Some(7));
    }
}
