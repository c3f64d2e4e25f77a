//! Every periodic with its rule, the history of its runs, and when to check it next. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use common::config::{Config, Periodic};
use jiff::Timestamp;

use super::{
    due::{NextRun, PeriodicRule, PeriodicSlot, ScheduleSince, find_next_run},
    history::{PeriodicHistory, PeriodicRun},
};

#[derive(Default)]
pub(super) struct ScheduleTable {
    jobs: HashMap<String, ScheduledPeriodic>,
    /// Of all jobs, configured or not: a job may be configured while a run of it goes on.
    histories: HashMap<String, PeriodicHistory>,
    timers: BTreeSet<(Timestamp, String)>,
    /// The unfinished runs of the listing that is under way.
    listing: HashSet<String>,
    /// When the first configuration was applied.
    began: Option<Timestamp>,
}

struct ScheduledPeriodic {
    periodic: Arc<Periodic>,
    rule: PeriodicRule,
    since: ScheduleSince,
    timer: Option<Timestamp>,
    /// After a failed create, not before this time.
    not_before: Option<Timestamp>,
}

impl ScheduleTable {
    /// Applies a configuration. Jobs of the first one make up for what was missed; a schedule that
    /// is new or changed later has missed nothing.
    pub(super) fn apply_config(&mut self, config: &Config, now: Timestamp) {
        let catch_up = self.began.is_none();
        self.began.get_or_insert(now);
        let mut before = std::mem::take(&mut self.jobs);
        for periodic in &config.jobs.periodics {
            let name = &periodic.base.name;
            let rule = match PeriodicRule::from_periodic(periodic) {
                Ok(rule) => rule,
                Err(error) => {
                    tracing::error!(job = name, "the periodic cannot be scheduled: {error}");
                    continue;
                }
            };
            let kept = before.remove(name).filter(|known| known.rule == rule);
            let since = kept.map_or(ScheduleSince { at: now, catch_up }, |known| known.since);
            let scheduled = ScheduledPeriodic {
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
            self.set_timer(&name, now);
        }
    }

    pub(super) fn observe_run(&mut self, job: &str, name: &str, run: PeriodicRun, now: Timestamp) {
        self.history_mut(job).observe_run(name, run);
        self.set_timer(job, now);
    }

    pub(super) fn remove_run(&mut self, job: &str, name: &str, now: Timestamp) {
        self.history_mut(job).remove_run(name, now);
        self.set_timer(job, now);
    }

    pub(super) fn begin_listing(&mut self) {
        self.listing.clear();
        self.histories
            .values_mut()
            .for_each(PeriodicHistory::begin_listing);
    }

    pub(super) fn observe_listed_run(&mut self, job: &str, name: &str, run: PeriodicRun) {
        if run.completed.is_none() {
            self.listing.insert(name.to_owned());
        }
        self.history_mut(job).observe_run(name, run);
    }

    pub(super) fn end_listing(&mut self, now: Timestamp) {
        let listing = std::mem::take(&mut self.listing);
        for history in self.histories.values_mut() {
            history.end_listing(|name| listing.contains(name), now);
        }
        for name in self.jobs.keys().cloned().collect::<Vec<_>>() {
            self.set_timer(&name, now);
        }
    }

    /// The next moment at which something may be due.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The runs that are due, each once: the caller creates it and reports the result.
    pub(super) fn take_due_runs(&mut self, now: Timestamp) -> Vec<(Arc<Periodic>, PeriodicSlot)> {
        let mut all = Vec::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let (_, name) = self.timers.pop_first().expect("there is a first timer");
            all.extend(self.check_job(&name, now));
        }
        all
    }

    /// When this table began, if that was after the slot: a run of the slot that was created and
    /// deleted before is unknown to it.
    pub(super) fn began_after_slot(&self, slot: PeriodicSlot) -> Option<Timestamp> {
        self.began.filter(|began| slot.at <= *began)
    }

    /// A run is about to be created: from now on it counts.
    pub(super) fn begin_creation(&mut self, job: &str, name: &str, run: PeriodicRun) {
        self.history_mut(job).begin_creation(name, run);
    }

    pub(super) fn confirm_creation(&mut self, job: &str, name: &str, now: Timestamp) {
        self.history_mut(job).confirm_creation(name);
        self.set_timer(job, now);
    }

    /// The run was not created; the next try is at `again`.
    pub(super) fn cancel_creation(&mut self, job: &str, name: &str, again: Timestamp) {
        self.history_mut(job).cancel_creation(name);
        if let Some(scheduled) = self.jobs.get_mut(job) {
            scheduled.not_before = Some(again);
            self.set_timer(job, again);
        }
    }

    fn check_job(&mut self, name: &str, now: Timestamp) -> Option<(Arc<Periodic>, PeriodicSlot)> {
        let scheduled = self.jobs.get_mut(name)?;
        scheduled.timer = None;
        if let Some(at) = scheduled.not_before.filter(|at| *at > now) {
            self.set_timer(name, at);
            return None;
        }
        let history = self.histories.entry(name.to_owned()).or_default();
        let retry = scheduled.periodic.retry.as_ref();
        match find_next_run(&scheduled.rule, retry, history, scheduled.since, now) {
            NextRun::Now(slot) => {
                scheduled.not_before = None;
                Some((Arc::clone(&scheduled.periodic), slot))
            }
            NextRun::At(at) => {
                self.set_timer(name, at);
                None
            }
            NextRun::Waits => None,
        }
    }

    /// Checks a configured job at `at`, and not at the time that was planned before.
    fn set_timer(&mut self, job: &str, at: Timestamp) {
        let Some(scheduled) = self.jobs.get_mut(job) else {
            return;
        };
        if let Some(planned) = scheduled.timer.replace(at) {
            self.timers.remove(&(planned, job.to_owned()));
        }
        self.timers.insert((at, job.to_owned()));
    }

    fn history_mut(&mut self, job: &str) -> &mut PeriodicHistory {
        if !self.histories.contains_key(job) {
            self.histories
                .insert(job.to_owned(), PeriodicHistory::default());
        }
        self.histories
            .get_mut(job)
            .expect("it was put there if it was not")
    }
}
