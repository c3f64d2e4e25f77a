//! The configuration of a process: read at the start, followed until the end.

use std::sync::Arc;

use tokio::sync::watch;

use super::logging;
use crate::config::{Agent, Config, Errors, LoadMetrics, Options, ProwConfig};

/// Reads the configuration and keeps it up to date for as long as the agent lives; `log_level`
/// is in force at once, and again with every change.
pub fn configure(
    options: &Options,
    metrics: &LoadMetrics,
) -> Result<(Agent, watch::Receiver<Arc<Config>>), Errors> {
    let (agent, config) = Agent::start(options, metrics)?;
    logging::set_level(&config.borrow().prow.log_level);
    tokio::spawn(follow(config.clone()));
    Ok((agent, config))
}

async fn follow(mut config: watch::Receiver<Arc<Config>>) {
    let start = Arc::clone(&config.borrow_and_update());
    while config.changed().await.is_ok() {
        let now = Arc::clone(&config.borrow_and_update());
        logging::set_level(&now.prow.log_level);
        if namespaces(&now.prow) != namespaces(&start.prow) {
            tracing::warn!(
                "prowjob_namespace or pod_namespace has changed: a restart brings it into force"
            );
        }
    }
}

/// Where watches were begun: they stay there.
fn namespaces(config: &ProwConfig) -> [&str; 2] {
    [&config.prowjob_namespace, &config.pod_namespace]
}
