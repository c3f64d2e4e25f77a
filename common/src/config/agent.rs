//! Holds the configuration that the services read, and keeps it up to date.
//!
//! ```text
//! files ─ notify, and a look each second ─► Source::load ─► watch::Receiver<Arc<…>>
//!                                              └ an error ─► LoadStatus; the last good one stays
//! ```
//!
//! Services take a [`watch::Receiver`] and borrow the value once an event. What the files mean is
//! the [`Source`]'s alone: `config.yaml` with its jobs and `plugins.yaml` are kept alike.

mod follow;
mod source;
mod status;

use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, Errors, Loader, Options};
use follow::Follower;

pub use source::{Files, Source};
pub(super) use source::{Look, Stamps};
pub use status::{LoadFailure, LoadMetrics, LoadStatus};

/// Keeps a configuration published, and up to date for as long as the agent lives. The last
/// value stays published after that.
#[derive(Debug)]
pub struct Agent<V = Config> {
    outlet: Arc<Outlet<V>>,
    /// Ends with the agent; `None` for a configuration that was not read from files.
    _follower: Option<Follower>,
}

/// Where what was read goes.
#[derive(Debug)]
struct Outlet<V> {
    value: watch::Sender<Arc<V>>,
    status: watch::Sender<LoadStatus>,
}

impl Agent {
    /// Reads the configuration that `options` name and follows its files; a first reading that
    /// fails is final.
    pub fn start(
        options: &Options,
        metrics: &LoadMetrics,
    ) -> Result<(Self, watch::Receiver<Arc<Config>>), Errors> {
        Self::follow("config", Loader::new(options.clone()), metrics)
    }
}

impl<V: Send + Sync + 'static> Agent<V> {
    /// Reads `source` and goes on reading it whenever its files change. `what` names the
    /// configuration in logs and metrics.
    pub fn follow(
        what: &'static str,
        mut source: impl Source<Value = V>,
        metrics: &LoadMetrics,
    ) -> Result<(Self, watch::Receiver<Arc<V>>), Errors> {
        let (mut agent, receiver) = Self::holding(source.load()?);
        let outlet = Arc::clone(&agent.outlet);
        let reader = status::Reader::new(what, metrics);
        agent._follower = Some(Follower::start(source, move |result| {
            outlet.take(result, &reader);
        }));
        Ok((agent, receiver))
    }

    /// Publishes a configuration that was made otherwise.
    pub fn fixed(value: V) -> (Self, watch::Receiver<Arc<V>>) {
        Self::holding(Arc::new(value))
    }

    fn holding(value: Arc<V>) -> (Self, watch::Receiver<Arc<V>>) {
        let (value, receiver) = watch::channel(value);
        let (status, _) = watch::channel(LoadStatus::default());
        let agent = Self {
            outlet: Arc::new(Outlet { value, status }),
            _follower: None,
        };
        (agent, receiver)
    }

    /// Replaces the configuration for every receiver.
    pub fn publish(&self, value: V) {
        self.outlet.value.send_replace(Arc::new(value));
    }

    /// The present configuration.
    pub fn config(&self) -> Arc<V> {
        Arc::clone(&self.outlet.value.borrow())
    }

    /// When the configuration was read, and what is wrong with the files since.
    pub fn status(&self) -> watch::Receiver<LoadStatus> {
        self.outlet.status.subscribe()
    }
}

impl<V> Outlet<V> {
    /// A good reading is published; a bad one leaves what is there in force.
    fn take(&self, result: Result<Arc<V>, Errors>, reader: &status::Reader) {
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
            .send_if_modified(|status| reader.tell(status, error));
    }
}

#[cfg(test)]
mod tests;
