//! A listing as Deck's `/storage` returns it: JSON, one page at a time.
//!
//! ```text
//! GET /storage/<folder>?list                 everything below the folder
//! GET /storage/<folder>?list&delimiter=/     its own objects, and its folders as `prefixes`
//!     …&after=<name>                         what comes after that name: the last page's `next`
//! ```

use serde::{Deserialize, Serialize};

use super::object::{ObjectInfo, ObjectListing};

/// The names on one page: with the longest keys about ten MiB of JSON.
pub const PAGE_NAMES: usize = 10_000;

/// One page, in the order of names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListingPage {
    pub objects: Vec<ObjectInfo>,
    /// Folders, without a slash at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// The last name of this page, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl ListingPage {
    /// The first `limit` names of a listing after `after`; from the beginning if `after` is empty.
    #[must_use]
    pub fn from_listing(listing: ObjectListing, after: &str, limit: usize) -> Self {
        let mut objects = listing.objects.into_iter().peekable();
        let mut prefixes = listing.prefixes.into_iter().peekable();
        let is_before = |name: &str| !after.is_empty() && name <= after;
        while objects.next_if(|object| is_before(&object.key)).is_some() {}
        while prefixes.next_if(|prefix| is_before(prefix)).is_some() {}
        let mut page = Self::default();
        let mut last = None;
        for _ in 0..limit {
            let object_is_next = match (objects.peek(), prefixes.peek()) {
                (Some(object), Some(prefix)) => object.key <= *prefix,
                (object, _) => object.is_some(),
            };
            if object_is_next {
                page.objects.extend(objects.next());
                last = page.objects.last().map(|object| object.key.clone());
            } else if let Some(prefix) = prefixes.next() {
                last = Some(prefix.clone());
                page.prefixes.push(prefix);
            }
        }
        let has_more = objects.peek().is_some() || prefixes.peek().is_some();
        page.next = last.filter(|_| has_more);
        page
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(key: &str) -> ObjectInfo {
        ObjectInfo {
            key: key.to_owned(),
            size: 1,
            modified: None,
        }
    }

    #[test]
    fn it_reads_as_documented() {
        let listing = ObjectListing {
            objects: vec![ObjectInfo {
                modified: "2026-11-28T12:00:00Z".parse().ok(),
                ..object("d/b")
            }],
            prefixes: vec!["d/a".into(), "d/c".into()],
        };
        let page = ListingPage::from_listing(listing, "", 2);
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            r#"{"objects":[{"key":"d/b","size":1,"modified":"2026-11-28T12:00:00Z"}],"prefixes":["d/a"],"next":"d/b"}"#
        );
    }

    proptest! {
        #[test]
        fn pages_together_are_the_whole(
            keys in prop::collection::btree_set("[a-c/]{1,3}", 0..12),
            folders in prop::collection::btree_set("[a-c/]{1,3}x", 0..6),
            limit in 1_usize..6,
        ) {
            let whole = ObjectListing {
                objects: keys.iter().map(|key| object(key)).collect(),
                prefixes: folders.into_iter().collect(),
            };
            let mut joined = ObjectListing::default();
            let mut after = Some(String::new());
            while let Some(name) = after {
                let page = ListingPage::from_listing(whole.clone(), &name, limit);
                prop_assert!(page.objects.len() + page.prefixes.len() <= limit);
                joined.objects.extend(page.objects);
                joined.prefixes.extend(page.prefixes);
                after = page.next;
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
