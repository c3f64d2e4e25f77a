//! Holds the configuration that the services read, and keeps it up to date.
//!
//! ```text
//! files ─ notify, and a look each second ─► Source::load ─► watch::Receiver<Arc<…>>
//!                                              └ an error ─► LoadStatus; the last good one stays
//! ```
//!
//! Services take a [`watch::Receiver`] and borrow the value once an event. What the files mean is
//! the [`ReloadableConfig`]'s alone: `config.yaml` with its jobs and `plugins.yaml` are kept alike.

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

/// Keeps a configuration published, and up to date for as long as the agent lives. The last
/// value stays published after that.
#[derive(Debug)]
pub struct ConfigAgent<V = Config> {
    outlet: Arc<ConfigPublisher<V>>,
    /// Ends with the agent; `None` for a configuration that was not read from files.
    _follower: Option<ConfigWatcher>,
}

/// Where what was read goes.
#[derive(Debug)]
struct ConfigPublisher<V> {
    value: watch::Sender<Arc<V>>,
    status: watch::Sender<LoadStatus>,
}

impl ConfigAgent {
    /// Reads the configuration that `options` name and follows its files; a first reading that
    /// fails is final.
    pub fn watch_config(
        options: &ConfigOptions,
        metrics: &LoadMetrics,
    ) -> Result<(Self, watch::Receiver<Arc<Config>>), ConfigErrors> {
        Self::watch_source("config", ConfigLoader::new(options.clone()), metrics)
    }
}

impl<V: Send + Sync + 'static> ConfigAgent<V> {
    /// Reads `source` and goes on reading it whenever its files change. `what` names the
    /// configuration in logs and metrics.
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

    /// Publishes a configuration that was made otherwise.
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

    /// The present configuration.
    pub fn current_config(&self) -> Arc<V> {
        Arc::clone(&self.outlet.value.borrow())
    }

    /// When the configuration was read, and what is wrong with the files since.
    pub fn watch_status(&self) -> watch::Receiver<LoadStatus> {
        self.outlet.status.subscribe()
    }
}

impl<V> ConfigPublisher<V> {
    /// A good reading is published; a bad one leaves what is there in force.
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
