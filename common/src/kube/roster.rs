//! Which build clusters there are, which of them can be worked on, and what to try next. Pure.
//!
//! ```text
//! contexts, disabled_clusters ─► set ─► due: what to try now ─► (a client is made, rights are asked)
//!                                              ▲                          │
//!                                              └── later, if it failed ── settle
//! ```

use std::{collections::BTreeMap, time::Duration};

use super::{Obstacle, contexts::Origin};
use crate::prowjob::DEFAULT_CLUSTER;

/// Between the first failure and the next try; twice as long with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Upstream asks the clusters that failed as often.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The build clusters of an installation, with clients of type `C`.
#[derive(Debug)]
pub(super) struct Roster<C> {
    infra: C,
    entries: BTreeMap<String, Entry<C>>,
    /// Counts what was seen of all clusters.
    versions: u64,
}

#[derive(Clone, Debug)]
struct Entry<C> {
    made_of: MadeOf,
    client: Option<C>,
    obstacle: Option<Obstacle>,
    /// Another with each state that is told.
    version: u64,
    failures: u32,
    /// When the next try is due, as time since the start; none while one is under way and when
    /// there is nothing to try.
    due: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MadeOf {
    /// `default` where no context has that name.
    Infra,
    Context(Origin),
}

/// Something to try: to make a client of a context unless there is one, then to ask it.
#[derive(Clone, Debug)]
pub(super) struct Try<C> {
    pub(super) alias: String,
    made_of: MadeOf,
    pub(super) client: Option<C>,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub(super) struct Outcome<C> {
    pub(super) client: Option<C>,
    pub(super) obstacle: Option<Obstacle>,
}

/// A cluster as services see it. Without a client there is an obstacle.
#[derive(Clone, Debug)]
pub(super) struct View<C> {
    /// The same for as long as nothing changes.
    pub(super) version: u64,
    pub(super) client: Option<C>,
    pub(super) obstacle: Option<Obstacle>,
}

impl<C: Clone> Roster<C> {
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
    pub(super) fn set(
        &mut self,
        contexts: &BTreeMap<String, Origin>,
        disabled: &[String],
        now: Duration,
    ) {
        let mut wanted: BTreeMap<&str, MadeOf> = contexts
            .iter()
            .map(|(alias, origin)| (alias.as_str(), MadeOf::Context(origin.clone())))
            .collect();
        wanted.entry(DEFAULT_CLUSTER).or_insert(MadeOf::Infra);
        wanted.retain(|alias, _| !disabled.iter().any(|it| it == alias));
        let mut before = std::mem::take(&mut self.entries);
        for (alias, made_of) in wanted {
            let kept = before.remove(alias).filter(|it| it.made_of == made_of);
            let entry = kept.unwrap_or_else(|| self.entry(made_of, now));
            self.entries.insert(alias.to_owned(), entry);
        }
    }

    fn entry(&mut self, made_of: MadeOf, now: Duration) -> Entry<C> {
        self.versions += 1;
        Entry {
            version: self.versions,
            client: (made_of == MadeOf::Infra).then(|| self.infra.clone()),
            made_of,
            obstacle: Some(Obstacle::NotAsked),
            failures: 0,
            due: Some(now),
        }
    }

    /// What is to be tried now; it counts as under way until it is settled.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Try<C>> {
        let entries = self.entries.iter_mut();
        let due = entries.filter(|(_, entry)| entry.due.is_some_and(|due| due <= now));
        due.map(|(alias, entry)| {
            entry.due = None;
            Try {
                alias: alias.clone(),
                made_of: entry.made_of.clone(),
                client: entry.client.clone(),
            }
        })
        .collect()
    }

    /// When the next try is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Takes the outcome of a try in. One of a context that is another by now is of no interest.
    /// Whether the cluster's state is another than before.
    pub(super) fn settle(&mut self, tried: &Try<C>, outcome: Outcome<C>, now: Duration) -> bool {
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
            entry.due = now.checked_add(delay(entry.failures));
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
    pub(super) fn view(&self) -> impl Iterator<Item = (&str, View<C>)> {
        self.entries.iter().map(|(alias, entry)| {
            let view = View {
                version: entry.version,
                client: entry.client.clone(),
                obstacle: entry.obstacle.clone(),
            };
            (alias.as_str(), view)
        })
    }
}

fn delay(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << failures.min(8))
        .min(LONGEST_RETRY)
}

#[cfg(test)]
mod law;
