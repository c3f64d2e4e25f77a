//! Every `ProwJob` in memory, cut down to what is shown, sorted and findable.
//!
//! watch → [`Index::put`]/[`Index::remove`] → pages and [`Change`]s. Nothing is copied or sorted
//! for a request: sets in display order are kept for each value one can filter by. Whether a job
//! may be seen is not decided here: every reader brings a predicate.

mod body;
mod build;
mod filter;
mod job;
mod names;
mod pattern;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use common::prowjob::{ProwJob, ProwJobState};
use tokio::sync::{broadcast, watch as signal};

pub use body::Omit;
use build::Interner;
pub use filter::{Filter, Query};
pub use job::{Job, PullRequest, Repository};
use names::MatchedNames;
pub use pattern::Pattern;
pub(crate) use watch::feed;

/// Changes kept for a reader that was away for a moment.
const REMEMBERED: usize = 2048;

/// One job came, changed or went.
#[derive(Clone, Debug)]
pub struct Change {
    /// Strictly rising within one process.
    pub revision: u64,
    pub before: Option<Arc<Job>>,
    pub after: Option<Arc<Job>>,
}

/// Changes without a gap.
#[derive(Debug)]
pub struct Subscription {
    pub missed: Vec<Arc<Change>>,
    pub coming: broadcast::Receiver<Arc<Change>>,
}

/// A page of jobs, newest first, and how many there are.
#[derive(Debug, Default)]
pub struct Page {
    pub jobs: Vec<Arc<Job>>,
    /// Jobs that match, on every page.
    pub total: usize,
    /// Jobs by state that match all of the filter but its state.
    pub counts: BTreeMap<ProwJobState, usize>,
    /// The state of the index that this page shows.
    pub revision: u64,
}

/// Shared by the watch and every request.
#[derive(Debug)]
pub struct Index {
    state: RwLock<State>,
    changes: broadcast::Sender<Arc<Change>>,
    synced: signal::Sender<bool>,
}

/// Jobs in display order: see [`Job`]'s `Ord`.
type Set = BTreeSet<Arc<Job>>;

#[derive(Debug, Default)]
struct State {
    names: HashMap<Arc<str>, Arc<Job>>,
    order: Set,
    by_job: BTreeMap<Arc<str>, Set>,
    by_repo: BTreeMap<Arc<str>, Set>,
    by_author: BTreeMap<Arc<str>, Set>,
    by_pull: HashMap<u64, Set>,
    by_build: HashMap<Arc<str>, Set>,
    by_folder: HashMap<Arc<str>, Set>,
    /// Jobs that are hidden or a tenant's, as far as they say so themselves.
    hidden: usize,
    /// Jobs in line, by what they wait for.
    lines: HashMap<Arc<str>, Set>,
    interner: Interner,
    revision: u64,
    recent: VecDeque<Arc<Change>>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            changes: broadcast::Sender::new(REMEMBERED),
            synced: signal::Sender::new(false),
        }
    }
}

impl Index {
    /// Takes a job in, or its newer form.
    pub fn put(&self, object: &ProwJob) {
        // Takes its time, so it is done before the lock is taken.
        let Some(shown) = build::shown(object) else {
            return;
        };
        let mut state = self.write();
        let Some(after) = state.interner.job(object, shown).map(Arc::new) else {
            return;
        };
        let before = state.names.get(&after.name).cloned();
        if before
            .as_deref()
            .is_some_and(|before| before.shows_the_same(&after))
        {
            return;
        }
        self.replace(&mut state, before, Some(after));
    }

    /// Forgets a job.
    pub fn remove(&self, name: &str) {
        let mut state = self.write();
        if let Some(before) = state.names.get(name).cloned() {
            self.replace(&mut state, Some(before), None);
        }
    }

    /// Forgets every job that is not among `names`.
    pub fn retain(&self, names: &std::collections::HashSet<String>) {
        let gone: Vec<Arc<str>> = self
            .read()
            .names
            .keys()
            .filter(|name| !names.contains(name.as_ref()))
            .cloned()
            .collect();
        for name in gone {
            self.remove(&name);
        }
    }

    fn replace(&self, state: &mut State, before: Option<Arc<Job>>, after: Option<Arc<Job>>) {
        if let Some(before) = &before {
            state.unlink(before);
        }
        if let Some(after) = &after {
            state.link(after);
        }
        state.revision += 1;
        let change = Arc::new(Change {
            revision: state.revision,
            before,
            after,
        });
        if state.recent.len() == REMEMBERED {
            state.recent.pop_front();
        }
        state.recent.push_back(change.clone());
        // Nobody listening is no error. Sent under the lock, so that changes leave in order.
        drop(self.changes.send(change));
    }

    /// The jobs that `filter` asks for and `may_view` allows, `size` of them after `skip`.
    pub fn page(
        &self,
        filter: &Filter,
        may_view: impl Fn(&Job) -> bool,
        skip: usize,
        size: usize,
    ) -> Page {
        let globs = filter.job.as_slice();
        let named = MatchedNames::of(globs, self.names_for(globs));
        let state = self.read();
        let mut page = Page {
            revision: state.revision,
            ..Page::default()
        };
        for job in state.candidates(filter) {
            let is_named = globs.is_empty() || named.has(&job.job);
            if !is_named || !filter.matches_but_state_and_name(job) || !may_view(job) {
                continue;
            }
            *page.counts.entry(job.state).or_default() += 1;
            if filter.state.is_none_or(|wanted| wanted == job.state) {
                if page.total >= skip && page.jobs.len() < size {
                    page.jobs.push(job.clone());
                }
                page.total += 1;
            }
        }
        page
    }

    /// A job by its `ProwJob`'s name.
    pub fn by_name(&self, name: &str) -> Option<Arc<Job>> {
        self.read().names.get(name).cloned()
    }

    /// A run by its job and build id; the newest, should there be two.
    pub fn by_build(&self, job: &str, build_id: &str) -> Option<Arc<Job>> {
        let state = self.read();
        let runs = state.by_build.get(build_id)?;
        runs.iter().find(|run| run.job.as_ref() == job).cloned()
    }

    /// Runs whose folder this is, in whatever bucket, seen or not.
    pub(crate) fn in_folder(&self, folder: &str) -> Vec<Arc<Job>> {
        let state = self.read();
        let runs = state.by_folder.get(folder);
        runs.into_iter().flatten().cloned().collect()
    }

    /// Whether a job says of itself that it is not for everybody.
    pub(crate) fn any_hidden(&self) -> bool {
        self.read().hidden > 0
    }

    /// The newest run of a job, seen or not.
    pub fn newest(&self, job: &str) -> Option<Arc<Job>> {
        self.read().by_job.get(job)?.first().cloned()
    }

    /// The newest run that may be seen of each job whose name matches one of `patterns`, by name.
    pub fn latest(&self, patterns: &[Pattern], may_view: impl Fn(&Job) -> bool) -> Vec<Arc<Job>> {
        let names = MatchedNames::of(patterns, self.names_for(patterns)).into_names();
        let names: BTreeSet<Arc<str>> = names.collect();
        let state = self.read();
        let runs = names.iter().filter_map(|name| state.by_job.get(name));
        runs.filter_map(|runs| runs.iter().find(|run| may_view(run)).cloned())
            .collect()
    }

    /// The names that one of these may match.
    fn names_for(&self, patterns: &[Pattern]) -> Vec<Arc<str>> {
        let exact: Option<Vec<&str>> = patterns.iter().map(Pattern::exact).collect();
        let state = self.read();
        match exact {
            Some(names) => {
                let known = names
                    .into_iter()
                    .map(|name| state.by_job.get_key_value(name));
                known.flatten().map(|(name, _)| name.clone()).collect()
            }
            None => state.by_job.keys().cloned().collect(),
        }
    }

    /// Repositories, jobs and authors to choose from, at most `limit` of each.
    pub fn choices(&self, may_view: impl Fn(&Job) -> bool, limit: usize) -> Choices {
        let state = self.read();
        let of = |sets: &BTreeMap<Arc<str>, Set>| {
            let seen = sets
                .iter()
                .filter(|(_, jobs)| jobs.iter().any(|job| may_view(job)));
            seen.map(|(name, _)| name.clone()).take(limit).collect()
        };
        Choices {
            repos: of(&state.by_repo),
            jobs: of(&state.by_job),
            authors: of(&state.by_author),
        }
    }

    /// The place in line of a job that waits for a limit, from 1. Never stored: it changes with
    /// every job before it.
    pub fn place_in_line(&self, job: &Job) -> Option<usize> {
        if !job.is_in_line() {
            return None;
        }
        let state = self.read();
        let line = state.lines.get(&job.description)?;
        Some(line.iter().rev().take_while(|it| it.as_ref() > job).count() + 1)
    }

    /// What happened after `revision`, and what will. `None`: too long ago, start afresh.
    pub fn subscribe(&self, revision: u64) -> Option<Subscription> {
        let state = self.read();
        let oldest = state
            .recent
            .front()
            .map_or(state.revision + 1, |change| change.revision);
        if revision > state.revision || revision + 1 < oldest {
            return None;
        }
        let missed = state
            .recent
            .iter()
            .filter(|change| change.revision > revision)
            .cloned()
            .collect();
        Some(Subscription {
            missed,
            coming: self.changes.subscribe(),
        })
    }

    /// Changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Change>> {
        self.changes.subscribe()
    }

    pub fn len(&self) -> usize {
        self.read().order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first listing is in; before it an empty page would be a lie.
    pub fn synced(&self) -> signal::Receiver<bool> {
        self.synced.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the filters offer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choices {
    pub repos: Vec<Arc<str>>,
    pub jobs: Vec<Arc<str>>,
    pub authors: Vec<Arc<str>>,
}

impl State {
    /// The smallest set that holds everything `filter` asks for.
    fn candidates(&self, filter: &Filter) -> impl Iterator<Item = &Arc<Job>> {
        static NONE: Set = Set::new();
        let sets = [
            filter
                .job
                .as_ref()
                .and_then(Pattern::exact)
                .map(|job| self.by_job.get(job)),
            filter.repo.as_deref().map(|repo| self.by_repo.get(repo)),
            filter
                .author
                .as_deref()
                .map(|author| self.by_author.get(author)),
            filter.pull.map(|pull| self.by_pull.get(&pull)),
        ];
        let asked = sets.into_iter().flatten().map(|set| set.unwrap_or(&NONE));
        asked
            .min_by_key(|set| set.len())
            .unwrap_or(&self.order)
            .iter()
    }

    fn link(&mut self, job: &Arc<Job>) {
        self.hidden += usize::from(job.is_hidden());
        if let Some(folder) = &job.folder {
            let runs = self.by_folder.entry(folder.clone()).or_default();
            runs.insert(job.clone());
        }
        self.names.insert(job.name.clone(), job.clone());
        self.order.insert(job.clone());
        self.by_job
            .entry(job.job.clone())
            .or_default()
            .insert(job.clone());
        for repo in &job.repos {
            self.by_repo
                .entry(repo.clone())
                .or_default()
                .insert(job.clone());
        }
        for pull in &job.pulls {
            self.by_author
                .entry(pull.author.clone())
                .or_default()
                .insert(job.clone());
            self.by_pull
                .entry(pull.number)
                .or_default()
                .insert(job.clone());
        }
        if job.is_in_line() {
            self.lines
                .entry(job.description.clone())
                .or_default()
                .insert(job.clone());
        }
        if !job.build_id.is_empty() {
            self.by_build
                .entry(job.build_id.clone())
                .or_default()
                .insert(job.clone());
        }
    }

    fn unlink(&mut self, job: &Arc<Job>) {
        self.hidden -= usize::from(job.is_hidden());
        if let Some(folder) = &job.folder {
            take_from_map(&mut self.by_folder, folder, job);
        }
        if job.is_in_line() {
            take_from_map(&mut self.lines, &job.description, job);
        }
        self.names.remove(&job.name);
        self.order.remove(job);
        take_from_tree(&mut self.by_job, &job.job, job);
        for repo in &job.repos {
            take_from_tree(&mut self.by_repo, repo, job);
        }
        for pull in &job.pulls {
            take_from_tree(&mut self.by_author, &pull.author, job);
            take_from_map(&mut self.by_pull, &pull.number, job);
        }
        take_from_map(&mut self.by_build, &job.build_id, job);
    }
}

fn take_from_tree(sets: &mut BTreeMap<Arc<str>, Set>, key: &Arc<str>, job: &Arc<Job>) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(job);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

fn take_from_map<K: Eq + Hash>(sets: &mut HashMap<K, Set>, key: &K, job: &Arc<Job>) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(job);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
