//! The cache of in-repo files, bounded by number and by size.

use std::{mem::size_of, sync::Arc};

use super::{InRepoConfigError, InRepoFiles};

/// Bytes of all results together.
const MAX_BYTES: u32 = 64 << 20;

/// The key: a commit, or a commit with a pull request's head merged into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InRepoCacheKey {
    pub(super) org_repo: String,
    pub(super) base_sha: String,
    pub(super) head_sha: Option<String>,
}

pub(super) type CachedInRepoFiles = Arc<Result<InRepoFiles, InRepoConfigError>>;
pub(super) type InRepoConfigCache = moka::future::Cache<InRepoCacheKey, CachedInRepoFiles>;

/// A cache of at most `entries` results. Each counts as at least its share of the bytes, so that
/// one bound covers both number and size.
pub(super) fn new_cache(entries: usize) -> InRepoConfigCache {
    let entries = u32::try_from(entries).unwrap_or(u32::MAX);
    let share = MAX_BYTES.checked_div(entries).unwrap_or(1).max(1);
    let weigh =
        move |key: &InRepoCacheKey, found: &CachedInRepoFiles| entry_size(key, found).max(share);
    let capacity = u64::from(share) * u64::from(entries);
    InRepoConfigCache::builder()
        .max_capacity(capacity.min(u64::from(MAX_BYTES)))
        .weigher(weigh)
        .build()
}

/// The bytes that a result takes in memory, partly estimated.
fn entry_size(key: &InRepoCacheKey, found: &CachedInRepoFiles) -> u32 {
    let texts: usize = match &**found {
        Ok(files) => files
            .iter()
            .map(|(name, text)| name.capacity() + text.capacity() + 2 * size_of::<String>())
            .sum(),
        Err(InRepoConfigError::Conflict(names)) => {
            names.iter().map(|name| name.capacity() + 24).sum()
        }
        Err(InRepoConfigError::Unreadable(why)) => why.capacity(),
        Err(InRepoConfigError::Invalid(errors)) => errors.to_string().len(),
    };
    let key =
        key.org_repo.len() + key.base_sha.len() + key.head_sha.as_ref().map_or(0, String::len);
    u32::try_from(texts + key + 200).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> InRepoCacheKey {
        InRepoCacheKey {
            org_repo: "o/r".into(),
            base_sha: number.to_string(),
            head_sha: None,
        }
    }

    async fn filled(entries: usize, results: usize, length: usize) -> (u64, u64) {
        let cache = new_cache(entries);
        for number in 0..results {
            let files = vec![("prow-jobs.yaml".to_owned(), "x".repeat(length))];
            cache.insert(key(number), Arc::new(Ok(files))).await;
        }
        cache.run_pending_tasks().await;
        (cache.entry_count(), cache.weighted_size())
    }

    #[tokio::test]
    async fn number_and_size_have_a_bound() {
        let (number, _) = filled(200, 1_000, 10).await;
        assert!((190..=200).contains(&number), "{number} small ones");
        let (number, size) = filled(200, 200, 1 << 20).await;
        assert!(
            (55..=64).contains(&number) && size <= u64::from(MAX_BYTES),
            "{number} of one MiB take {size}"
        );
        let (number, _) = filled(200, 1, 65 << 20).await;
        assert_eq!(number, 0, "what is larger than all the room is not kept");
        let (number, _) = filled(0, 10, 10).await;
        assert_eq!(number, 0, "none are asked for");
    }
}
