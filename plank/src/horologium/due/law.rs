//! Laws over any sequence of time passing, runs ending, restarts, deletions and runs made by
//! hand: never two runs of a job at a time, never two for one slot.

use std::collections::{BTreeMap, HashSet};

use jiff::ToSpan as _;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    /// Seconds pass.
    Pass(i64),
    /// The unfinished runs end.
    End { failed: bool },
    /// Somebody starts the job by hand.
    ByHand,
    /// Horologium starts anew: what it knows is what the objects say.
    Restart,
    /// All complete runs but the newest are deleted, as sinker does.
    Sink,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_i64..7200).prop_map(Event::Pass),
        3 => any::<bool>().prop_map(|failed| Event::End { failed }),
        1 => Just(Event::ByHand),
        1 => Just(Event::Restart),
        1 => Just(Event::Sink),
    ]
}

const CALENDARS: [&str; 4] = [
    "0 * * * *",
    "*/7 * * * *",
    "TZ=Europe/Berlin 30 2 * * *",
    "TZ=America/New_York */20 1-3 * * *",
];

fn rule() -> impl Strategy<Value = Rule> {
    let span = || (1_i64..5000).prop_map(SignedDuration::from_secs);
    prop_oneof![
        span().prop_map(Rule::Every),
        span().prop_map(Rule::After),
        prop::sample::select(&CALENDARS[..]).prop_map(|text| match text.parse().unwrap() {
            Schedule::Calendar(calendar) => Rule::Calendar(calendar),
            Schedule::Every(_) => unreachable!("these are calendars"),
        }),
    ]
}

fn retry() -> impl Strategy<Value = Option<Retry>> {
    let retry =
        (any::<bool>(), 0_i64..12, 0_i64..4000).prop_map(|(run_all, attempts, seconds)| Retry {
            run_all,
            attempts,
            interval: Some(common::duration::GoDuration::from_secs(seconds)),
        });
    prop::option::of(retry)
}

/// The objects of the cluster, and what horologium made of them.
struct World {
    objects: BTreeMap<usize, Run>,
    count: usize,
    history: History,
    since: Since,
    now: Timestamp,
    slots: HashSet<Slot>,
    served: HashSet<Timestamp>,
}

impl World {
    fn add(&mut self, attempt: u32) {
        let started = Timestamp::from_second(self.now.as_second()).unwrap();
        let run = Run {
            started,
            completed: None,
            failed: false,
            attempt,
        };
        self.history.observe(&self.count.to_string(), run.clone());
        self.objects.insert(self.count, run);
        self.count += 1;
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass(seconds) => self.now += seconds.seconds(),
            Event::End { failed } => {
                let open = self.objects.iter_mut();
                for (name, run) in open.filter(|(_, run)| run.completed.is_none()) {
                    run.completed = Some(self.now);
                    run.failed = *failed;
                    self.history.observe(&name.to_string(), run.clone());
                }
            }
            // Times are whole seconds.
            Event::ByHand => {
                self.now += 1.second();
                self.add(0);
            }
            Event::Restart => {
                self.history = History::default();
                for (name, run) in &self.objects {
                    self.history.observe(&name.to_string(), run.clone());
                }
                self.since.at = self.now;
            }
            Event::Sink => {
                let newest = self
                    .objects
                    .iter()
                    .max_by_key(|(name, run)| (run.started, **name));
                let newest = newest.map(|(name, _)| *name);
                let now = self.now;
                let history = &mut self.history;
                self.objects.retain(|name, run| {
                    let stays = run.completed.is_none() || Some(*name) == newest;
                    if !stays {
                        history.remove(&name.to_string(), now);
                    }
                    stays
                });
            }
        }
    }

    fn look(&mut self, rule: &Rule, retry: Option<&Retry>) -> Result<(), TestCaseError> {
        match due(rule, retry, &self.history, self.since, self.now) {
            Due::Now(slot) => {
                let open = self.objects.values().filter(|run| run.completed.is_none());
                prop_assert_eq!(open.count(), 0, "two runs at a time");
                prop_assert!(self.slots.insert(slot), "{:?} is made twice", slot);
                if slot.attempt == 0 {
                    prop_assert!(slot.at <= self.now);
                    prop_assert!(self.served.insert(slot.at), "{} runs twice", slot.at);
                }
                self.add(slot.attempt);
            }
            Due::At(at) => prop_assert!(at > self.now, "a wait that is over"),
            Due::Waits => {}
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn one_run_at_a_time_and_one_for_a_slot(
        rule in rule(),
        retry in retry(),
        // Around the changes of Berlin's and New York's clocks, and between.
        start in prop::sample::select(&[1_774_742_400_i64, 1_761_350_400, 1_772_928_000, 1_785_585_600][..]),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let now = Timestamp::from_second(start).unwrap();
        let mut world = World {
            objects: BTreeMap::new(),
            count: 0,
            history: History::default(),
            since: Since { at: now, catch_up: true },
            now,
            slots: HashSet::new(),
            served: HashSet::new(),
        };
        world.look(&rule, retry.as_ref())?;
        for event in &events {
            world.happen(event);
            world.look(&rule, retry.as_ref())?;
        }
    }

    /// However long nobody looked, the wait that is told is the first moment something is due.
    #[test]
    fn nothing_is_due_before_the_wait_is_over(
        rule in rule(),
        ended in 0_i64..100_000,
        passed in 0_i64..100_000,
    ) {
        let start = Timestamp::from_second(1_774_742_400).unwrap();
        let mut history = History::default();
        let run = Run {
            started: start,
            completed: Some(start + ended.seconds()),
            failed: false,
            attempt: 0,
        };
        history.observe("a", run);
        let since = Since { at: start, catch_up: true };
        let now = start + (ended + passed).seconds();
        if let Due::At(at) = due(&rule, None, &history, since, now) {
            let before = at - 1.second();
            if before >= now {
                prop_assert_eq!(due(&rule, None, &history, since, before), Due::At(at));
            }
            let then = due(&rule, None, &history, since, at);
            prop_assert_eq!(then, Due::Now(Slot { at, attempt: 0 }));
        }
    }
}
