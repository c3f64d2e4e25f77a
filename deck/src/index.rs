//! Every `ProwJob` in memory, reduced to what is shown, sorted and indexed.
//!
//! watch → [`JobIndex::put_job`]/[`JobIndex::remove_job`] → pages and [`JobChange`]s. Requests copy
//! and sort nothing: sets in display order are kept for each value of a filter. The index does not
//! decide whether a job may be seen: every reader passes a predicate.

mod convert;
mod filter;
mod job;
mod matched_names;
mod pattern;
mod prowjob_json;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use common::prowjob::{ProwJob, ProwJobState};
use tokio::sync::{broadcast, watch as signal};

use convert::StringInterner;
pub use filter::{JobFilter, JobListQuery};
pub use job::{IndexedJob, JobPullRequest, JobRepository};
use matched_names::MatchedNames;
pub use pattern::JobPattern;
pub use prowjob_json::OmitFields;
pub(crate) use watch::watch_prowjobs;

/// Changes that are kept for readers that were away for a moment.
const REMEMBERED_CHANGES: usize = 2048;

/// A job was added, changed or removed.
#[derive(Clone, Debug)]
pub struct JobChange {
    /// Strictly increasing within one process.
    pub revision: u64,
    pub before: Option<Arc<IndexedJob>>,
    pub after: Option<Arc<IndexedJob>>,
}

/// Changes without a gap between past and coming ones.
#[derive(Debug)]
pub struct ChangeSubscription {
    pub missed: Vec<Arc<JobChange>>,
    pub coming: broadcast::Receiver<Arc<JobChange>>,
}

/// A page of jobs, newest first, and their counts.
#[derive(Debug, Default)]
pub struct IndexPage {
    pub jobs: Vec<Arc<IndexedJob>>,
    /// Number of jobs that match, on all pages.
    pub total: usize,
    /// Number of jobs by state that match all of the filter but its state.
    pub counts: BTreeMap<ProwJobState, usize>,
    /// The revision of the index that this page shows.
    pub revision: u64,
}

/// The index, shared by the watch and every request.
#[derive(Debug)]
pub struct JobIndex {
    state: RwLock<IndexState>,
    changes: broadcast::Sender<Arc<JobChange>>,
    synced: signal::Sender<bool>,
}

/// Jobs in display order: see [`IndexedJob`]'s `Ord`.
type JobSet = BTreeSet<Arc<IndexedJob>>;

#[derive(Debug, Default)]
struct IndexState {
    names: HashMap<Arc<str>, Arc<IndexedJob>>,
    order: JobSet,
    by_job: BTreeMap<Arc<str>, JobSet>,
    by_repo: BTreeMap<Arc<str>, JobSet>,
    by_author: BTreeMap<Arc<str>, JobSet>,
    by_pull: HashMap<u64, JobSet>,
    by_build: HashMap<Arc<str>, JobSet>,
    by_folder: HashMap<Arc<str>, JobSet>,
    /// Number of jobs whose own fields hide them (`hidden`, tenant).
    hidden: usize,
    /// Queued jobs by description, which names the limit that they wait for.
    lines: HashMap<Arc<str>, JobSet>,
    interner: StringInterner,
    revision: u64,
    recent: VecDeque<Arc<JobChange>>,
}

impl Default for JobIndex {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            changes: broadcast::Sender::new(REMEMBERED_CHANGES),
            synced: signal::Sender::new(false),
        }
    }
}

impl JobIndex {
    /// Adds a job, or replaces it by its newer version.
    pub fn put_job(&self, object: &ProwJob) {
        // Redacting takes a while, so it is done before the lock is taken.
        let Some(shown) = convert::redacted_value(object) else {
            return;
        };
        let mut state = self.write_state();
        let Some(after) = state.interner.build_job(object, shown).map(Arc::new) else {
            return;
        };
        let before = state.names.get(&after.name).cloned();
        if before
            .as_deref()
            .is_some_and(|before| before.is_same_version(&after))
        {
            return;
        }
        self.replace_job(&mut state, before, Some(after));
    }

    pub fn remove_job(&self, name: &str) {
        let mut state = self.write_state();
        if let Some(before) = state.names.get(name).cloned() {
            self.replace_job(&mut state, Some(before), None);
        }
    }

    /// Removes every job that is not among `names`.
    pub fn retain_jobs(&self, names: &std::collections::HashSet<String>) {
        let gone: Vec<Arc<str>> = self
            .read_state()
            .names
            .keys()
            .filter(|name| !names.contains(name.as_ref()))
            .cloned()
            .collect();
        for name in gone {
            self.remove_job(&name);
        }
    }

    fn replace_job(
        &self,
        state: &mut IndexState,
        before: Option<Arc<IndexedJob>>,
        after: Option<Arc<IndexedJob>>,
    ) {
        if let Some(before) = &before {
            state.unlink_job(before);
        }
        if let Some(after) = &after {
            state.link_job(after);
        }
        state.revision += 1;
        let change = Arc::new(JobChange {
            revision: state.revision,
            before,
            after,
        });
        if state.recent.len() == REMEMBERED_CHANGES {
            state.recent.pop_front();
        }
        state.recent.push_back(change.clone());
        // No listener is no error. Sent under the lock, so that changes leave in order.
        drop(self.changes.send(change));
    }

    /// The jobs that match `filter` and pass `may_view`, `size` of them after the first `skip`.
    pub fn query_page(
        &self,
        filter: &JobFilter,
        may_view: impl Fn(&IndexedJob) -> bool,
        skip: usize,
        size: usize,
    ) -> IndexPage {
        let globs = filter.job.as_slice();
        let named = MatchedNames::match_names(globs, self.candidate_names(globs));
        let state = self.read_state();
        let mut page = IndexPage {
            revision: state.revision,
            ..IndexPage::default()
        };
        for job in state.candidate_jobs(filter) {
            let is_named = globs.is_empty() || named.contains_name(&job.job);
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

    /// Finds a job by the name of its `ProwJob`.
    pub fn find_by_name(&self, name: &str) -> Option<Arc<IndexedJob>> {
        self.read_state().names.get(name).cloned()
    }

    /// Finds a run by its job and build id; the newest if there are two.
    pub fn find_by_build(&self, job: &str, build_id: &str) -> Option<Arc<IndexedJob>> {
        let state = self.read_state();
        let runs = state.by_build.get(build_id)?;
        runs.iter().find(|run| run.job.as_ref() == job).cloned()
    }

    /// Runs with this folder, in any bucket, whether they may be seen or not.
    pub(crate) fn find_by_folder(&self, folder: &str) -> Vec<Arc<IndexedJob>> {
        let state = self.read_state();
        let runs = state.by_folder.get(folder);
        runs.into_iter().flatten().cloned().collect()
    }

    /// Whether any job's own fields hide it.
    pub(crate) fn any_hidden(&self) -> bool {
        self.read_state().hidden > 0
    }

    /// The newest run of a job, whether it may be seen or not.
    pub fn newest_run(&self, job: &str) -> Option<Arc<IndexedJob>> {
        self.read_state().by_job.get(job)?.first().cloned()
    }

    /// The newest run that passes `may_view` of each job that matches one of `patterns`, by name.
    pub fn latest_runs(
        &self,
        patterns: &[JobPattern],
        may_view: impl Fn(&IndexedJob) -> bool,
    ) -> Vec<Arc<IndexedJob>> {
        let names =
            MatchedNames::match_names(patterns, self.candidate_names(patterns)).into_names();
        let names: BTreeSet<Arc<str>> = names.collect();
        let state = self.read_state();
        let runs = names.iter().filter_map(|name| state.by_job.get(name));
        runs.filter_map(|runs| runs.iter().find(|run| may_view(run)).cloned())
            .collect()
    }

    /// The job names that may match one of these patterns.
    fn candidate_names(&self, patterns: &[JobPattern]) -> Vec<Arc<str>> {
        let exact: Option<Vec<&str>> = patterns.iter().map(JobPattern::exact_name).collect();
        let state = self.read_state();
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
    pub fn filter_choices(
        &self,
        may_view: impl Fn(&IndexedJob) -> bool,
        limit: usize,
    ) -> FilterChoices {
        let state = self.read_state();
        let of = |sets: &BTreeMap<Arc<str>, JobSet>| {
            let seen = sets
                .iter()
                .filter(|(_, jobs)| jobs.iter().any(|job| may_view(job)));
            seen.map(|(name, _)| name.clone()).take(limit).collect()
        };
        FilterChoices {
            repos: of(&state.by_repo),
            jobs: of(&state.by_job),
            authors: of(&state.by_author),
        }
    }

    /// The queue position, from 1, of a job that waits for a limit. It is never stored, since every
    /// job before it changes it.
    pub fn queue_position(&self, job: &IndexedJob) -> Option<usize> {
        if !job.is_queued() {
            return None;
        }
        let state = self.read_state();
        let line = state.lines.get(&job.description)?;
        Some(line.iter().rev().take_while(|it| it.as_ref() > job).count() + 1)
    }

    /// Changes after `revision`, past and coming. `None`: they are not kept any more, start afresh.
    pub fn subscribe_since(&self, revision: u64) -> Option<ChangeSubscription> {
        let state = self.read_state();
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
        Some(ChangeSubscription {
            missed,
            coming: self.changes.subscribe(),
        })
    }

    /// Subscribes to changes from now on.
    pub fn subscribe_changes(&self) -> broadcast::Receiver<Arc<JobChange>> {
        self.changes.subscribe()
    }

    pub fn len(&self) -> usize {
        self.read_state().order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first listing is complete; before that an empty page would be wrong.
    pub fn watch_synced(&self) -> signal::Receiver<bool> {
        self.synced.subscribe()
    }

    fn read_state(&self) -> RwLockReadGuard<'_, IndexState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, IndexState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values that the filters offer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilterChoices {
    pub repos: Vec<Arc<str>>,
    pub jobs: Vec<Arc<str>>,
    pub authors: Vec<Arc<str>>,
}

impl IndexState {
    /// The smallest set that contains all jobs that match `filter`.
    fn candidate_jobs(&self, filter: &JobFilter) -> impl Iterator<Item = &Arc<IndexedJob>> {
        static NONE: JobSet = JobSet::new();
        let sets = [
            filter
                .job
                .as_ref()
                .and_then(JobPattern::exact_name)
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

    fn link_job(&mut self, job: &Arc<IndexedJob>) {
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
        if job.is_queued() {
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

    fn unlink_job(&mut self, job: &Arc<IndexedJob>) {
        self.hidden -= usize::from(job.is_hidden());
        if let Some(folder) = &job.folder {
            remove_from_map(&mut self.by_folder, folder, job);
        }
        if job.is_queued() {
            remove_from_map(&mut self.lines, &job.description, job);
        }
        self.names.remove(&job.name);
        self.order.remove(job);
        remove_from_tree(&mut self.by_job, &job.job, job);
        for repo in &job.repos {
            remove_from_tree(&mut self.by_repo, repo, job);
        }
        for pull in &job.pulls {
            remove_from_tree(&mut self.by_author, &pull.author, job);
            remove_from_map(&mut self.by_pull, &pull.number, job);
        }
        remove_from_map(&mut self.by_build, &job.build_id, job);
    }
}

fn remove_from_tree(sets: &mut BTreeMap<Arc<str>, JobSet>, key: &Arc<str>, job: &Arc<IndexedJob>) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(job);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

fn remove_from_map<K: Eq + Hash>(sets: &mut HashMap<K, JobSet>, key: &K, job: &Arc<IndexedJob>) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(job);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
