//! How loads of a configuration ended: for logs, metrics and Deck.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::config::ConfigErrors;

/// How the latest loads of a configuration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadStatus {
    /// When the configuration that is in force was loaded.
    pub loaded_at: Timestamp,
    /// What is wrong with the files as they are now; `None`: they are in force.
    pub failure: Option<LoadFailure>,
}

/// Files that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// When the first load failed after the last good one.
    pub since: Timestamp,
    pub errors: Arc<ConfigErrors>,
}

impl Default for LoadStatus {
    /// Loaded just now.
    fn default() -> Self {
        Self {
            loaded_at: Timestamp::now(),
            failure: None,
        }
    }
}

/// Failed loads since the start, by what was loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadMetrics {
    failures: Family<[(&'static str, &'static str); 1], Counter>,
}

impl LoadMetrics {
    /// Makes the metrics and registers them in `registry`.
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

/// Reports how loads of one configuration end.
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

    /// Updates `status` after a load; returns whether it changed. Logs one line for each change,
    /// not for each load that fails in the same way.
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
