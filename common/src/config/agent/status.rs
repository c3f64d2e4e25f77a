//! How reading went: for logs, for metrics, for people who look at Deck.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::config::ConfigErrors;

/// How the newest readings of a configuration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadStatus {
    /// When the configuration that is in force was read.
    pub loaded_at: Timestamp,
    /// What is wrong with the files as they are now; `None`: they are in force.
    pub failure: Option<LoadFailure>,
}

/// Files that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// When a reading first failed since the last good one.
    pub since: Timestamp,
    pub errors: Arc<ConfigErrors>,
}

impl Default for LoadStatus {
    /// Read just now.
    fn default() -> Self {
        Self {
            loaded_at: Timestamp::now(),
            failure: None,
        }
    }
}

/// Failed readings since the start, by what was read.
#[derive(Clone, Debug, Default)]
pub struct LoadMetrics {
    failures: Family<[(&'static str, &'static str); 1], Counter>,
}

impl LoadMetrics {
    /// Makes the metrics and has `registry` show them.
    pub fn register_metrics(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // The text format appends `_total`.
        registry.register(
            "prow_config_load_failures",
            "Readings of the configuration that failed, so that the last good one stayed in force",
            metrics.failures.clone(),
        );
        metrics
    }
}

/// Tells how readings of one configuration end.
#[derive(Debug)]
pub(super) struct LoadStatusReporter {
    what: &'static str,
    failures: Counter,
}

impl LoadStatusReporter {
    pub(super) fn new(what: &'static str, metrics: &LoadMetrics) -> Self {
        Self {
            what,
            failures: metrics.failures.get_or_create(&[("what", what)]).clone(),
        }
    }

    /// Brings `status` up to date after a reading; whether it is another one now. One line is
    /// logged for each change, not for each reading that fails in the same way.
    pub(super) fn update_status(
        &self,
        status: &mut LoadStatus,
        errors: Option<ConfigErrors>,
    ) -> bool {
        let what = self.what;
        let Some(errors) = errors else {
            match status.failure.take() {
                Some(_) => tracing::info!(what, "the configuration is mended and in force"),
                None => tracing::info!(what, "the configuration was read again"),
            }
            status.loaded_at = Timestamp::now();
            return true;
        };
        self.failures.inc();
        let before = status.failure.as_ref();
        if before.is_some_and(|failure| *failure.errors == errors) {
            return false;
        }
        tracing::error!(
            what,
            error = %errors,
            "the configuration cannot be used, the last good one stays in force"
        );
        status.failure = Some(LoadFailure {
            since: before.map_or_else(Timestamp::now, |failure| failure.since),
            errors: Arc::new(errors),
        });
        true
    }
}
