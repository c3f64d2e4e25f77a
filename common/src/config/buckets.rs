//! Which buckets a service may open for a job or a URL: one rule for every reader and writer.
//!
//! The configuration names buckets in the default decorations, in the decorations of central jobs
//! and in `deck.additional_allowed_buckets`. Anybody may have written a `ProwJob`, so a folder of
//! this machine (`file://`) or a server (`http://`, `https://`) that only a `ProwJob` names is
//! never opened. For cloud buckets `deck.skip_storage_path_validation` decides.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Config, JobBase};
use crate::prowjob::DecorationConfig;
use crate::storage::{Bucket, StorageError, StorageProvider, validate_key};

/// Providers that an entry of `additional_allowed_buckets` without a scheme may mean: Prow
/// compares names alone.
const CLOUD_PROVIDERS: [StorageProvider; 3] = [
    StorageProvider::Gs,
    StorageProvider::S3,
    StorageProvider::Az,
];

/// The buckets that may be opened, derived from one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedBuckets {
    /// The buckets that the configuration names, by URL.
    named: BTreeMap<String, Bucket>,
    /// Whether every cloud bucket is allowed, too: as in Prow, unless
    /// `skip_storage_path_validation` is `false`.
    every_cloud: bool,
}

impl AllowedBuckets {
    /// Collects the buckets of `config`. Text that is no bucket's URL is left out.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let deck = &config.prow.deck;
        let written = configured_bucket_urls(config).filter_map(|url| Bucket::parse_url(url).ok());
        let additional = deck.additional_allowed_buckets.iter();
        let additional = additional.flat_map(|entry| additional_buckets(entry));
        let named = written.chain(additional);
        Self {
            named: named.map(|it| (it.url().to_owned(), it)).collect(),
            every_cloud: deck.skip_storage_path_validation != Some(false),
        }
    }

    /// Whether the configuration itself names this bucket.
    #[must_use]
    pub fn names_bucket(&self, bucket: &Bucket) -> bool {
        self.named.contains_key(bucket.url())
    }

    /// The buckets that the configuration names, in the order of their URLs.
    pub fn named_buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.named.values()
    }

    /// The bucket with the `url` that a `ProwJob` names, if it may be opened.
    pub fn parse_allowed_bucket(&self, url: &str) -> Result<Bucket, StorageError> {
        let bucket = Bucket::parse_url(url)?;
        if self.names_bucket(&bucket)
            || (self.every_cloud && CLOUD_PROVIDERS.contains(&bucket.provider()))
        {
            return Ok(bucket);
        }
        let why = "the configuration names it in no default decoration, in no central job and not in deck.additional_allowed_buckets";
        Err(StorageError::InvalidBucket(url.to_owned(), why.to_owned()))
    }

    /// The bucket and the key of `<provider>/<bucket…>/<key>`, a path in Deck's URLs. `None` if it
    /// is in no bucket that may be opened.
    ///
    /// `gcs` is read as `gs`: old links use it.
    #[must_use]
    pub fn resolve_storage_path(&self, path: &str) -> Option<(Bucket, String)> {
        let (provider, rest) = path.trim_matches('/').split_once('/')?;
        let provider = if provider == "gcs" { "gs" } else { provider };
        let path = format!("{provider}/{rest}");
        let key_in = |bucket: &Bucket| {
            let key = path.strip_prefix(&bucket.view_path())?.strip_prefix('/')?;
            validate_key(key).is_ok().then(|| key.to_owned())
        };
        // The longest match: a bucket and a folder in it may both be named.
        let named = self.named.values();
        let named = named.filter_map(|bucket| Some((bucket.clone(), key_in(bucket)?)));
        let longest = named.min_by_key(|(_, key)| key.len());
        let of_cloud = || {
            let (name, _) = rest.split_once('/')?;
            let bucket = self
                .parse_allowed_bucket(&format!("{provider}://{name}"))
                .ok()?;
            let key = key_in(&bucket)?;
            Some((bucket, key))
        };
        longest.or_else(of_cloud)
    }
}

/// The bucket URLs of the default decorations and of the central jobs, as configured. Jobs share
/// their decorations; each is visited once.
fn configured_bucket_urls(config: &Config) -> impl Iterator<Item = &str> {
    let plank = &config.prow.plank;
    let entries = plank.default_decoration_config_entries.iter();
    let defaults = entries
        .map(|entry| &entry.config)
        .chain(plank.default_decoration_configs.values());
    let jobs = &config.jobs;
    let presubmits = jobs.presubmits.values().flatten().map(|job| &job.base);
    let postsubmits = jobs.postsubmits.values().flatten().map(|job| &job.base);
    let periodics = jobs.periodics.iter().map(|job| &job.base);
    let mut seen = HashSet::new();
    let own = presubmits
        .chain(postsubmits)
        .chain(periodics)
        .filter_map(job_decoration)
        .filter(move |it| seen.insert(Arc::as_ptr(it)))
        .map(AsRef::as_ref);
    defaults.chain(own).filter_map(decoration_bucket)
}

fn job_decoration(job: &JobBase) -> Option<&Arc<DecorationConfig>> {
    job.utility.decoration_config.as_ref()
}

fn decoration_bucket(decoration: &DecorationConfig) -> Option<&str> {
    let storage = decoration.gcs_configuration.as_ref()?;
    Some(storage.bucket.as_str()).filter(|bucket| !bucket.is_empty())
}

fn additional_buckets(entry: &str) -> Vec<Bucket> {
    let urls = if entry.contains("://") {
        vec![entry.to_owned()]
    } else {
        CLOUD_PROVIDERS
            .map(|cloud| format!("{cloud}://{entry}"))
            .to_vec()
    };
    let parsed = urls.iter().map(|url| Bucket::parse_url(url));
    parsed.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests;
