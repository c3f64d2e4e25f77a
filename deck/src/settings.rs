//! What Deck takes from the configuration: its own section, and the buckets that jobs write to.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use common::config::Config;
use common::config::buckets::AllowedBuckets;
use common::prowjob::{GcsConfiguration, Refs};
use tokio::sync::watch;

use crate::access::Viewer;
use crate::visibility::{HiddenRepos, RepoSegment};

/// The settings derived from one configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeckSettings {
    pub(crate) hidden_repos: HiddenRepos,
    /// Which repositories a segment of a path can mean.
    pub(crate) segments: RepoSegment,
    /// What is configured for each job, by its name.
    pub(crate) jobs: HashMap<String, ConfiguredJob>,
    /// Whether any job or repository is hidden, or any job belongs to a tenant.
    pub(crate) any_hidden: bool,
    /// Every bucket that may be opened.
    pub(crate) allowed: AllowedBuckets,
    pub(crate) pod_namespace: String,
    /// Prefix of links to GitHub, without a slash at the end.
    pub(crate) link_url: String,
    /// Host and port of the links to Deck itself (`job_url_prefix_config`), in lower case.
    pub(crate) addresses: Vec<String>,
}

/// All configured jobs of one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredJob {
    /// One of the jobs is hidden, or one of their repositories.
    pub(crate) hidden: bool,
    /// The tenant of each job; empty for none.
    pub(crate) tenants: Vec<String>,
}

impl DeckSettings {
    pub(crate) fn from_config(config: &Config) -> Self {
        let hidden_repos = HiddenRepos::new(&config.prow.deck.hidden_repos);
        let jobs = configured_jobs(config, &hidden_repos);
        let any_hidden = !hidden_repos.is_empty()
            || jobs
                .values()
                .any(|job| !Viewer::Public.may_view_job(job.hidden, &job.tenants()));
        Self {
            segments: RepoSegment::from_configurations(gcs_configurations(config)),
            hidden_repos,
            jobs,
            any_hidden,
            allowed: AllowedBuckets::from_config(config),
            pod_namespace: config.prow.pod_namespace.clone(),
            link_url: config.prow.github.link_url.trim_end_matches('/').to_owned(),
            addresses: url_authorities(config.prow.plank.job_url_prefix_config.values()),
        }
    }
}

impl ConfiguredJob {
    fn tenants(&self) -> Vec<&str> {
        self.tenants.iter().map(String::as_str).collect()
    }
}

/// The central jobs by name, each with its own repository, if any, and those that it clones.
fn configured_jobs(config: &Config, hidden_repos: &HiddenRepos) -> HashMap<String, ConfiguredJob> {
    let jobs = &config.jobs;
    let of = |repo| move |base| (Some(repo), base);
    let presubmits = jobs
        .presubmits
        .iter()
        .flat_map(|(repo, list)| list.iter().map(|job| &job.base).map(of(repo)));
    let postsubmits = jobs
        .postsubmits
        .iter()
        .flat_map(|(repo, list)| list.iter().map(|job| &job.base).map(of(repo)));
    let periodics = jobs.periodics.iter().map(|job| (None, &job.base));
    let mut by_name: HashMap<String, ConfiguredJob> = HashMap::new();
    for (repo, job) in presubmits.chain(postsubmits).chain(periodics) {
        let known = by_name.entry(job.name.clone()).or_default();
        let extra = job.utility.extra_refs.iter();
        known.hidden |= job.hidden
            || repo.is_some_and(|repo| hidden_repos.contains_repo(repo))
            || extra
                .map(Refs::org_repo)
                .any(|repo| hidden_repos.contains_repo(&repo));
        let defaults = job.prowjob_defaults.as_ref();
        known
            .tenants
            .push(defaults.map_or(String::new(), |defaults| defaults.tenant_id.clone()));
    }
    by_name
}

/// The storage of all configured decorations.
fn gcs_configurations(config: &Config) -> impl Iterator<Item = &GcsConfiguration> {
    let jobs = &config.jobs;
    let presubmits = jobs.presubmits.values().flatten().map(|job| &job.base);
    let postsubmits = jobs.postsubmits.values().flatten().map(|job| &job.base);
    let periodics = jobs.periodics.iter().map(|job| &job.base);
    let own = presubmits
        .chain(postsubmits)
        .chain(periodics)
        .filter_map(|job| job.utility.decoration_config.as_deref());
    let plank = &config.prow.plank;
    let entries = plank.default_decoration_config_entries.iter();
    entries
        .map(|entry| &entry.config)
        .chain(plank.default_decoration_configs.values())
        .chain(own)
        .filter_map(|decoration| decoration.gcs_configuration.as_ref())
}

/// The authority of each URL that has one, sorted.
fn url_authorities<'a>(urls: impl Iterator<Item = &'a String>) -> Vec<String> {
    let authority = |url: &String| {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        (!authority.contains('@')).then_some(authority)
    };
    let sorted: BTreeSet<String> = urls.filter_map(authority).collect();
    sorted.into_iter().collect()
}

/// The settings of the current configuration, computed once for each configuration.
#[derive(Debug)]
pub(crate) struct CurrentSettings {
    config: watch::Receiver<Arc<Config>>,
    last: Mutex<(Arc<Config>, Arc<DeckSettings>)>,
}

impl CurrentSettings {
    pub(crate) fn new(config: watch::Receiver<Arc<Config>>) -> Self {
        let now = config.borrow().clone();
        let settings = Arc::new(DeckSettings::from_config(&now));
        Self {
            config,
            last: Mutex::new((now, settings)),
        }
    }

    pub(crate) fn get(&self) -> Arc<DeckSettings> {
        let now = self.config.borrow().clone();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&last.0, &now) {
            let settings = Arc::new(DeckSettings::from_config(&now));
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
        let settings = DeckSettings::from_config(&config(deck));
        assert!(settings.hidden_repos.contains_repo("o/secret") && settings.any_hidden);
        assert!(
            settings
                .allowed
                .parse_allowed_bucket("file:///more")
                .is_ok()
        );
        assert_eq!(settings.link_url, "https://github.com");
        assert!(!DeckSettings::from_config(&Config::default()).any_hidden);
    }

    #[test]
    fn a_new_configuration_is_followed() {
        let (sender, receiver) =
            watch::channel(Arc::new(config(json!({"hidden_repos": ["o/secret"]}))));
        let present = CurrentSettings::new(receiver);
        assert!(present.get().hidden_repos.contains_repo("o/secret"));
        sender.send_replace(Arc::new(config(json!({"hidden_repos": ["hush"]}))));
        assert!(present.get().hidden_repos.contains_repo("hush/x"));
    }
}
