//! Any text as a bucket's URL and as an address in Deck: refused, or inside a bucket that the
//! configuration allows.

#![no_main]

use common::config::{Config, buckets::AllowedBuckets};
use common::storage::{Bucket, Provider, validate_key};
use libfuzzer_sys::fuzz_target;

fn allowed() -> AllowedBuckets {
    let mut config = Config::default();
    config.prow.deck = serde_json::from_value(serde_json::json!({
        "skip_storage_path_validation": false,
        "additional_allowed_buckets": ["file:///data", "http://deck/storage", "b", "gs://c/folder"],
    }))
    .expect("a section");
    AllowedBuckets::of(&config)
}

fuzz_target!(|text: &str| {
    if let Ok(bucket) = Bucket::parse(text) {
        assert!(bucket.path().split('/').all(|part| part != ".." && part != "."));
        assert_eq!(Bucket::parse(bucket.url()).as_ref().ok(), Some(&bucket));
    }
    let allowed = allowed();
    if let Ok(bucket) = allowed.open_to(text) {
        assert!(allowed.names(&bucket));
    }
    if let Some((bucket, key)) = allowed.locate(text) {
        assert!(allowed.names(&bucket));
        validate_key(&key).expect("a key");
        assert!(bucket.provider() != Provider::File || bucket.path() == "/data");
    }
});
