//! The runs of one job. Pure, and small: the newest run and the names of those that are not
//! complete.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// A run, as far as the next one depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodicRun {
    pub started: Timestamp,
    pub completed: Option<Timestamp>,
    /// Complete, but not with success.
    pub failed: bool,
    /// The number of the retry; 0 for a run that is none.
    pub attempt: u32,
}

#[derive(Clone, Debug, Default)]
pub struct PeriodicHistory {
    /// The run that started last, even when its object is gone.
    newest: Option<(String, PeriodicRun)>,
    unfinished: BTreeSet<String>,
    /// Being created by this process, and not shown by the watch yet.
    ours: Option<(String, PeriodicRun, CreationProgress)>,
}

/// The progress of a creation whose run the watch has not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CreationProgress {
    Asked,
    Made,
    /// Created before a listing began: the run is in the listing, or was deleted.
    Overdue,
}

impl PeriodicHistory {
    /// The newest run, observed or being created.
    pub fn newest_run(&self) -> Option<&PeriodicRun> {
        let seen = self.newest.as_ref().map(|(_, run)| run);
        let ours = self.ours.as_ref().map(|(_, run, _)| run);
        seen.into_iter().chain(ours).max_by_key(|run| run.started)
    }

    pub fn is_running(&self) -> bool {
        self.ours.is_some() || !self.unfinished.is_empty()
    }

    /// Records a run as the watch shows it.
    pub fn observe_run(&mut self, name: &str, run: PeriodicRun) {
        if self.ours.as_ref().is_some_and(|(ours, ..)| ours == name) {
            self.ours = None;
        }
        if run.completed.is_some() {
            self.unfinished.remove(name);
        } else {
            self.unfinished.insert(name.to_owned());
        }
        let replaces = self
            .newest
            .as_ref()
            .is_none_or(|(newest, known)| newest == name || known.started <= run.started);
        if replaces {
            self.newest = Some((name.to_owned(), run));
        }
    }

    /// Records that a run is gone. An unfinished run ends with that, neither succeeded nor failed.
    pub fn remove_run(&mut self, name: &str, now: Timestamp) {
        self.unfinished.remove(name);
        if let Some((newest, run)) = &mut self.newest
            && newest == name
        {
            run.completed.get_or_insert(now);
        }
    }

    /// A listing of all runs begins.
    pub fn begin_listing(&mut self) {
        if let Some((.., sighting @ CreationProgress::Made)) = &mut self.ours {
            *sighting = CreationProgress::Overdue;
        }
    }

    /// The listing is over; `is_listed` by name.
    pub fn end_listing(&mut self, is_listed: impl Fn(&str) -> bool, now: Timestamp) {
        if matches!(self.ours, Some((.., CreationProgress::Overdue))) {
            self.ours = None;
        }
        let gone: Vec<String> = self
            .unfinished
            .iter()
            .filter(|name| !is_listed(name))
            .cloned()
            .collect();
        for name in gone {
            self.remove_run(&name, now);
        }
    }

    /// A run is about to be created: from now on it counts.
    pub fn begin_creation(&mut self, name: &str, run: PeriodicRun) {
        self.ours = Some((name.to_owned(), run, CreationProgress::Asked));
    }

    /// The run was created. The watch shows it soon, or has done so already.
    pub fn confirm_creation(&mut self, name: &str) {
        if let Some((ours, _, sighting)) = &mut self.ours
            && ours == name
        {
            *sighting = CreationProgress::Made;
        }
    }

    /// The run was not created.
    pub fn cancel_creation(&mut self, name: &str) {
        if self.ours.as_ref().is_some_and(|(ours, ..)| ours == name) {
            self.ours = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(started: i64, completed: Option<i64>) -> PeriodicRun {
        PeriodicRun {
            started: at(started),
            completed: completed.map(at),
            failed: false,
            attempt: 0,
        }
    }

    #[test]
    fn any_unfinished_run_counts_not_only_the_newest() {
        let mut history = PeriodicHistory::default();
        history.observe_run("by-hand", run(10, None));
        history.observe_run("new", run(20, Some(25)));
        assert!(history.is_running());
        assert_eq!(history.newest_run(), Some(&run(20, Some(25))));
        history.observe_run("by-hand", run(10, Some(30)));
        assert!(!history.is_running());
        assert_eq!(history.newest_run(), Some(&run(20, Some(25))));
    }

    #[test]
    fn a_deleted_run_is_over_and_not_forgotten() {
        let mut history = PeriodicHistory::default();
        history.observe_run("a", run(10, None));
        history.remove_run("a", at(15));
        assert!(!history.is_running());
        assert_eq!(history.newest_run(), Some(&run(10, Some(15))));
    }

    #[test]
    fn a_run_counts_from_when_it_is_asked_for_until_the_watch_shows_it() {
        let mut history = PeriodicHistory::default();
        history.begin_creation("a", run(10, None));
        assert!(history.is_running());
        history.confirm_creation("a");
        assert!(history.is_running());
        // The watch was faster than the answer, and the run is complete.
        history.observe_run("a", run(10, Some(12)));
        history.confirm_creation("a");
        assert!(!history.is_running());

        history.begin_creation("b", run(20, None));
        history.cancel_creation("b");
        assert!(!history.is_running());
        assert_eq!(history.newest_run(), Some(&run(10, Some(12))));
    }

    #[test]
    fn a_listing_ends_what_it_does_not_show() {
        let mut history = PeriodicHistory::default();
        history.observe_run("gone", run(10, None));
        history.begin_creation("made", run(20, None));
        history.confirm_creation("made");
        history.begin_listing();
        history.end_listing(|_| false, at(30));
        assert!(!history.is_running());

        // Created after the listing began: the watch will show it.
        history.begin_creation("late", run(40, None));
        history.begin_listing();
        history.confirm_creation("late");
        history.end_listing(|_| false, at(50));
        assert!(history.is_running());
    }
}
