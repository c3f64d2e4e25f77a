//! Sets of repositories as the configuration names them: whole organisations with exceptions, and
//! single repositories. GitHub is not asked which repositories an organisation has, so the
//! operations are Prow's, with Prow's approximations.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::config::plugins::RepoSet;

/// One organisation or one repository of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RepoSetItem<'a> {
    Org(&'a str, &'a BTreeSet<String>),
    Repo(&'a str),
}

impl RepoSetItem<'_> {
    /// `org` or `org/repo`, as a key of the configuration.
    pub(super) fn config_key(&self) -> &str {
        match self {
            Self::Org(key, _) | Self::Repo(key) => key,
        }
    }
}

impl fmt::Display for RepoSetItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org(org, except) if except.is_empty() => f.write_str(org),
            Self::Org(org, except) => {
                let except: Vec<&str> = except.iter().map(String::as_str).collect();
                write!(f, "{org} (without {})", except.join(", "))
            }
            Self::Repo(repo) => f.write_str(repo),
        }
    }
}

impl RepoSet {
    pub(super) fn iter_items(&self) -> impl Iterator<Item = RepoSetItem<'_>> {
        let orgs = self
            .orgs
            .iter()
            .map(|(org, except)| RepoSetItem::Org(org, except));
        orgs.chain(self.repos.iter().map(|repo| RepoSetItem::Repo(repo)))
    }

    /// The repositories of this set that are not in `other`.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut left = Self {
            orgs: BTreeMap::new(),
            repos: self.repos.clone(),
        };
        for (org, except) in &self.orgs {
            match other.orgs.get(org) {
                Some(others) => left.repos.extend(others.difference(except).cloned()),
                None => {
                    let mut except = except.clone();
                    except.extend(
                        other
                            .repos
                            .iter()
                            .filter(|repo| is_in_org(repo, org))
                            .cloned(),
                    );
                    left.orgs.insert(org.clone(), except);
                }
            }
        }
        left.repos
            .retain(|repo| !other.repos.contains(repo) && !other.covers_by_org(repo));
        left
    }

    /// The repositories in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (org, except) in &self.orgs {
            if let Some(others) = other.orgs.get(org) {
                both.orgs
                    .insert(org.clone(), except.union(others).cloned().collect());
            } else {
                let named = other.repos.iter();
                both.repos.extend(
                    named
                        .filter(|repo| is_in_org(repo, org) && !except.contains(*repo))
                        .cloned(),
                );
            }
        }
        let here = self.repos.iter();
        both.repos.extend(
            here.filter(|repo| other.repos.contains(*repo) || other.covers_by_org(repo))
                .cloned(),
        );
        both
    }

    /// The repositories in either set.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = Self::default();
        for (org, except) in &self.orgs {
            let mut except: BTreeSet<String> = except.difference(&other.repos).cloned().collect();
            if let Some(others) = other.orgs.get(org) {
                except.retain(|repo| others.contains(repo) && !self.repos.contains(repo));
            }
            all.orgs.insert(org.clone(), except);
        }
        for (org, except) in &other.orgs {
            all.orgs
                .entry(org.clone())
                .or_insert_with(|| except.difference(&self.repos).cloned().collect());
        }
        let repos = self.repos.union(&other.repos);
        all.repos = repos
            .filter(|repo| org_of(repo).is_some_and(|org| !all.orgs.contains_key(org)))
            .cloned()
            .collect();
        all
    }

    fn covers_by_org(&self, repo: &str) -> bool {
        org_of(repo)
            .and_then(|org| self.orgs.get(org))
            .is_some_and(|except| !except.contains(repo))
    }
}

fn org_of(repo: &str) -> Option<&str> {
    Some(repo.split_once('/')?.0)
}

fn is_in_org(repo: &str, org: &str) -> bool {
    org_of(repo) == Some(org)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `org`, `org-a/b-c/d` (an organisation without two of its repositories) and `a/b`.
    fn set(items: &[&str]) -> RepoSet {
        let mut set = RepoSet::default();
        for item in items {
            let mut parts = item.split('-');
            let first = parts.next().unwrap();
            if first.contains('/') {
                set.repos.insert(first.into());
            } else {
                let except = parts.map(str::to_owned).collect();
                set.orgs.insert(first.into(), except);
            }
        }
        set
    }

    #[test]
    fn difference_leaves_what_the_other_lacks() {
        for (a, b, expected) in [
            (&["a/b"][..], &["a/b"][..], &[][..]),
            (&["a/b", "a/c"], &["a/b"], &["a/c"]),
            (&["a/b"], &["a"], &[]),
            (&["a/b"], &["a-a/b"], &["a/b"]),
            (&["a"], &["a"], &[]),
            (&["a"], &["a-a/b"], &["a/b"]),
            (&["a-a/b"], &["a-a/b-a/c"], &["a/c"]),
            (&["a"], &["a/b", "c/d"], &["a-a/b"]),
            (&["a"], &["b"], &["a"]),
        ] {
            assert_eq!(set(a).difference(&set(b)), set(expected), "{a:?} {b:?}");
        }
    }

    #[test]
    fn intersection_keeps_what_both_have() {
        for (a, b, expected) in [
            (&["a/b", "a/c"][..], &["a/b"][..], &["a/b"][..]),
            (&["a"], &["a-a/b"], &["a-a/b"]),
            (&["a-a/c"], &["a/b", "a/c", "d/e"], &["a/b"]),
            (&["a/b", "a/c"], &["a-a/c"], &["a/b"]),
            (&["a"], &["b"], &[]),
        ] {
            assert_eq!(set(a).intersection(&set(b)), set(expected), "{a:?} {b:?}");
        }
    }

    #[test]
    fn union_covers_what_either_has() {
        for (a, b, expected) in [
            (&["a/b"][..], &["a/c"][..], &["a/b", "a/c"][..]),
            (&["a-a/b"], &["a/b"], &["a"]),
            (&["a-a/b-a/c"], &["a-a/b"], &["a-a/b"]),
            (&["a/b"], &["a-a/c"], &["a-a/c"]),
            (&["a"], &["b-b/c"], &["a", "b-b/c"]),
        ] {
            assert_eq!(set(a).union(&set(b)), set(expected), "{a:?} {b:?}");
        }
    }
}
