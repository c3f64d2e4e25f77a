//! Property test: what holds for any files, any disabled clusters and any failures.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::*;

const INFRA: u32 = 0;
const NAMES: [&str; 3] = ["default", "a", "b"];

#[derive(Clone, Debug)]
enum RegistryEvent {
    /// For each name: the version of its context, or none.
    Files([Option<u8>; 3]),
    Disable([bool; 3]),
    /// The oldest running attempt ends.
    Settle(AttemptEnding),
    Seconds(u8),
}

#[derive(Clone, Copy, Debug)]
enum AttemptEnding {
    Ready,
    NoClient,
    NoAnswer,
    Unauthorized,
    Forbidden,
}

fn any_registry_event() -> impl Strategy<Value = RegistryEvent> {
    let context = || proptest::option::of(0..3u8);
    prop_oneof![
        [context(), context(), context()].prop_map(RegistryEvent::Files),
        any::<[bool; 3]>().prop_map(RegistryEvent::Disable),
        prop_oneof![
            Just(AttemptEnding::Ready),
            Just(AttemptEnding::NoClient),
            Just(AttemptEnding::NoAnswer),
            Just(AttemptEnding::Unauthorized),
            Just(AttemptEnding::Forbidden),
        ]
        .prop_map(RegistryEvent::Settle),
        (0..8u8).prop_map(RegistryEvent::Seconds),
    ]
}

/// The registry with its environment. Clients are numbers that are never used twice.
struct RegistryWorld {
    roster: ClusterRegistry<u32>,
    files: [Option<u8>; 3],
    disabled: [bool; 3],
    under_way: Vec<(DueAttempt<u32>, Option<u8>)>,
    clients: u32,
    /// The context that each client was made from.
    made_of: BTreeMap<u32, (String, u8)>,
    now: Duration,
}

impl RegistryWorld {
    fn new() -> Self {
        let mut world = Self {
            roster: ClusterRegistry::new(INFRA),
            files: [None; 3],
            disabled: [false; 3],
            under_way: Vec::new(),
            clients: INFRA,
            made_of: BTreeMap::new(),
            now: Duration::ZERO,
        };
        world.apply_contexts();
        world
    }

    fn context_version(&self, alias: &str) -> Option<u8> {
        let index = NAMES.iter().position(|name| *name == alias).unwrap();
        self.files[index]
    }

    fn apply_contexts(&mut self) {
        let contexts = NAMES.iter().zip(self.files);
        let contexts = contexts
            .filter_map(|(name, version)| Some(((*name).to_owned(), version?.to_string().into())))
            .collect();
        let disabled: Vec<String> = NAMES
            .iter()
            .zip(self.disabled)
            .filter(|(_, disabled)| *disabled)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        self.roster.set_contexts(&contexts, &disabled, self.now);
    }

    fn apply_event(&mut self, event: &RegistryEvent) {
        match event {
            RegistryEvent::Files(files) => {
                self.files = *files;
                self.apply_contexts();
            }
            RegistryEvent::Disable(disabled) => {
                self.disabled = *disabled;
                self.apply_contexts();
            }
            RegistryEvent::Settle(ending) if !self.under_way.is_empty() => {
                self.finish_attempt(*ending)
            }
            RegistryEvent::Settle(_) => {}
            RegistryEvent::Seconds(seconds) => self.now += Duration::from_secs((*seconds).into()),
        }
        for tried in self.roster.take_due_attempts(self.now) {
            let version = self.context_version(&tried.alias);
            self.under_way.push((tried, version));
        }
    }

    fn finish_attempt(&mut self, ending: AttemptEnding) {
        let (tried, version) = self.under_way.remove(0);
        let client = tried.client.or_else(|| {
            (!matches!(ending, AttemptEnding::NoClient)).then(|| {
                self.clients += 1;
                let made_of = (tried.alias.clone(), version.expect("of a context"));
                self.made_of.insert(self.clients, made_of);
                self.clients
            })
        });
        let obstacle = match ending {
            AttemptEnding::Ready => None,
            AttemptEnding::NoClient => Some(ClusterObstacle::NoClient("no".into())),
            AttemptEnding::NoAnswer => Some(ClusterObstacle::NoAnswer("no".into())),
            AttemptEnding::Unauthorized => Some(ClusterObstacle::Unauthorized("no".into())),
            AttemptEnding::Forbidden => Some(ClusterObstacle::Forbidden(Vec::new())),
        };
        let outcome = AttemptOutcome { client, obstacle };
        self.roster.record_outcome(&tried, outcome, self.now);
    }

    fn cluster_snapshots(&self) -> BTreeMap<String, ClusterSnapshot<u32>> {
        let view = self.roster.cluster_snapshots();
        view.map(|(alias, view)| (alias.to_owned(), view)).collect()
    }

    fn expected_clusters(&self) -> BTreeSet<String> {
        let names = NAMES.iter().enumerate();
        names
            .filter(|(index, name)| {
                (self.files[*index].is_some() || **name == DEFAULT_CLUSTER)
                    && !self.disabled[*index]
            })
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }

    fn check_invariants(&self) {
        let view = self.cluster_snapshots();
        assert_eq!(
            view.keys().cloned().collect::<BTreeSet<_>>(),
            self.expected_clusters()
        );
        for (alias, it) in &view {
            assert!(it.client.is_some() || it.obstacle.is_some(), "{alias}");
            match (it.client, self.context_version(alias)) {
                (Some(INFRA), version) => {
                    assert!(alias == DEFAULT_CLUSTER && version.is_none(), "{alias}");
                }
                (Some(client), version) => {
                    assert_eq!(self.made_of[&client], (alias.clone(), version.unwrap()));
                }
                (None, _) => {}
            }
            // A cluster that is not ready is being tried, or will be soon.
            let entry = &self.roster.entries[alias];
            let tried = self
                .under_way
                .iter()
                .any(|(it, _)| it.alias == *alias && it.made_of == entry.made_of);
            let soon = entry.due.is_some_and(|due| due <= self.now + LONGEST_RETRY);
            assert!(
                it.obstacle.is_none() || tried || soon,
                "{alias} is forgotten"
            );
        }
    }
}

proptest! {
    #[test]
    fn of_every_course_of_events(events in vec(any_registry_event(), 1..60)) {
        let mut world = RegistryWorld::new();
        for event in &events {
            let before = (world.files, world.disabled, world.cluster_snapshots());
            world.apply_event(event);
            world.check_invariants();
            let now = world.cluster_snapshots();
            for (index, name) in NAMES.iter().enumerate() {
                let unchanged = before.0[index] == world.files[index]
                    && before.1[index] == world.disabled[index];
                let (Some(was), Some(is)) = (before.2.get(*name), now.get(*name)) else {
                    continue;
                };
                if unchanged && was.client.is_some() {
                    prop_assert_eq!(was.client, is.client, "{} keeps its client", name);
                }
                if was.version == is.version {
                    prop_assert_eq!(&was.obstacle, &is.obstacle);
                    prop_assert_eq!(was.client, is.client);
                }
            }
        }
    }

    #[test]
    fn what_answers_in_the_end_is_ready_in_the_end(
        events in vec(any_registry_event(), 0..30),
        files in [Just(Some(7)), Just(Some(7)), Just(None)],
    ) {
        let mut world = RegistryWorld::new();
        events.iter().for_each(|event| world.apply_event(event));
        world.apply_event(&RegistryEvent::Files(files));
        world.apply_event(&RegistryEvent::Disable([false; 3]));
        for _ in 0..60 {
            world.apply_event(&RegistryEvent::Settle(AttemptEnding::Ready));
            world.apply_event(&RegistryEvent::Seconds(5));
        }
        let view = world.cluster_snapshots();
        prop_assert_eq!(view.len(), 2);
        prop_assert!(view.values().all(|it| it.client.is_some() && it.obstacle.is_none()));
    }
}
