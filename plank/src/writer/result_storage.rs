//! Decides, before a pod is created, where it may store its results and for how long.

use common::{
    config::{Config, buckets::AllowedBuckets},
    prowjob::{ProwJob, ProwJobSpec},
    storage::{Bucket, StorageProvider},
};
use jiff::SignedDuration;

use crate::{decorate, job_url::storage_dir};

/// Added to the longest run, for uploads after a timeout and for clocks that differ.
const TOKEN_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// Why a job gets no pod because of the storage for its results.
pub(super) fn find_refusal(
    spec: &ProwJobSpec,
    build_id: &str,
    config: &Config,
    has_key: bool,
) -> Option<String> {
    let needs_token = decorate::needs_token(spec);
    if needs_token && !has_key {
        let text = "results go to Deck's storage, but plank has no --storage-key-file";
        return Some(text.to_owned());
    }
    if let Some(refusal) = refuse_unknown_bucket(spec, config) {
        return Some(refusal);
    }
    if needs_token && storage_dir(spec, build_id).is_none() {
        let text = "its results have no folder in Deck's storage: the job's name, its refs or its path_prefix make none of a run's own";
        return Some(text.to_owned());
    }
    None
}

/// Refuses a server or a folder that only the job names: whoever may write a job could otherwise
/// have the results, and a token, sent anywhere.
fn refuse_unknown_bucket(spec: &ProwJobSpec, config: &Config) -> Option<String> {
    let decoration = spec.decoration_config.as_ref()?;
    let bucket = &decoration.gcs_configuration.as_ref()?.bucket;
    let place = Bucket::parse_url(bucket).ok()?;
    if !matches!(
        place.provider(),
        StorageProvider::Storage | StorageProvider::File
    ) {
        return None;
    }
    let opened = AllowedBuckets::from_config(config).parse_allowed_bucket(bucket);
    opened.err().map(|error| error.to_string())
}

/// The time from the pod's creation to its last possible upload: while it is unscheduled, pending,
/// running and terminating.
pub(super) fn token_lifetime(job: &ProwJob, config: &Config) -> SignedDuration {
    let plank = &config.prow.plank;
    let own = job.spec.decoration_config.clone().unwrap_or_default();
    let pod = job.spec.pod_spec.as_ref();
    let grace = pod.and_then(|spec| spec.0.get("terminationGracePeriodSeconds")?.as_i64());
    let grace = SignedDuration::from_secs(grace.unwrap_or_default());
    let own_grace = own.grace_period.unwrap_or_default();
    // A pod's grace period is a quarter longer than its test's.
    let own_grace = SignedDuration::from_nanos(own_grace.as_nanos()).saturating_mul(5) / 4;
    [
        own.pod_running_timeout
            .unwrap_or(plank.pod_running_timeout()),
        own.pod_pending_timeout
            .unwrap_or(plank.pod_pending_timeout()),
        own.pod_unscheduled_timeout
            .unwrap_or(plank.pod_unscheduled_timeout()),
    ]
    .into_iter()
    .map(|timeout| SignedDuration::from_nanos(timeout.as_nanos()))
    .fold(TOKEN_MARGIN, SignedDuration::saturating_add)
    .saturating_add(grace.max(own_grace))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(mut spec: Value) -> ProwJob {
        spec["type"] = "periodic".into();
        spec["job"] = "unit".into();
        ProwJob::new("pj", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_token_lasts_as_long_as_its_pod_may() {
        let prow = json!({"plank": {
            "pod_unscheduled_timeout": "1h", "pod_pending_timeout": "2h", "pod_running_timeout": "3h",
        }});
        let config = Config {
            prow: serde_json::from_value(prow).unwrap(),
            ..Config::default()
        };
        for (spec, hours) in [
            (json!({}), 7),
            (
                json!({"decoration_config": {"pod_running_timeout": "13h", "grace_period": "4h"}}),
                22,
            ),
            (
                json!({"pod_spec": {"terminationGracePeriodSeconds": 7200}}),
                9,
            ),
        ] {
            let lasts = token_lifetime(&job(spec.clone()), &config);
            assert_eq!(lasts, SignedDuration::from_hours(hours), "{spec}");
        }
    }

    #[test]
    fn a_server_or_folder_that_only_the_job_names_is_no_place() {
        let prow = json!({"plank": {"default_decoration_configs": {"*": {
            "gcs_configuration": {"bucket": "http://deck/storage"},
        }}}});
        let config = Config {
            prow: serde_json::from_value(prow).unwrap(),
            ..Config::default()
        };
        for (bucket, refused) in [
            ("http://deck/storage", false),
            ("gs://anywhere", false),
            ("http://evil/storage", true),
            ("https://deck/storage", true),
            ("file:///etc", true),
        ] {
            let spec = json!({"decoration_config": {"gcs_configuration": {"bucket": bucket}}});
            let found = refuse_unknown_bucket(&job(spec).spec, &config);
            assert_eq!(found.is_some(), refused, "{bucket}");
        }
    }
}
