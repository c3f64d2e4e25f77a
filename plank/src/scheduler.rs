//! Which build cluster a job of state `scheduling` goes to: Prow's three strategies.
//!
//! `failover.mappings` where it is set, else `external`, else the job's own cluster. It chooses
//! among names; whether the cluster is there is seen when the job starts.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use common::{config::Scheduler as Section, prowjob::ProwJob};
use serde::Deserialize;
use serde_json::json;

/// The other agent whose jobs have pods, which another controller makes.
const TEKTON: &str = "tekton-pipeline";
/// For an answer of the external scheduler.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// Answers kept; beyond it all are forgotten, which costs a question each.
const MAX_ANSWERS: usize = 10_000;

/// Chooses clusters, and remembers what an external scheduler said.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    http: reqwest::Client,
    answers: Mutex<HashMap<Question, (Instant, String)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    url: String,
    job: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    cluster: String,
}

/// What the configuration alone says.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'a> {
    Cluster(&'a str),
    Ask(&'a str),
}

fn choice<'a>(section: &'a Section, job: &'a ProwJob) -> Choice<'a> {
    let own = job.spec.cluster_alias();
    // Other agents have no pods that could go elsewhere.
    if !job.spec.agent.is_kubernetes() && job.spec.agent.0 != TEKTON {
        return Choice::Cluster(own);
    }
    if let Some(failover) = &section.failover {
        let mapped = failover.mappings.get(own);
        return Choice::Cluster(mapped.map_or(own, String::as_str));
    }
    match &section.external {
        Some(external) => Choice::Ask(&external.url),
        None => Choice::Cluster(own),
    }
}

impl Scheduler {
    /// The cluster for this job. A scheduler that does not answer leaves it where it is.
    pub(crate) async fn choose(&self, section: &Section, job: &ProwJob) -> String {
        let url = match choice(section, job) {
            Choice::Cluster(cluster) => return cluster.to_owned(),
            Choice::Ask(url) => url,
        };
        let question = Question {
            url: url.to_owned(),
            job: job.spec.job.clone(),
        };
        let kept = section.external.clone().unwrap_or_default().cache;
        let kept = Duration::from_nanos(kept.entry_timeout().nanos().try_into().unwrap_or(0));
        if let Some(cluster) = self.remembered(&question, kept) {
            return cluster;
        }
        match self.ask(&question).await {
            Ok(cluster) => {
                self.remember(question, &cluster);
                cluster
            }
            Err(error) => {
                tracing::warn!(
                    prowjob = job.metadata.name,
                    job = job.spec.job,
                    "the external scheduler gives no cluster, the job's own stays: {error:#}"
                );
                job.spec.cluster_alias().to_owned()
            }
        }
    }

    async fn ask(&self, question: &Question) -> anyhow::Result<String> {
        let body = json!({"job": question.job});
        let request = self.http.post(&question.url).timeout(PATIENCE).json(&body);
        let mut response = request.send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            anyhow::ensure!(
                bytes.len() <= MAX_ANSWER,
                "an answer of over {MAX_ANSWER} bytes"
            );
        }
        let answer: Answer = serde_json::from_slice(&bytes)?;
        anyhow::ensure!(!answer.cluster.is_empty(), "the answer names no cluster");
        Ok(answer.cluster)
    }

    fn remembered(&self, question: &Question, kept: Duration) -> Option<String> {
        let answers = self.answers.lock().expect("nothing panics under this lock");
        let (since, cluster) = answers.get(question)?;
        (since.elapsed() < kept).then(|| cluster.clone())
    }

    fn remember(&self, question: Question, cluster: &str) {
        let mut answers = self.answers.lock().expect("nothing panics under this lock");
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(question, (Instant::now(), cluster.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJobAgent;

    use super::*;

    #[test]
    fn failover_goes_before_external_and_both_before_the_jobs_own() {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.agent = ProwJobAgent::kubernetes();
        job.spec.cluster = "a".into();
        let section = |json| serde_json::from_value::<Section>(json).unwrap();
        let both = json!({"failover": {"mappings": {"a": "b"}}, "external": {"url": "http://s"}});
        for (name, section, choice) in [
            ("nothing is configured", json!({}), Choice::Cluster("a")),
            ("its cluster is mapped", both, Choice::Cluster("b")),
            (
                "another is mapped",
                json!({"failover": {"mappings": {"x": "b"}}}),
                Choice::Cluster("a"),
            ),
            (
                "somebody is to be asked",
                json!({"external": {"url": "http://s"}}),
                Choice::Ask("http://s"),
            ),
        ]
        .map(|(name, json, choice)| (name, section(json), choice))
        {
            assert_eq!(super::choice(&section, &job), choice, "{name}");
        }
        job.spec.agent = ProwJobAgent("jenkins".into());
        for other in [
            json!({"external": {"url": "http://s"}}),
            json!({"failover": {"mappings": {"a": "b"}}}),
        ] {
            let name = other.to_string();
            let section = section(other);
            assert_eq!(
                super::choice(&section, &job),
                Choice::Cluster("a"),
                "{name}"
            );
        }
    }
}
