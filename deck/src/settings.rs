//! What Deck takes from the configuration: its own section, and the buckets that jobs write to.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use common::config::Config;
use common::config::buckets::AllowedBuckets;
use tokio::sync::watch;

/// Derived from one configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `org/repo` and `org`.
    pub(crate) hidden_repos: Vec<String>,
    /// Every bucket that may be looked into.
    pub(crate) allowed: AllowedBuckets,
    pub(crate) pod_namespace: String,
    /// How links into GitHub begin, without a slash at the end.
    pub(crate) link_url: String,
    /// Host and port of the links to Deck itself (`job_url_prefix_config`), in lower case.
    pub(crate) addresses: Vec<String>,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            hidden_repos: config.prow.deck.hidden_repos.clone(),
            allowed: AllowedBuckets::of(config),
            pod_namespace: config.prow.pod_namespace.clone(),
            link_url: config.prow.github.link_url.trim_end_matches('/').to_owned(),
            addresses: addresses(config.prow.plank.job_url_prefix_config.values()),
        }
    }
}

/// The authority of each URL that has one, sorted.
fn addresses<'a>(urls: impl Iterator<Item = &'a String>) -> Vec<String> {
    let authority = |url: &String| {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        (!authority.contains('@')).then_some(authority)
    };
    let sorted: BTreeSet<String> = urls.filter_map(authority).collect();
    sorted.into_iter().collect()
}

/// The settings of the present configuration; computed once for each.
#[derive(Debug)]
pub(crate) struct Present {
    config: watch::Receiver<Arc<Config>>,
    last: Mutex<(Arc<Config>, Arc<Settings>)>,
}

impl Present {
    pub(crate) fn new(config: watch::Receiver<Arc<Config>>) -> Self {
        let now = config.borrow().clone();
        let settings = Arc::new(Settings::of(&now));
        Self {
            config,
            last: Mutex::new((now, settings)),
        }
    }

    pub(crate) fn get(&self) -> Arc<Settings> {
        let now = self.config.borrow().clone();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&last.0, &now) {
            let settings = Arc::new(Settings::of(&now));
            *last = (now, settings);
        }
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(deck: serde_json::Value) -> Config {
        let mut config = Config::default();
        config.prow.deck = serde_json::from_value(deck).unwrap();
        config
    }

    #[test]
    fn takes_what_is_hidden_and_the_buckets() {
        let deck = json!({
            "hidden_repos": ["o/secret"],
            "additional_allowed_buckets": ["file:///more"],
        });
        let settings = Settings::of(&config(deck));
        assert_eq!(settings.hidden_repos, ["o/secret"]);
        assert!(settings.allowed.open_to("file:///more").is_ok());
        assert_eq!(settings.link_url, "https://github.com");
        assert_eq!(Settings::of(&Config::default()).hidden_repos, [""; 0]);
    }

    #[test]
    fn a_new_configuration_is_followed() {
        let (sender, receiver) =
            watch::channel(Arc::new(config(json!({"hidden_repos": ["o/secret"]}))));
        let present = Present::new(receiver);
        assert_eq!(present.get().hidden_repos, ["o/secret"]);
        sender.send_replace(Arc::new(config(json!({"hidden_repos": ["hush"]}))));
        assert_eq!(present.get().hidden_repos, ["hush"]);
    }
}
