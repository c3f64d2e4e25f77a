//! hook's metrics, under Prow's names.
//!
//! The counters are exported as gauges: the text format would append `_total` to a counter's
//! name, and dashboards look for the names that Prow uses.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct HookMetrics(Arc<HookMetricFamilies>);

#[derive(Debug)]
struct HookMetricFamilies {
    webhooks: Family<WebhookEventLabel, Gauge>,
    answers: Family<ResponseCodeLabel, Gauge>,
    durations: Family<PluginHandleLabels, Histogram, fn() -> Histogram>,
    errors: Family<PluginHandleLabels, Gauge>,
    deliveries: Family<DeliveryOutcomeLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookEventLabel {
    event_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseCodeLabel {
    response_code: u16,
}

/// Labels of one plugin's work on one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PluginHandleLabels {
    pub(crate) event_type: String,
    /// `none` for events without an action.
    pub(crate) action: String,
    pub(crate) plugin: &'static str,
    /// Whether anything was changed, on GitHub or in the cluster.
    pub(crate) took_action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryOutcomeLabel {
    outcome: &'static str,
}

impl HookMetrics {
    pub fn new(registry: &mut Registry) -> Self {
        let families = HookMetricFamilies {
            webhooks: Family::default(),
            answers: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.005, 2.0, 18))
            }),
            errors: Family::default(),
            deliveries: Family::default(),
        };
        registry.register(
            "prow_webhook_counter",
            "Deliveries with a good signature",
            families.webhooks.clone(),
        );
        registry.register(
            "prow_webhook_response_codes",
            "Answers to deliveries",
            families.answers.clone(),
        );
        registry.register(
            "prow_plugin_handle_duration_seconds",
            "How long plugins worked on an event",
            families.durations.clone(),
        );
        registry.register(
            "prow_plugin_handle_errors",
            "Events that a plugin failed on",
            families.errors.clone(),
        );
        registry.register(
            "prow_hook_deliveries",
            "How attempts at deliveries ended",
            families.deliveries.clone(),
        );
        Self(Arc::new(families))
    }

    pub(crate) fn count_webhook(&self, event_type: &str) {
        let label = WebhookEventLabel {
            event_type: event_type.to_owned(),
        };
        self.0.webhooks.get_or_create(&label).inc();
    }

    pub(crate) fn count_response(&self, status: StatusCode) {
        let label = ResponseCodeLabel {
            response_code: status.as_u16(),
        };
        self.0.answers.get_or_create(&label).inc();
    }

    pub(crate) fn observe_plugin_handle(
        &self,
        labels: &PluginHandleLabels,
        took: Duration,
        failed: bool,
    ) {
        let durations = self.0.durations.get_or_create(labels);
        durations.observe(took.as_secs_f64());
        if failed {
            self.0.errors.get_or_create(labels).inc();
        }
    }

    /// `outcome` is `done`, `retry`, `failed` or `dead`.
    pub(crate) fn count_attempt(&self, outcome: &'static str) {
        self.0
            .deliveries
            .get_or_create(&DeliveryOutcomeLabel { outcome })
            .inc();
    }
}
