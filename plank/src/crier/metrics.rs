//! Prow's metrics of reports. The counter is exported as a gauge, to keep Prow's name.

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// In seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0,
];

#[derive(Clone, Debug)]
pub struct CrierMetrics {
    latency: Family<ReporterLabels, Histogram>,
    results: Family<ReportResultLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReporterLabels {
    reporter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportResultLabels {
    reporter: &'static str,
    result: &'static str,
}

impl CrierMetrics {
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
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

    /// Counts a report. `completed` is when the job ended, if it has.
    pub(super) fn record_report(
        &self,
        reporter: &'static str,
        completed: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.count_result(reporter, "SUCCESS");
        if let Some(completed) = completed {
            let seconds = now.duration_since(completed).as_secs_f64();
            self.latency
                .get_or_create(&ReporterLabels { reporter })
                .observe(seconds);
        }
    }

    pub(super) fn record_failure(&self, reporter: &'static str) {
        self.count_result(reporter, "ERROR");
    }

    fn count_result(&self, reporter: &'static str, result: &'static str) {
        let outcome = ReportResultLabels { reporter, result };
        self.results.get_or_create(&outcome).inc();
    }
}
