//! Every periodic with its rule, what is known of its runs, and when to look at it next. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use common::config::{Config, Periodic};
use jiff::Timestamp;

use super::{
    due::{Due, Rule, Since, Slot, due},
    history::{History, Run},
};

#[derive(Default)]
pub(super) struct Table {
    jobs: HashMap<String, Scheduled>,
    /// Of configured jobs and of others: a job may be configured while a run of it goes on.
    histories: HashMap<String, History>,
    timers: BTreeSet<(Timestamp, String)>,
    /// The unfinished runs of the listing that is under way.
    listing: HashSet<String>,
    /// When the first configuration was taken in.
    began: Option<Timestamp>,
}

struct Scheduled {
    periodic: Arc<Periodic>,
    rule: Rule,
    since: Since,
    timer: Option<Timestamp>,
    /// After a failure, not before this.
    not_before: Option<Timestamp>,
}

impl Table {
    /// Takes in a configuration. Jobs of the first one make up for what was missed; a schedule
    /// that is new or changed later has missed nothing.
    pub(super) fn configure(&mut self, config: &Config, now: Timestamp) {
        let catch_up = self.began.is_none();
        self.began.get_or_insert(now);
        let mut before = std::mem::take(&mut self.jobs);
        for periodic in &config.jobs.periodics {
            let name = &periodic.base.name;
            let rule = match Rule::of(periodic) {
                Ok(rule) => rule,
                Err(error) => {
                    tracing::error!(job = name, "the periodic cannot be scheduled: {error}");
                    continue;
                }
            };
            let kept = before.remove(name).filter(|known| known.rule == rule);
            let since = kept.map_or(Since { at: now, catch_up }, |known| known.since);
            let scheduled = Scheduled {
                periodic: Arc::clone(periodic),
                rule,
                since,
                timer: None,
                not_before: None,
            };
            self.jobs.insert(name.clone(), scheduled);
        }
        self.timers.clear();
        for name in self.jobs.keys().cloned().collect::<Vec<_>>() {
            self.wake(&name, now);
        }
    }

    pub(super) fn observe(&mut self, job: &str, name: &str, run: Run, now: Timestamp) {
        self.history(job).observe(name, run);
        self.wake(job, now);
    }

    pub(super) fn remove(&mut self, job: &str, name: &str, now: Timestamp) {
        self.history(job).remove(name, now);
        self.wake(job, now);
    }

    pub(super) fn begin_listing(&mut self) {
        self.listing.clear();
        self.histories.values_mut().for_each(History::begin_listing);
    }

    pub(super) fn listed(&mut self, job: &str, name: &str, run: Run) {
        if run.completed.is_none() {
            self.listing.insert(name.to_owned());
        }
        self.history(job).observe(name, run);
    }

    pub(super) fn end_listing(&mut self, now: Timestamp) {
        let listing = std::mem::take(&mut self.listing);
        for history in self.histories.values_mut() {
            history.end_listing(|name| listing.contains(name), now);
        }
        for name in self.jobs.keys().cloned().collect::<Vec<_>>() {
            self.wake(&name, now);
        }
    }

    /// The next moment at which something may be due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The runs that are due, each once: whoever is told makes it, and says how that went.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<(Arc<Periodic>, Slot)> {
        let mut all = Vec::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let (_, name) = self.timers.pop_first().expect("there is a first timer");
            all.extend(self.look(&name, now));
        }
        all
    }

    /// When this table began, if that was after the slot: what was made of the slot before, and
    /// deleted, it does not know.
    pub(super) fn late(&self, slot: Slot) -> Option<Timestamp> {
        self.began.filter(|began| slot.at <= *began)
    }

    /// A run is about to be made: from now on it counts.
    pub(super) fn ask(&mut self, job: &str, name: &str, run: Run) {
        self.history(job).ask(name, run);
    }

    pub(super) fn made(&mut self, job: &str, name: &str, now: Timestamp) {
        self.history(job).made(name);
        self.wake(job, now);
    }

    /// The run is not made; the job has its next chance at `again`.
    pub(super) fn refused(&mut self, job: &str, name: &str, again: Timestamp) {
        self.history(job).refused(name);
        if let Some(scheduled) = self.jobs.get_mut(job) {
            scheduled.not_before = Some(again);
            self.wake(job, again);
        }
    }

    fn look(&mut self, name: &str, now: Timestamp) -> Option<(Arc<Periodic>, Slot)> {
        let scheduled = self.jobs.get_mut(name)?;
        scheduled.timer = None;
        if let Some(at) = scheduled.not_before.filter(|at| *at > now) {
            self.wake(name, at);
            return None;
        }
        let history = self.histories.entry(name.to_owned()).or_default();
        let retry = scheduled.periodic.retry.as_ref();
        match due(&scheduled.rule, retry, history, scheduled.since, now) {
            Due::Now(slot) => {
                scheduled.not_before = None;
                Some((Arc::clone(&scheduled.periodic), slot))
            }
            Due::At(at) => {
                self.wake(name, at);
                None
            }
            Due::Waits => None,
        }
    }

    /// Looks at a configured job at `at`, and not at the time that was planned before.
    fn wake(&mut self, job: &str, at: Timestamp) {
        let Some(scheduled) = self.jobs.get_mut(job) else {
            return;
        };
        if let Some(planned) = scheduled.timer.replace(at) {
            self.timers.remove(&(planned, job.to_owned()));
        }
        self.timers.insert((at, job.to_owned()));
    }

    fn history(&mut self, job: &str) -> &mut History {
        if !self.histories.contains_key(job) {
            self.histories.insert(job.to_owned(), History::default());
        }
        self.histories
            .get_mut(job)
            .expect("it was put there if it was not")
    }
}
