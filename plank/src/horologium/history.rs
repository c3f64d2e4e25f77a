//! What is known of the runs of one job. Pure, and small: the newest run and the names of those
//! that are not complete.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// A run, as far as the next one depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub started: Timestamp,
    pub completed: Option<Timestamp>,
    /// Complete, and not with success.
    pub failed: bool,
    /// Which retry it is; 0 for a run that is none.
    pub attempt: u32,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    /// By start; the last one ever seen, even when its object is gone.
    newest: Option<(String, Run)>,
    unfinished: BTreeSet<String>,
    /// Asked for by this process and not seen by the watch yet.
    ours: Option<(String, Run, Sighting)>,
}

/// How far the making of a run has come that the watch has not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sighting {
    Asked,
    Made,
    /// Made before a listing began: it is in the listing, or was deleted.
    Overdue,
}

impl History {
    /// The newest run, seen or just asked for.
    pub fn newest(&self) -> Option<&Run> {
        let seen = self.newest.as_ref().map(|(_, run)| run);
        let ours = self.ours.as_ref().map(|(_, run, _)| run);
        seen.into_iter().chain(ours).max_by_key(|run| run.started)
    }

    pub fn is_running(&self) -> bool {
        self.ours.is_some() || !self.unfinished.is_empty()
    }

    /// Takes in a run as the watch shows it.
    pub fn observe(&mut self, name: &str, run: Run) {
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

    /// A run is gone. One that was unfinished ends with that, neither well nor badly.
    pub fn remove(&mut self, name: &str, now: Timestamp) {
        self.unfinished.remove(name);
        if let Some((newest, run)) = &mut self.newest
            && newest == name
        {
            run.completed.get_or_insert(now);
        }
    }

    /// Everything is listed anew from here on.
    pub fn begin_listing(&mut self) {
        if let Some((.., sighting @ Sighting::Made)) = &mut self.ours {
            *sighting = Sighting::Overdue;
        }
    }

    /// Everything was listed; `is_listed` by name.
    pub fn end_listing(&mut self, is_listed: impl Fn(&str) -> bool, now: Timestamp) {
        if matches!(self.ours, Some((.., Sighting::Overdue))) {
            self.ours = None;
        }
        let gone: Vec<String> = self
            .unfinished
            .iter()
            .filter(|name| !is_listed(name))
            .cloned()
            .collect();
        for name in gone {
            self.remove(&name, now);
        }
    }

    /// A run is about to be made: from now on it counts.
    pub fn ask(&mut self, name: &str, run: Run) {
        self.ours = Some((name.to_owned(), run, Sighting::Asked));
    }

    /// The run that was asked for is made. The watch shows it soon, or has done so already.
    pub fn made(&mut self, name: &str) {
        if let Some((ours, _, sighting)) = &mut self.ours
            && ours == name
        {
            *sighting = Sighting::Made;
        }
    }

    /// The run that was asked for is not made.
    pub fn refused(&mut self, name: &str) {
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

    fn run(started: i64, completed: Option<i64>) -> Run {
        Run {
            started: at(started),
            completed: completed.map(at),
            failed: false,
            attempt: 0,
        }
    }

    #[test]
    fn any_unfinished_run_counts_not_only_the_newest() {
        let mut history = History::default();
        history.observe("by-hand", run(10, None));
        history.observe("new", run(20, Some(25)));
        assert!(history.is_running());
        assert_eq!(history.newest(), Some(&run(20, Some(25))));
        history.observe("by-hand", run(10, Some(30)));
        assert!(!history.is_running());
        assert_eq!(history.newest(), Some(&run(20, Some(25))));
    }

    #[test]
    fn a_deleted_run_is_over_and_not_forgotten() {
        let mut history = History::default();
        history.observe("a", run(10, None));
        history.remove("a", at(15));
        assert!(!history.is_running());
        assert_eq!(history.newest(), Some(&run(10, Some(15))));
    }

    #[test]
    fn a_run_counts_from_when_it_is_asked_for_until_the_watch_shows_it() {
        let mut history = History::default();
        history.ask("a", run(10, None));
        assert!(history.is_running());
        history.made("a");
        assert!(history.is_running());
        // The watch was faster than the answer, and the run is complete.
        history.observe("a", run(10, Some(12)));
        history.made("a");
        assert!(!history.is_running());

        history.ask("b", run(20, None));
        history.refused("b");
        assert!(!history.is_running());
        assert_eq!(history.newest(), Some(&run(10, Some(12))));
    }

    #[test]
    fn a_listing_ends_what_it_does_not_show() {
        let mut history = History::default();
        history.observe("gone", run(10, None));
        history.ask("made", run(20, None));
        history.made("made");
        history.begin_listing();
        history.end_listing(|_| false, at(30));
        assert!(!history.is_running());

        // Made after the listing began: the watch goes on to show it.
        history.ask("late", run(40, None));
        history.begin_listing();
        history.made("late");
        history.end_listing(|_| false, at(50));
        assert!(history.is_running());
    }
}
