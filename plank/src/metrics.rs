//! Prow's metrics of jobs, kept up to date from the watch instead of by listing.
//!
//! The counter is exported as a gauge: the text format would append `_total` to a counter's name,
//! and dashboards know Prow's. Of a finished job only the labels it is counted under are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use common::prowjob::{ProwJob, labels};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, Default)]
pub struct PlankMetrics {
    prowjobs: Family<ProwJobMetricLabels, Gauge>,
    transitions: Family<ProwJobMetricLabels, Gauge>,
    known: Arc<Mutex<CountedJobs>>,
}

#[derive(Debug, Default)]
struct CountedJobs {
    jobs: HashMap<Box<str>, CountedJob>,
    /// The number of jobs by labels; equal labels are stored once.
    counts: HashMap<Arc<ProwJobMetricLabels>, i64>,
    /// The first listing is over: every change from now on is a transition.
    listed: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct CountedJob {
    labels: Arc<ProwJobMetricLabels>,
    /// The build id of an unfinished job: a new one is a transition of its own.
    build_id: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProwJobMetricLabels {
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

impl ProwJobMetricLabels {
    fn from_job(job: &ProwJob) -> Self {
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

impl PlankMetrics {
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

    fn lock_counts(&self) -> MutexGuard<'_, CountedJobs> {
        self.known.lock().expect("nothing panics under this lock")
    }

    /// Counts a job that is new or has changed.
    pub(crate) fn observe_job(&self, job: &ProwJob) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let labels = ProwJobMetricLabels::from_job(job);
        let mut known = self.lock_counts();
        let before = known.jobs.get(name);
        let build_id = job.status.as_ref().map(|status| status.build_id.as_str());
        let build_id = build_id.filter(|id| !id.is_empty() && !job.is_complete());
        let same = before.is_some_and(|before| {
            *before.labels == labels
                && (build_id.is_none() || before.build_id.as_deref() == build_id)
        });
        if same {
            return;
        }
        if known.listed {
            self.transitions.get_or_create(&labels).inc();
        }
        self.uncount_job(&mut known, name);
        let labels = match known.counts.get_key_value(&labels) {
            Some((labels, _)) => Arc::clone(labels),
            None => Arc::new(labels),
        };
        let count = known.counts.entry(Arc::clone(&labels)).or_default();
        *count += 1;
        self.prowjobs.get_or_create(&labels).set(*count);
        let build_id = build_id.map(Box::from);
        known
            .jobs
            .insert(name.into(), CountedJob { labels, build_id });
    }

    /// Stops counting a deleted job.
    pub(crate) fn remove_job(&self, name: &str) {
        self.uncount_job(&mut self.lock_counts(), name);
    }

    /// Ends a listing: jobs that `is_there` does not know are gone.
    pub(crate) fn finish_listing(&self, is_there: impl Fn(&str) -> bool) {
        let mut known = self.lock_counts();
        known.listed = true;
        let gone = known.jobs.keys().filter(|name| !is_there(name));
        let gone: Vec<_> = gone.cloned().collect();
        for name in gone {
            self.uncount_job(&mut known, &name);
        }
    }

    fn uncount_job(&self, known: &mut CountedJobs, name: &str) {
        let Some(CountedJob { labels, .. }) = known.jobs.remove(name) else {
            return;
        };
        let count = known.counts.entry(Arc::clone(&labels)).or_default();
        *count -= 1;
        if *count == 0 {
            known.counts.remove(&labels);
            self.prowjobs.remove(&labels);
        } else {
            self.prowjobs.get_or_create(&labels).set(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::prowjob::{ProwJobState, ProwJobStatus};
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
        let metrics = PlankMetrics::new(&mut registry);
        let (triggered, pending) = (job(ProwJobState::Triggered), job(ProwJobState::Pending));
        let text = |what: &str| {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let lines = text.lines().filter(|line| line.contains(what));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        metrics.observe_job(&triggered);
        metrics.finish_listing(|_| true);
        assert_eq!(
            text("transitions{"),
            [""; 0],
            "what was there is no transition"
        );
        metrics.observe_job(&pending);
        metrics.observe_job(&pending);
        assert_eq!(text("state=\"triggered\""), [""; 0]);
        let pending = text("state=\"pending\"");
        assert_eq!(pending.len(), 2, "{pending:?}");
        assert!(
            pending.iter().all(|line| line.ends_with(" 1")),
            "{pending:?}"
        );
        metrics.remove_job("pj");
        assert_eq!(text("prowjobs{"), [""; 0]);
    }
}
