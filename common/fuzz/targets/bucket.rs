//! Any text as a bucket's URL and as an address in Deck is refused, or is inside a bucket that the
//! configuration allows.

#![no_main]

use common::config::{Config, buckets::AllowedBuckets};
use common::storage::{Bucket, StorageProvider, validate_key};
use libfuzzer_sys::fuzz_target;

fn allowed() -> AllowedBuckets {
    let mut config = Config::default();
    config.prow.deck = serde_json::from_value(serde_json::json!({
        "skip_storage_path_validation": false,
        "additional_allowed_buckets": ["file:///data", "http://deck/storage", "b", "gs://c/folder"],
    }))
    .expect("a section");
    AllowedBuckets::from_config(&config)
}

fuzz_target!(|text: &str| {
    if let Ok(bucket) = Bucket::parse_url(text) {
        assert!(bucket.path().split('/').all(|part| part != ".." && part != "."));
        assert_eq!(Bucket::parse_url(bucket.url()).as_ref().ok(), Some(&bucket));
    }
    let allowed = allowed();
    if let Ok(bucket) = allowed.parse_allowed_bucket(text) {
        assert!(allowed.names_bucket(&bucket));
    }
    if let Some((bucket, key)) = allowed.resolve_storage_path(text) {
        assert!(allowed.names_bucket(&bucket));
        validate_key(&key).expect("a key");
        assert!(bucket.provider() != StorageProvider::File || bucket.path() == "/data");
    }
});
