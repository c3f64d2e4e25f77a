//! Prow's metrics of Deck. The label `user_agent` is left out: it has unlimited values.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    /// The route, never the requested path.
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) status: u16,
}

type RequestHistograms = Family<RequestLabels, Histogram, fn() -> Histogram>;

/// Handles on the metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct DeckMetrics {
    duration: RequestHistograms,
    size: RequestHistograms,
}

fn duration_histogram() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

fn size_histogram() -> Histogram {
    Histogram::new([
        16_384.0,
        32_768.0,
        65_536.0,
        131_072.0,
        262_144.0,
        1_048_576.0,
        16_777_216.0,
    ])
}

impl DeckMetrics {
    /// Registers the metrics that `/metrics` shows.
    pub fn register_metrics(registry: &mut Registry) -> Self {
        let metrics = Self {
            duration: Family::new_with_constructor(duration_histogram as fn() -> Histogram),
            size: Family::new_with_constructor(size_histogram as fn() -> Histogram),
        };
        registry.register(
            "deck_http_request_duration_seconds",
            "Time until the head of an answer was ready",
            metrics.duration.clone(),
        );
        registry.register(
            "deck_http_response_size_bytes",
            "Size of an answer whose length is known before it leaves",
            metrics.size.clone(),
        );
        metrics
    }

    pub(crate) fn observe_request(
        &self,
        labels: &RequestLabels,
        took: Duration,
        size: Option<u64>,
    ) {
        self.duration
            .get_or_create(labels)
            .observe(took.as_secs_f64());
        if let Some(size) = size {
            self.size.get_or_create(labels).observe(size as f64);
        }
    }
}
