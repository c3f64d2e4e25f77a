//! The configuration of a process: read at the start, and watched until the end.

use std::sync::Arc;

use tokio::sync::watch;

use super::logging;
use crate::config::{Config, ConfigAgent, ConfigErrors, ConfigOptions, LoadMetrics, ProwConfig};

/// Reads the configuration and keeps it up to date as long as the agent lives. `log_level` is
/// applied at once, and again with every change.
pub fn start_config_agent(
    options: &ConfigOptions,
    metrics: &LoadMetrics,
) -> Result<(ConfigAgent, watch::Receiver<Arc<Config>>), ConfigErrors> {
    let (agent, config) = ConfigAgent::watch_config(options, metrics)?;
    logging::set_log_level(&config.borrow().prow.log_level);
    tokio::spawn(watch_config_changes(config.clone()));
    Ok((agent, config))
}

async fn watch_config_changes(mut config: watch::Receiver<Arc<Config>>) {
    let start = Arc::clone(&config.borrow_and_update());
    while config.changed().await.is_ok() {
        let now = Arc::clone(&config.borrow_and_update());
        logging::set_log_level(&now.prow.log_level);
        if watched_namespaces(&now.prow) != watched_namespaces(&start.prow) {
            tracing::warn!(
                "prowjob_namespace or pod_namespace has changed: a restart brings it into force"
            );
        }
    }
}

/// The namespaces in which watches were started: those watches do not move.
fn watched_namespaces(config: &ProwConfig) -> [&str; 2] {
    [&config.prowjob_namespace, &config.pod_namespace]
}
