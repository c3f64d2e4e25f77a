//! Whether a file says something else than before. When it was written says little: a mounted
//! `ConfigMap` is swapped as a whole.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// Unknown to who writes the files, so that no two texts can be made alike.
static HASH_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Stands for a text, in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentHash(u64);

impl ContentHash {
    pub(super) fn hash_text(text: &str) -> Self {
        Self(HASH_KEY.hash_one(text))
    }
}
