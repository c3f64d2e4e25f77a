//! Holds the configuration that the services read, and reloads it when its files change.
//!
//! ```text
//! files ─ notify, a poll each second ─► ReloadableConfig::load_config ─► watch::Receiver<Arc<…>>
//!                                         └ on error ─► LoadStatus; the last good value stays
//! ```
//!
//! Services take a [`watch::Receiver`] and borrow the value once per event. Only the
//! [`ReloadableConfig`] knows what the files mean: `plugins.yaml` is handled like `config.yaml`.

mod source;
mod status;
mod watcher;

use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, ConfigErrors, ConfigLoader, ConfigOptions};
use watcher::ConfigWatcher;

pub(super) use source::{FileStats, FileWatch};
pub use source::{ReloadableConfig, ReloadableFiles};
pub use status::{LoadFailure, LoadMetrics, LoadStatus};

/// Publishes a configuration and keeps it up to date for as long as the agent lives. The last
/// value stays published after that.
#[derive(Debug)]
pub struct ConfigAgent<V = Config> {
    outlet: Arc<ConfigPublisher<V>>,
    /// Stops with the agent; `None` for a configuration that was not read from files.
    _follower: Option<ConfigWatcher>,
}

/// Publishes the configuration and the status of its loads.
#[derive(Debug)]
struct ConfigPublisher<V> {
    value: watch::Sender<Arc<V>>,
    status: watch::Sender<LoadStatus>,
}

impl ConfigAgent {
    /// Loads the configuration that `options` name and watches its files. If the first load
    /// fails, nothing is watched.
    pub fn watch_config(
        options: &ConfigOptions,
        metrics: &LoadMetrics,
    ) -> Result<(Self, watch::Receiver<Arc<Config>>), ConfigErrors> {
        Self::watch_source("config", ConfigLoader::new(options.clone()), metrics)
    }
}

impl<V: Send + Sync + 'static> ConfigAgent<V> {
    /// Loads `source`, and again whenever its files change. `what` names the configuration in
    /// logs and metrics.
    pub fn watch_source(
        what: &'static str,
        mut source: impl ReloadableConfig<Value = V>,
        metrics: &LoadMetrics,
    ) -> Result<(Self, watch::Receiver<Arc<V>>), ConfigErrors> {
        let (mut agent, receiver) = Self::with_config(source.load_config()?);
        let outlet = Arc::clone(&agent.outlet);
        let reader = status::LoadStatusReporter::new(what, metrics);
        agent._follower = Some(ConfigWatcher::start_thread(source, move |result| {
            outlet.publish_result(result, &reader);
        }));
        Ok((agent, receiver))
    }

    /// Publishes a configuration that does not come from files.
    pub fn with_fixed_config(value: V) -> (Self, watch::Receiver<Arc<V>>) {
        Self::with_config(Arc::new(value))
    }

    fn with_config(value: Arc<V>) -> (Self, watch::Receiver<Arc<V>>) {
        let (value, receiver) = watch::channel(value);
        let (status, _) = watch::channel(LoadStatus::default());
        let agent = Self {
            outlet: Arc::new(ConfigPublisher { value, status }),
            _follower: None,
        };
        (agent, receiver)
    }

    /// Replaces the configuration for every receiver.
    pub fn set_config(&self, value: V) {
        self.outlet.value.send_replace(Arc::new(value));
    }

    /// The configuration that is in force.
    pub fn current_config(&self) -> Arc<V> {
        Arc::clone(&self.outlet.value.borrow())
    }

    /// When the configuration was loaded, and what is wrong with the files since.
    pub fn watch_status(&self) -> watch::Receiver<LoadStatus> {
        self.outlet.status.subscribe()
    }
}

impl<V> ConfigPublisher<V> {
    /// Publishes the value of a good load; after a failed one the last value stays in force.
    fn publish_result(
        &self,
        result: Result<Arc<V>, ConfigErrors>,
        reader: &status::LoadStatusReporter,
    ) {
        let error = match result {
            Ok(value) => {
                self.value.send_if_modified(|present| {
                    let new = !Arc::ptr_eq(present, &value);
                    *present = value;
                    new
                });
                None
            }
            Err(errors) => Some(errors),
        };
        self.status
            .send_if_modified(|status| reader.update_status(status, error));
    }
}

#[cfg(test)]
mod tests;
