//! Holds the configuration that the services read.
//!
//! `Agent` reads once at the start. Services take a `watch::Receiver` and borrow the value once
//! an event, so that a later reload reaches them without a change.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, Errors, Options};

/// Keeps the configuration published for as long as it lives.
#[derive(Debug)]
pub struct Agent {
    sender: watch::Sender<Arc<Config>>,
}

impl Agent {
    /// Reads the configuration; a first reading that fails is final.
    pub fn start(options: &Options) -> Result<(Self, watch::Receiver<Arc<Config>>), Errors> {
        Ok(Self::fixed(Config::load(options)?))
    }

    /// Publishes a configuration that was made otherwise.
    pub fn fixed(config: Config) -> (Self, watch::Receiver<Arc<Config>>) {
        let (sender, receiver) = watch::channel(Arc::new(config));
        (Self { sender }, receiver)
    }

    /// Replaces the configuration for every receiver.
    pub fn publish(&self, config: Config) {
        self.sender.send_replace(Arc::new(config));
    }

    /// The present configuration.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.sender.borrow())
    }
}
