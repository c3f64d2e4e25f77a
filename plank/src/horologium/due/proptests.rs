//! Properties over any sequence of time passing, runs ending, restarts, deletions and manual runs:
//! never two runs of a job at a time, never two for one slot.

use std::collections::{BTreeMap, HashSet};

use jiff::ToSpan as _;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum ScheduleEvent {
    /// Seconds pass.
    Pass(i64),
    /// The unfinished runs end.
    End { failed: bool },
    /// Somebody starts the job manually.
    ByHand,
    /// Horologium restarts: it knows only what the objects say.
    Restart,
    /// All complete runs but the newest are deleted, as sinker does.
    Sink,
}

fn any_event() -> impl Strategy<Value = ScheduleEvent> {
    prop_oneof![
        4 => (1_i64..7200).prop_map(ScheduleEvent::Pass),
        3 => any::<bool>().prop_map(|failed| ScheduleEvent::End { failed }),
        1 => Just(ScheduleEvent::ByHand),
        1 => Just(ScheduleEvent::Restart),
        1 => Just(ScheduleEvent::Sink),
    ]
}

const CALENDARS: [&str; 4] = [
    "0 * * * *",
    "*/7 * * * *",
    "TZ=Europe/Berlin 30 2 * * *",
    "TZ=America/New_York */20 1-3 * * *",
];

fn any_rule() -> impl Strategy<Value = PeriodicRule> {
    let span = || (1_i64..5000).prop_map(SignedDuration::from_secs);
    prop_oneof![
        span().prop_map(PeriodicRule::Every),
        span().prop_map(PeriodicRule::After),
        prop::sample::select(&CALENDARS[..]).prop_map(|text| match text.parse().unwrap() {
            CronSchedule::Calendar(calendar) => PeriodicRule::Calendar(calendar),
            CronSchedule::Every(_) => unreachable!("these are calendars"),
        }),
    ]
}

fn any_retry() -> impl Strategy<Value = Option<Retry>> {
    let retry =
        (any::<bool>(), 0_i64..12, 0_i64..4000).prop_map(|(run_all, attempts, seconds)| Retry {
            run_all,
            attempts,
            interval: Some(common::duration::GoDuration::from_secs(seconds)),
        });
    prop::option::of(retry)
}

/// The objects of the cluster, and horologium's view of them.
struct ScheduleSimulation {
    objects: BTreeMap<usize, PeriodicRun>,
    count: usize,
    history: PeriodicHistory,
    since: ScheduleSince,
    now: Timestamp,
    slots: HashSet<PeriodicSlot>,
    served: HashSet<Timestamp>,
}

impl ScheduleSimulation {
    fn add_run(&mut self, attempt: u32) {
        let started = Timestamp::from_second(self.now.as_second()).unwrap();
        let run = PeriodicRun {
            started,
            completed: None,
            failed: false,
            attempt,
        };
        self.history
            .observe_run(&self.count.to_string(), run.clone());
        self.objects.insert(self.count, run);
        self.count += 1;
    }

    fn apply_event(&mut self, event: &ScheduleEvent) {
        match event {
            ScheduleEvent::Pass(seconds) => self.now += seconds.seconds(),
            ScheduleEvent::End { failed } => {
                let open = self.objects.iter_mut();
                for (name, run) in open.filter(|(_, run)| run.completed.is_none()) {
                    run.completed = Some(self.now);
                    run.failed = *failed;
                    self.history.observe_run(&name.to_string(), run.clone());
                }
            }
            // Times are whole seconds.
            ScheduleEvent::ByHand => {
                self.now += 1.second();
                self.add_run(0);
            }
            ScheduleEvent::Restart => {
                self.history = PeriodicHistory::default();
                for (name, run) in &self.objects {
                    self.history.observe_run(&name.to_string(), run.clone());
                }
                self.since.at = self.now;
            }
            ScheduleEvent::Sink => {
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
                        history.remove_run(&name.to_string(), now);
                    }
                    stays
                });
            }
        }
    }

    fn check_next_run(
        &mut self,
        rule: &PeriodicRule,
        retry: Option<&Retry>,
    ) -> Result<(), TestCaseError> {
        match find_next_run(rule, retry, &self.history, self.since, self.now) {
            NextRun::Now(slot) => {
                let open = self.objects.values().filter(|run| run.completed.is_none());
                prop_assert_eq!(open.count(), 0, "two runs at a time");
                prop_assert!(self.slots.insert(slot), "{:?} is made twice", slot);
                if slot.attempt == 0 {
                    prop_assert!(slot.at <= self.now);
                    prop_assert!(self.served.insert(slot.at), "{} runs twice", slot.at);
                }
                self.add_run(slot.attempt);
            }
            NextRun::At(at) => prop_assert!(at > self.now, "a wait that is over"),
            NextRun::Waits => {}
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn one_run_at_a_time_and_one_for_a_slot(
        rule in any_rule(),
        retry in any_retry(),
        // Around the clock changes of Berlin and New York, and between them.
        start in prop::sample::select(&[1_774_742_400_i64, 1_761_350_400, 1_772_928_000, 1_785_585_600][..]),
        events in prop::collection::vec(any_event(), 1..60),
    ) {
        let now = Timestamp::from_second(start).unwrap();
        let mut world = ScheduleSimulation {
            objects: BTreeMap::new(),
            count: 0,
            history: PeriodicHistory::default(),
            since: ScheduleSince { at: now, catch_up: true },
            now,
            slots: HashSet::new(),
            served: HashSet::new(),
        };
        world.check_next_run(&rule, retry.as_ref())?;
        for event in &events {
            world.apply_event(event);
            world.check_next_run(&rule, retry.as_ref())?;
        }
    }

    /// However late the check is, the returned time is the first moment when something is due.
    #[test]
    fn nothing_is_due_before_the_wait_is_over(
        rule in any_rule(),
        ended in 0_i64..100_000,
        passed in 0_i64..100_000,
    ) {
        let start = Timestamp::from_second(1_774_742_400).unwrap();
        let mut history = PeriodicHistory::default();
        let run = PeriodicRun {
            started: start,
            completed: Some(start + ended.seconds()),
            failed: false,
            attempt: 0,
        };
        history.observe_run("a", run);
        let since = ScheduleSince { at: start, catch_up: true };
        let now = start + (ended + passed).seconds();
        if let NextRun::At(at) = find_next_run(&rule, None, &history, since, now) {
            let before = at - 1.second();
            if before >= now {
                prop_assert_eq!(find_next_run(&rule, None, &history, since, before), NextRun::At(at));
            }
            let then = find_next_run(&rule, None, &history, since, at);
            prop_assert_eq!(then, NextRun::Now(PeriodicSlot { at, attempt: 0 }));
        }
    }
}
