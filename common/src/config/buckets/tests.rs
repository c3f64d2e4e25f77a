use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    config::{Periodic, ProwConfig},
    prowjob::GcsConfiguration,
};

fn config(deck: serde_json::Value) -> Config {
    let prow: ProwConfig = serde_json::from_value(json!({
        "deck": deck,
        "plank": {"default_decoration_config_entries": [
            {"config": {"gcs_configuration": {"bucket": "http://deck.prow/storage"}}},
            {"config": {"gcs_configuration": {"bucket": "file:///data/logs"}}},
            {"config": {"gcs_configuration": {"bucket": "s3://shared/folder"}}},
            {"config": {"timeout": "1m"}},
        ]},
    }))
    .unwrap();
    let mut periodic = Periodic::default();
    periodic.base.utility.decoration_config = Some(Arc::new(DecorationConfig {
        gcs_configuration: Some(GcsConfiguration {
            bucket: "nightly".into(),
            ..GcsConfiguration::default()
        }),
        ..DecorationConfig::default()
    }));
    let mut config = Config {
        prow,
        ..Config::default()
    };
    config.jobs.periodics.push(Arc::new(periodic));
    config
}

fn strict() -> AllowedBuckets {
    let deck = json!({
        "skip_storage_path_validation": false,
        "additional_allowed_buckets": ["more", "az://other/x", "no scheme?"],
    });
    AllowedBuckets::from_config(&config(deck))
}

#[test]
fn the_configuration_names_the_buckets_and_prows_setting_opens_those_of_clouds() {
    let unset = AllowedBuckets::from_config(&config(json!({})));
    let skipped =
        AllowedBuckets::from_config(&config(json!({"skip_storage_path_validation": true})));
    for (url, with_validation, without) in [
        ("http://deck.prow/storage", true, true),
        ("http://deck.prow:80/storage/", true, true),
        ("https://deck.prow/storage", false, false),
        ("http://deck.prow.evil/storage", false, false),
        ("http://deck.prow:8080/storage", false, false),
        ("http://deck.prow/x/storage", false, false),
        ("file:///data/logs", true, true),
        ("file:///data/logs/inner", false, false),
        ("file:///data", false, false),
        ("file:///etc", false, false),
        ("s3://shared/folder", true, true),
        ("s3://shared", false, true),
        ("nightly", true, true),
        ("gs://nightly", true, true),
        ("s3://nightly", false, true),
        ("gs://more", true, true),
        ("s3://more", true, true),
        ("az://other/x", true, true),
        ("gs://unknown", false, true),
        ("ftp://x", false, false),
        ("file:///data/logs/../x", false, false),
        ("", false, false),
    ] {
        assert_eq!(
            strict().parse_allowed_bucket(url).is_ok(),
            with_validation,
            "{url}"
        );
        assert_eq!(
            unset.parse_allowed_bucket(url).is_ok(),
            without,
            "{url}, unset"
        );
        assert_eq!(
            skipped.parse_allowed_bucket(url).is_ok(),
            without,
            "{url}, skipped"
        );
    }
    let error = strict()
        .parse_allowed_bucket("http://evil/storage")
        .unwrap_err();
    assert!(
        error.to_string().contains("additional_allowed_buckets"),
        "{error}"
    );
}

#[test]
fn an_address_is_of_the_longest_bucket_that_may_be_opened() {
    let unset = AllowedBuckets::from_config(&config(json!({})));
    for (path, with_validation, without) in [
        (
            "storage/logs/j/1",
            Some(("http://deck.prow/storage", "logs/j/1")),
            None,
        ),
        (
            "file/data/logs/logs/j/1/",
            Some(("file:///data/logs", "logs/j/1")),
            None,
        ),
        (
            "s3/shared/folder/logs/j/1",
            Some(("s3://shared/folder", "logs/j/1")),
            None,
        ),
        (
            "gcs/nightly/logs/j/1",
            Some(("gs://nightly", "logs/j/1")),
            None,
        ),
        (
            "s3/shared/logs/j/1",
            None,
            Some(("s3://shared", "logs/j/1")),
        ),
        (
            "gs/unknown/logs/j/1",
            None,
            Some(("gs://unknown", "logs/j/1")),
        ),
        ("gs/unknown", None, None),
        ("gs/../x", None, None),
        ("gs/b/../c/x", None, None),
        ("file/etc/passwd", None, None),
        ("file/data/logs/../../etc/passwd", None, None),
        ("http/evil/storage/x", None, None),
        ("storage/../x", None, None),
        ("storage", None, None),
        ("", None, None),
    ] {
        for (allowed, expected) in [
            (strict(), with_validation),
            (unset.clone(), with_validation.or(without)),
        ] {
            let found = allowed.resolve_storage_path(path);
            let found = found.as_ref().map(|(b, key)| (b.url(), key.as_str()));
            assert_eq!(found, expected, "{path}");
        }
    }
}

/// Parts of paths and URLs that an attacker might try.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("..%2f..".to_owned()),
        Just(String::new()),
        Just("data".to_owned()),
        Just("logs".to_owned()),
        Just("storage".to_owned()),
        Just("\\..".to_owned()),
        "[ -~]{0,6}",
        "\\PC{0,3}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.join("/"))
}

proptest! {
    /// Whatever a bucket or a path says, what is opened lies in an allowed bucket.
    #[test]
    fn no_path_leaves_its_bucket(scheme in "(file|gs|s3|az|gcs|http|https|storage)", path in path()) {
        let inside = |bucket: &Bucket| {
            let folder = std::path::Path::new(bucket.path());
            folder.components().all(|part| !matches!(part, std::path::Component::ParentDir))
        };
        for url in [format!("{scheme}://{path}"), format!("{scheme}:///{path}"), path.clone()] {
            if let Ok(bucket) = Bucket::parse_url(&url) {
                prop_assert!(inside(&bucket), "{url}");
                let again = Bucket::parse_url(bucket.url());
                prop_assert_eq!(again.ok(), Some(bucket.clone()), "{} is another place", url);
            }
            if let Ok(bucket) = strict().parse_allowed_bucket(&url) {
                prop_assert!(strict().names_bucket(&bucket), "{url}");
            }
        }
        for allowed in [strict(), AllowedBuckets::from_config(&config(json!({})))] {
            if let Some((bucket, key)) = allowed.resolve_storage_path(&format!("{scheme}/{path}")) {
                prop_assert!(allowed.parse_allowed_bucket(bucket.url()).is_ok());
                prop_assert!(inside(&bucket));
                prop_assert!(validate_key(&key).is_ok());
            }
        }
    }
}
