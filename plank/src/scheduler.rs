//! Chooses the build cluster of a job in state `scheduling`, by Prow's three strategies.
//!
//! `failover.mappings` where it is set, else `external`, else the job's own cluster. Only a name is
//! chosen; whether the cluster exists shows when the job starts.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use common::{config::SchedulerConfig, prowjob::ProwJob};
use serde::Deserialize;
use serde_json::json;

/// Tekton's agent, the other one whose jobs have pods; another controller makes them.
const TEKTON: &str = "tekton-pipeline";
/// How long to wait for an answer of the external scheduler.
const SCHEDULER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that are read of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// Most answers kept. Beyond it all are dropped, which costs one request each.
const MAX_ANSWERS: usize = 10_000;

/// Chooses clusters, and caches the answers of an external scheduler.
#[derive(Debug, Default)]
pub(crate) struct ClusterScheduler {
    http: reqwest::Client,
    answers: Mutex<HashMap<SchedulingRequest, (Instant, String)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SchedulingRequest {
    url: String,
    job: String,
}

#[derive(Debug, Deserialize)]
struct SchedulingResponse {
    cluster: String,
}

/// What the configuration alone decides.
#[derive(Debug, PartialEq, Eq)]
enum ClusterChoice<'a> {
    Cluster(&'a str),
    Ask(&'a str),
}

fn configured_choice<'a>(section: &'a SchedulerConfig, job: &'a ProwJob) -> ClusterChoice<'a> {
    let own = job.spec.cluster_alias();
    // Other agents have no pods that could go elsewhere.
    if !job.spec.agent.is_kubernetes() && job.spec.agent.0 != TEKTON {
        return ClusterChoice::Cluster(own);
    }
    if let Some(failover) = &section.failover {
        let mapped = failover.mappings.get(own);
        return ClusterChoice::Cluster(mapped.map_or(own, String::as_str));
    }
    match &section.external {
        Some(external) => ClusterChoice::Ask(&external.url),
        None => ClusterChoice::Cluster(own),
    }
}

impl ClusterScheduler {
    /// The cluster for this job; its own if the external scheduler does not answer.
    pub(crate) async fn choose_cluster(&self, section: &SchedulerConfig, job: &ProwJob) -> String {
        let url = match configured_choice(section, job) {
            ClusterChoice::Cluster(cluster) => return cluster.to_owned(),
            ClusterChoice::Ask(url) => url,
        };
        let question = SchedulingRequest {
            url: url.to_owned(),
            job: job.spec.job.clone(),
        };
        let kept = section.external.clone().unwrap_or_default().cache;
        let kept = Duration::from_nanos(kept.entry_timeout().as_nanos().try_into().unwrap_or(0));
        if let Some(cluster) = self.cached_cluster(&question, kept) {
            return cluster;
        }
        match self.query_scheduler(&question).await {
            Ok(cluster) => {
                self.cache_cluster(question, &cluster);
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

    async fn query_scheduler(&self, question: &SchedulingRequest) -> anyhow::Result<String> {
        let body = json!({"job": question.job});
        let request = self
            .http
            .post(&question.url)
            .timeout(SCHEDULER_TIMEOUT)
            .json(&body);
        let mut response = request.send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            anyhow::ensure!(
                bytes.len() <= MAX_ANSWER,
                "an answer of over {MAX_ANSWER} bytes"
            );
        }
        let answer: SchedulingResponse = serde_json::from_slice(&bytes)?;
        anyhow::ensure!(!answer.cluster.is_empty(), "the answer names no cluster");
        Ok(answer.cluster)
    }

    fn cached_cluster(&self, question: &SchedulingRequest, kept: Duration) -> Option<String> {
        let answers = self.answers.lock().expect("nothing panics under this lock");
        let (since, cluster) = answers.get(question)?;
        (since.elapsed() < kept).then(|| cluster.clone())
    }

    fn cache_cluster(&self, question: SchedulingRequest, cluster: &str) {
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
        let section = |json| serde_json::from_value::<SchedulerConfig>(json).unwrap();
        let both = json!({"failover": {"mappings": {"a": "b"}}, "external": {"url": "http://s"}});
        for (name, section, choice) in [
            (
                "nothing is configured",
                json!({}),
                ClusterChoice::Cluster("a"),
            ),
            ("its cluster is mapped", both, ClusterChoice::Cluster("b")),
            (
                "another is mapped",
                json!({"failover": {"mappings": {"x": "b"}}}),
                ClusterChoice::Cluster("a"),
            ),
            (
                "somebody is to be asked",
                json!({"external": {"url": "http://s"}}),
                ClusterChoice::Ask("http://s"),
            ),
        ]
        .map(|(name, json, choice)| (name, section(json), choice))
        {
            assert_eq!(super::configured_choice(&section, &job), choice, "{name}");
        }
        job.spec.agent = ProwJobAgent("jenkins".into());
        for other in [
            json!({"external": {"url": "http://s"}}),
            json!({"failover": {"mappings": {"a": "b"}}}),
        ] {
            let name = other.to_string();
            let section = section(other);
            assert_eq!(
                super::configured_choice(&section, &job),
                ClusterChoice::Cluster("a"),
                "{name}"
            );
        }
    }
}
