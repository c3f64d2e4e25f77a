//! Which build clusters exist, which of them are usable, and what to try next. No I/O.
//!
//! ```text
//! contexts, disabled_clusters ─► set_contexts ─► take_due_attempts ─► (run the attempt)
//!                                                    ▲                      │
//!                                                    └─ if it failed ── record_outcome
//! ```

use std::{collections::BTreeMap, time::Duration};

use super::{ClusterObstacle, contexts::ContextFingerprint};
use crate::prowjob::DEFAULT_CLUSTER;

/// The wait between the first failure and the next attempt; it doubles with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Upstream checks its failed clusters as often.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The build clusters of an installation, with clients of type `C`.
#[derive(Debug)]
pub(super) struct ClusterRegistry<C> {
    infra: C,
    entries: BTreeMap<String, ClusterEntry<C>>,
    /// The source of the entries' versions: it counts the changes of all clusters.
    versions: u64,
}

#[derive(Clone, Debug)]
struct ClusterEntry<C> {
    made_of: ClientSource,
    client: Option<C>,
    obstacle: Option<ClusterObstacle>,
    /// A new one with each state that is published.
    version: u64,
    failures: u32,
    /// When the next attempt is due, as time since the start. `None` while an attempt runs, and if
    /// there is nothing to try.
    due: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ClientSource {
    /// `default`, if no context has that name.
    Infra,
    Context(ContextFingerprint),
}

/// An attempt to make: make a client of the context if there is none, and check its permissions.
#[derive(Clone, Debug)]
pub(super) struct DueAttempt<C> {
    pub(super) alias: String,
    made_of: ClientSource,
    pub(super) client: Option<C>,
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub(super) struct AttemptOutcome<C> {
    pub(super) client: Option<C>,
    pub(super) obstacle: Option<ClusterObstacle>,
}

/// A cluster as services see it. If it has no client, it has an obstacle.
#[derive(Clone, Debug)]
pub(super) struct ClusterSnapshot<C> {
    /// The same as long as nothing changes.
    pub(super) version: u64,
    pub(super) client: Option<C>,
    pub(super) obstacle: Option<ClusterObstacle>,
}

impl<C: Clone> ClusterRegistry<C> {
    pub(super) fn new(infra: C) -> Self {
        Self {
            infra,
            entries: BTreeMap::new(),
            versions: 0,
        }
    }

    /// Updates the clusters to the current contexts. A cluster whose context is unchanged stays as
    /// it is. `default` is the infrastructure cluster only if no context has that name, disabled or
    /// not.
    pub(super) fn set_contexts(
        &mut self,
        contexts: &BTreeMap<String, ContextFingerprint>,
        disabled: &[String],
        now: Duration,
    ) {
        let mut wanted: BTreeMap<&str, ClientSource> = contexts
            .iter()
            .map(|(alias, origin)| (alias.as_str(), ClientSource::Context(origin.clone())))
            .collect();
        wanted.entry(DEFAULT_CLUSTER).or_insert(ClientSource::Infra);
        wanted.retain(|alias, _| !disabled.iter().any(|it| it == alias));
        let mut before = std::mem::take(&mut self.entries);
        for (alias, made_of) in wanted {
            let kept = before.remove(alias).filter(|it| it.made_of == made_of);
            let entry = kept.unwrap_or_else(|| self.new_entry(made_of, now));
            self.entries.insert(alias.to_owned(), entry);
        }
    }

    fn new_entry(&mut self, made_of: ClientSource, now: Duration) -> ClusterEntry<C> {
        self.versions += 1;
        ClusterEntry {
            version: self.versions,
            client: (made_of == ClientSource::Infra).then(|| self.infra.clone()),
            made_of,
            obstacle: Some(ClusterObstacle::NotAsked),
            failures: 0,
            due: Some(now),
        }
    }

    /// The attempts that are due now. Each counts as running until its outcome is recorded.
    pub(super) fn take_due_attempts(&mut self, now: Duration) -> Vec<DueAttempt<C>> {
        let entries = self.entries.iter_mut();
        let due = entries.filter(|(_, entry)| entry.due.is_some_and(|due| due <= now));
        due.map(|(alias, entry)| {
            entry.due = None;
            DueAttempt {
                alias: alias.clone(),
                made_of: entry.made_of.clone(),
                client: entry.client.clone(),
            }
        })
        .collect()
    }

    /// When the next attempt is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Records the outcome of an attempt. It is ignored if the cluster's context has changed since.
    /// Returns whether the cluster's state has changed.
    pub(super) fn record_outcome(
        &mut self,
        tried: &DueAttempt<C>,
        outcome: AttemptOutcome<C>,
        now: Duration,
    ) -> bool {
        let entry = self.entries.get_mut(&tried.alias);
        let Some(entry) = entry.filter(|entry| entry.made_of == tried.made_of) else {
            return false;
        };
        if entry.client.is_none() {
            entry.client = outcome.client;
        }
        let told = match (&entry.obstacle, &outcome.obstacle) {
            (Some(before), Some(after)) => !before.is_like(after),
            (None, None) => false,
            _ => true,
        };
        if outcome.obstacle.is_some() {
            entry.due = now.checked_add(retry_delay(entry.failures));
            entry.failures = entry.failures.saturating_add(1);
        } else {
            entry.failures = 0;
        }
        if told {
            self.versions += 1;
            entry.version = self.versions;
            entry.obstacle = outcome.obstacle;
        }
        told
    }

    /// Every cluster by its alias, the name that jobs use.
    pub(super) fn cluster_snapshots(&self) -> impl Iterator<Item = (&str, ClusterSnapshot<C>)> {
        self.entries.iter().map(|(alias, entry)| {
            let view = ClusterSnapshot {
                version: entry.version,
                client: entry.client.clone(),
                obstacle: entry.obstacle.clone(),
            };
            (alias.as_str(), view)
        })
    }
}

fn retry_delay(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << failures.min(8))
        .min(LONGEST_RETRY)
}

#[cfg(test)]
mod proptests;
