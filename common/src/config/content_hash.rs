//! Whether a file's content changed. Its modification time says little: a mounted `ConfigMap` is
//! replaced as a whole.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// Unknown to those who write the files, so that they cannot make two texts with the same hash.
static HASH_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash of a text, valid in this process only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentHash(u64);

impl ContentHash {
    pub(super) fn hash_text(text: &str) -> Self {
        Self(HASH_KEY.hash_one(text))
    }
}
