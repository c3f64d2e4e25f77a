//! Which build clusters there are, which of them can be worked on, and what to try next. Pure.
//!
//! ```text
//! contexts, disabled_clusters ─► set ─► due: what to try now ─► (a client is made, rights are asked)
//!                                              ▲                          │
//!                                              └── later, if it failed ── settle
//! ```

use std::{collections::BTreeMap, time::Duration};

use super::{ClusterObstacle, contexts::ContextFingerprint};
use crate::prowjob::DEFAULT_CLUSTER;

/// Between the first failure and the next try; twice as long with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Upstream asks the clusters that failed as often.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The build clusters of an installation, with clients of type `C`.
#[derive(Debug)]
pub(super) struct ClusterRegistry<C> {
    infra: C,
    entries: BTreeMap<String, ClusterEntry<C>>,
    /// Counts what was seen of all clusters.
    versions: u64,
}

#[derive(Clone, Debug)]
struct ClusterEntry<C> {
    made_of: ClientSource,
    client: Option<C>,
    obstacle: Option<ClusterObstacle>,
    /// Another with each state that is told.
    version: u64,
    failures: u32,
    /// When the next try is due, as time since the start; none while one is under way and when
    /// there is nothing to try.
    due: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ClientSource {
    /// `default` where no context has that name.
    Infra,
    Context(ContextFingerprint),
}

/// Something to try: to make a client of a context unless there is one, then to ask it.
#[derive(Clone, Debug)]
pub(super) struct DueAttempt<C> {
    pub(super) alias: String,
    made_of: ClientSource,
    pub(super) client: Option<C>,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub(super) struct AttemptOutcome<C> {
    pub(super) client: Option<C>,
    pub(super) obstacle: Option<ClusterObstacle>,
}

/// A cluster as services see it. Without a client there is an obstacle.
#[derive(Clone, Debug)]
pub(super) struct ClusterSnapshot<C> {
    /// The same for as long as nothing changes.
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

    /// Brings the clusters in line with the contexts there now are. A cluster that is made of the
    /// same as before stays as it is. `default` is the infrastructure cluster only where no
    /// context has that name, be it disabled or not.
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

    /// What is to be tried now; it counts as under way until it is settled.
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

    /// When the next try is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Takes the outcome of a try in. One of a context that is another by now is of no interest.
    /// Whether the cluster's state is another than before.
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

    /// Every cluster by the name jobs use.
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
