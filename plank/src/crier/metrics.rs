//! Prow's metrics of reports. The counter is exported as a gauge, to keep Prow's name.

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Seconds.
const BUCKETS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0,
];

#[derive(Clone, Debug)]
pub struct Metrics {
    latency: Family<Reporter, Histogram>,
    results: Family<Outcome, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reporter {
    reporter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    reporter: &'static str,
    result: &'static str,
}

impl Metrics {
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            latency: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            results: Family::default(),
        };
        registry.register(
            "crier_report_latency",
            "Seconds from a job's completion to its report",
            metrics.latency.clone(),
        );
        registry.register(
            "crier_reporting_results",
            "Reports by reporter and result",
            metrics.results.clone(),
        );
        metrics
    }

    /// `completed` is when the job ended, if it has.
    pub(super) fn reported(
        &self,
        reporter: &'static str,
        completed: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.count(reporter, "SUCCESS");
        if let Some(completed) = completed {
            let seconds = now.duration_since(completed).as_secs_f64();
            self.latency
                .get_or_create(&Reporter { reporter })
                .observe(seconds);
        }
    }

    pub(super) fn failed(&self, reporter: &'static str) {
        self.count(reporter, "ERROR");
    }

    fn count(&self, reporter: &'static str, result: &'static str) {
        let outcome = Outcome { reporter, result };
        self.results.get_or_create(&outcome).inc();
    }
}
