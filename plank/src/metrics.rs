//! Prow's metrics of jobs, kept up to date from the watch instead of by listing.
//!
//! The counter is exported as a gauge: the text format would append `_total` to a counter's
//! name, and dashboards know Prow's.

use std::collections::HashMap;

use common::prowjob::{ProwJob, ProwJobState, labels};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    prowjobs: Family<Labels, Gauge>,
    transitions: Family<Labels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    job_namespace: String,
    job_name: String,
    r#type: String,
    state: &'static str,
    org: String,
    repo: String,
    base_ref: String,
    cluster: String,
    retest: String,
}

impl Labels {
    fn of(job: &ProwJob) -> Self {
        let refs = job.spec.main_refs().cloned().unwrap_or_default();
        let labels = job.metadata.labels.as_ref();
        let retest = labels.and_then(|labels| labels.get(labels::RETEST));
        Self {
            job_namespace: job.metadata.namespace.clone().unwrap_or_default(),
            job_name: job.spec.job.clone(),
            r#type: job.spec.job_type.to_string(),
            state: job.state().as_str(),
            org: refs.org,
            repo: refs.repo,
            base_ref: refs.base_ref,
            cluster: job.spec.cluster_alias().to_owned(),
            retest: retest.is_some_and(|value| value == "true").to_string(),
        }
    }
}

/// What makes a transition one that was not counted yet.
fn step(job: &ProwJob) -> (ProwJobState, Option<&str>) {
    let build_id = job.status.as_ref().map(|status| status.build_id.as_str());
    (job.state(), build_id)
}

impl Metrics {
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "prowjobs",
            "Number of prowjobs in the system",
            metrics.prowjobs.clone(),
        );
        registry.register(
            "prowjob_state_transitions",
            "Number of prowjobs transitioning states",
            metrics.transitions.clone(),
        );
        metrics
    }

    /// A job came, went or changed.
    pub(crate) fn changed(&self, before: Option<&ProwJob>, after: Option<&ProwJob>) {
        if let Some(after) = after {
            if before.is_none_or(|before| step(before) != step(after)) {
                self.transitions.get_or_create(&Labels::of(after)).inc();
            }
            self.prowjobs.get_or_create(&Labels::of(after)).inc();
        }
        if let Some(before) = before {
            let labels = Labels::of(before);
            if self.prowjobs.get_or_create(&labels).dec() == 1 {
                self.prowjobs.remove(&labels);
            }
        }
    }

    /// All jobs were listed anew.
    pub(crate) fn listed<'a>(&self, jobs: impl Iterator<Item = &'a ProwJob>) {
        let mut counts: HashMap<Labels, i64> = HashMap::new();
        for job in jobs {
            *counts.entry(Labels::of(job)).or_default() += 1;
        }
        self.prowjobs.clear();
        for (labels, count) in counts {
            self.prowjobs.get_or_create(&labels).set(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJobStatus;
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn job(state: ProwJobState) -> ProwJob {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.job = "unit".into();
        job.status = Some(ProwJobStatus {
            state,
            ..ProwJobStatus::default()
        });
        job
    }

    #[test]
    fn counts_states_and_leaves_no_zeroes() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let (triggered, pending) = (job(ProwJobState::Triggered), job(ProwJobState::Pending));
        metrics.changed(None, Some(&triggered));
        metrics.changed(Some(&triggered), Some(&pending));
        metrics.changed(Some(&pending), Some(&pending));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let lines = |state: &str| {
            text.lines()
                .filter(|l| l.contains(state))
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("state=\"triggered\"").len(), 1, "{text}");
        assert!(
            lines("state=\"pending\"")
                .iter()
                .all(|line| line.ends_with(" 1")),
            "{text}"
        );
    }
}
