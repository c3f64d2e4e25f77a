//! What holds for every course of events: a job and its pod are played through at random, with
//! the steps applied as the API would. Everything a decision reads is varied.

mod world;

use proptest::prelude::*;

use super::*;
use world::{Event, Setup, World};

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop_oneof![
            Just(Phase::Pending),
            Just(Phase::Running),
            Just(Phase::Succeeded),
            Just(Phase::Failed),
            Just(Phase::Unknown),
        ]
        .prop_map(Event::Phase),
        prop_oneof![Just("Evicted"), Just("NodeLost"), Just("DeadlineExceeded")]
            .prop_map(Event::Reason),
        prop_oneof![
            Just("PreemptionByScheduler"),
            Just("EvictionByEvictionAPI"),
            Just("DeletionByTaintManager"),
        ]
        .prop_map(Event::Drain),
        prop_oneof![
            Just("ErrImagePull"),
            Just("ImagePullBackOff"),
            Just("CreateContainerConfigError"),
            Just("ContainerCreating"),
        ]
        .prop_map(Event::Stuck),
        (
            prop_oneof![Just(0), Just(1), Just(127), Just(137)],
            any::<bool>()
        )
            .prop_map(|(code, sidecar)| Event::Exit(code, sidecar)),
        Just(Event::Hold),
        Just(Event::Delete),
        Just(Event::Confirm),
        Just(Event::Vanish),
        Just(Event::Abort),
        Just(Event::Superseded),
        (1..30_000i64).prop_map(Event::Seconds),
        any::<bool>().prop_map(Event::Refuse),
        any::<bool>().prop_map(Event::Delay),
        any::<bool>().prop_map(Event::Undeletable),
        prop_oneof![Just(None), (0..200i64).prop_map(Some)].prop_map(Event::Missing),
        (0..4u8).prop_map(Event::Token),
        (0..3u8).prop_map(Event::Cluster),
        (0..3u8).prop_map(Event::Start),
        Just(Event::Restart),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..4i64,
    )
        .prop_map(
            |(decorated, needs_token, fail_fast, crier, marks, max_revivals)| Setup {
                decorated,
                needs_token,
                fail_fast,
                crier,
                marks,
                max_revivals,
            },
        )
}

proptest! {
    #[test]
    fn a_final_state_stays_and_pods_are_claimed(
        setup in setup(),
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = World::new(setup);
        world.settle();
        for event in &events {
            let before = world.job.clone();
            world.happens(event);
            world.settle();
            if before.is_complete() {
                prop_assert_eq!(&before.status, &world.job.status, "after {:?}", event);
            }
            let status = world.job.status.as_ref().unwrap();
            prop_assert!(status.pod_revival_count <= setup.max_revivals);
            let claimed = world.pods.iter().all(|id| id.parse::<usize>().unwrap() <= world.claims);
            prop_assert!(claimed, "a pod without a claim");
        }
    }

    /// Whatever has happened: when the API answers again, every run ends, and its pod with it,
    /// though no node confirms anything. crier may be away; then its finalizer keeps the pod, not
    /// the job.
    #[test]
    fn every_run_ends(
        setup in setup(),
        events in prop::collection::vec(event(), 1..30),
        confirms in any::<bool>(),
        undeletable in any::<bool>(),
    ) {
        let mut world = World::new(setup);
        world.settle();
        for event in &events {
            world.happens(event);
            world.settle();
        }
        world.happens(&Event::Cluster(0));
        world.happens(&Event::Start(0));
        world.happens(&Event::Undeletable(undeletable));
        for _ in 0..60 {
            world.settle();
            if confirms {
                world.happens(&Event::Confirm);
            }
            world.crier_acts();
            if world.job.is_complete() {
                break;
            }
            let next = world.wake_at();
            prop_assert!(next.is_some() || world.has_changed(), "nobody ever looks again: {world:?}");
            world.sleep_until(next);
        }
        prop_assert!(world.job.is_complete(), "it never ends: {:?} {:?}", world.job.status, world.pod);
        for _ in 0..3 {
            world.settle();
            world.happens(&Event::Confirm);
            world.crier_acts();
        }
        if !undeletable && setup.crier {
            let stays = world.pod.as_ref().is_none_or(|pod| pod.deleting.is_none());
            prop_assert!(stays, "held for ever: {:?}", world.pod);
        }
    }
}
