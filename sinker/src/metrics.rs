//! Prow's metrics of sinker, under Prow's names. Gauges describe the last cleanup; those by reason
//! describe the last one that deleted, or failed to delete, something of their kind.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    pub(crate) reason: String,
}

/// Handles to the metrics; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SinkerMetrics {
    pub(crate) pods_existing: Gauge,
    pub(crate) loop_duration: Gauge<f64, AtomicU64>,
    pub(crate) pods_removed: Family<ReasonLabels, Gauge>,
    pub(crate) pod_removal_errors: Family<ReasonLabels, Gauge>,
    pub(crate) prow_jobs_existing: Gauge,
    pub(crate) prow_jobs_cleaned: Family<ReasonLabels, Gauge>,
    pub(crate) prow_jobs_cleaning_errors: Family<ReasonLabels, Gauge>,
}

impl SinkerMetrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "sinker_pods_existing",
            "Number of the existing pods in each sinker cleaning",
            metrics.pods_existing.clone(),
        );
        registry.register(
            "sinker_loop_duration_seconds",
            "Time used in each sinker cleaning",
            metrics.loop_duration.clone(),
        );
        registry.register(
            "sinker_pods_removed",
            "Number of pods removed in each sinker cleaning",
            metrics.pods_removed.clone(),
        );
        registry.register(
            "sinker_pod_removal_errors",
            "Number of errors which occurred in each sinker pod cleaning",
            metrics.pod_removal_errors.clone(),
        );
        registry.register(
            "sinker_prow_jobs_existing",
            "Number of the existing prow jobs in each sinker cleaning",
            metrics.prow_jobs_existing.clone(),
        );
        registry.register(
            "sinker_prow_jobs_cleaned",
            "Number of prow jobs cleaned in each sinker cleaning",
            metrics.prow_jobs_cleaned.clone(),
        );
        registry.register(
            "sinker_prow_jobs_cleaning_errors",
            "Number of errors which occurred in each sinker prow job cleaning",
            metrics.prow_jobs_cleaning_errors.clone(),
        );
        metrics
    }
}
