//! Compares names of organisations and repositories as GitHub does: without regard to case.
//! Configuration for `acme` applies to `Acme`, whichever of the two an event has.

use std::collections::BTreeMap;

/// Whether two names, `org` or `org/repo`, are the same on GitHub.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether an entry, `org/repo` or `org`, applies to the repository.
#[must_use]
pub fn covers_repo(entry: &str, org: &str, repo: &str) -> bool {
    match entry.split_once('/') {
        Some((entry_org, entry_repo)) => {
            is_same_name(entry_org, org) && is_same_name(entry_repo, repo)
        }
        None => is_same_name(entry, org),
    }
}

/// The entry of a map keyed by such names: the one with the same spelling, else the first with the
/// same name.
pub fn find_by_name<'a, T>(map: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    map.get(name).or_else(|| {
        let mut entries = map.iter();
        let found = entries.find(|(key, _)| is_same_name(key, name));
        found.map(|(_, value)| value)
    })
}

/// The most specific entry of a map keyed by `org/repo`, `org` or `*`. Less specific entries do not
/// count then.
pub fn find_most_specific<'a, T>(
    map: &'a BTreeMap<String, T>,
    org: &str,
    repo: &str,
) -> Option<&'a T> {
    find_by_name(map, &format!("{org}/{repo}"))
        .or_else(|| find_by_name(map, org))
        .or_else(|| map.get("*"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text with the case of some letters changed.
    fn respelt(text: &str, flips: u32) -> String {
        let flip = |(index, c): (usize, char)| {
            if flips >> (index % 32) & 1 == 0 {
                c
            } else if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        };
        text.chars().enumerate().map(flip).collect()
    }

    proptest! {
        #[test]
        fn case_makes_no_difference(
            keys in proptest::sample::subsequence(vec!["acme/widgets", "acme", "other", "*"], 0..=4),
            org in proptest::sample::select(vec!["acme", "other", "else"]),
            repo in proptest::sample::select(vec!["widgets", "x"]),
            flips in any::<[u32; 3]>(),
        ) {
            let plain: BTreeMap<String, usize> =
                keys.iter().enumerate().map(|(index, key)| ((*key).to_owned(), index)).collect();
            let spelt: BTreeMap<String, usize> =
                keys.iter().enumerate().map(|(index, key)| (respelt(key, flips[0]), index)).collect();
            let (event_org, event_repo) = (respelt(org, flips[1]), respelt(repo, flips[2]));
            prop_assert_eq!(
                find_most_specific(&spelt, &event_org, &event_repo),
                find_most_specific(&plain, org, repo)
            );
            for key in &keys {
                prop_assert_eq!(
                    covers_repo(&respelt(key, flips[0]), &event_org, &event_repo),
                    covers_repo(key, org, repo)
                );
            }
        }
    }

    #[test]
    fn the_spelling_of_the_event_comes_first() {
        let map = BTreeMap::from([("ACME".to_owned(), 1), ("acme".to_owned(), 2)]);
        for (name, found) in [
            ("acme", Some(&2)),
            ("ACME", Some(&1)),
            ("Acme", Some(&1)),
            ("b", None),
        ] {
            assert_eq!(find_by_name(&map, name), found, "{name}");
        }
    }
}
