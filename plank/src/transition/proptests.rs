//! Properties over every course of events: a job and its pod are simulated at random, with the
//! steps applied as the API would. Everything a decision reads is varied.

mod world;

use proptest::prelude::*;

use super::*;
use world::{RunSimulation, SimulatedEvent, SimulationSetup};

fn any_event() -> impl Strategy<Value = SimulatedEvent> {
    prop_oneof![
        prop_oneof![
            Just(PodPhase::Pending),
            Just(PodPhase::Running),
            Just(PodPhase::Succeeded),
            Just(PodPhase::Failed),
            Just(PodPhase::Unknown),
        ]
        .prop_map(SimulatedEvent::Phase),
        prop_oneof![Just("Evicted"), Just("NodeLost"), Just("DeadlineExceeded")]
            .prop_map(SimulatedEvent::Reason),
        prop_oneof![
            Just("PreemptionByScheduler"),
            Just("EvictionByEvictionAPI"),
            Just("DeletionByTaintManager"),
        ]
        .prop_map(SimulatedEvent::Drain),
        prop_oneof![
            Just("ErrImagePull"),
            Just("ImagePullBackOff"),
            Just("CreateContainerConfigError"),
            Just("ContainerCreating"),
        ]
        .prop_map(SimulatedEvent::Stuck),
        (
            prop_oneof![Just(0), Just(1), Just(127), Just(137)],
            any::<bool>()
        )
            .prop_map(|(code, sidecar)| SimulatedEvent::Exit(code, sidecar)),
        Just(SimulatedEvent::Hold),
        Just(SimulatedEvent::Delete),
        Just(SimulatedEvent::Confirm),
        Just(SimulatedEvent::Vanish),
        Just(SimulatedEvent::Abort),
        Just(SimulatedEvent::Superseded),
        (1..30_000i64).prop_map(SimulatedEvent::Seconds),
        any::<bool>().prop_map(SimulatedEvent::Refuse),
        any::<bool>().prop_map(SimulatedEvent::Delay),
        any::<bool>().prop_map(SimulatedEvent::Undeletable),
        prop_oneof![Just(None), (0..200i64).prop_map(Some)].prop_map(SimulatedEvent::Missing),
        (0..4u8).prop_map(SimulatedEvent::Token),
        (0..3u8).prop_map(SimulatedEvent::Cluster),
        (0..3u8).prop_map(SimulatedEvent::Start),
        Just(SimulatedEvent::Restart),
    ]
}

fn any_setup() -> impl Strategy<Value = SimulationSetup> {
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..4i64,
        any::<bool>(),
    )
        .prop_map(
            |(decorated, needs_token, fail_fast, crier, marks, max_revivals, counts_revivals)| {
                SimulationSetup {
                    decorated,
                    needs_token,
                    fail_fast,
                    crier,
                    marks,
                    max_revivals,
                    counts_revivals,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_final_state_stays_and_pods_are_claimed(
        setup in any_setup(),
        events in prop::collection::vec(any_event(), 1..40),
    ) {
        let mut world = RunSimulation::new(setup);
        world.take_steps();
        for event in &events {
            let before = world.job.clone();
            world.apply_event(event);
            world.take_steps();
            if before.is_complete() {
                prop_assert_eq!(&before.status, &world.job.status, "after {:?}", event);
            }
            let status = world.job.status.as_ref().unwrap();
            prop_assert!(status.pod_revival_count <= setup.max_revivals);
            prop_assert!(world.job.pod_revival_count() <= setup.max_revivals);
            let claimed = world.pods.iter().all(|id| id.parse::<usize>().unwrap() <= world.claims);
            prop_assert!(claimed, "a pod without a claim");
        }
    }

    /// Whatever has happened: when the API answers again, every run ends, and its pod with it,
    /// though no node confirms anything. crier may be away; then its finalizer keeps the pod, not
    /// the job.
    #[test]
    fn every_run_ends(
        setup in any_setup(),
        events in prop::collection::vec(any_event(), 1..30),
        confirms in any::<bool>(),
        undeletable in any::<bool>(),
    ) {
        let mut world = RunSimulation::new(setup);
        world.take_steps();
        for event in &events {
            world.apply_event(event);
            world.take_steps();
        }
        world.apply_event(&SimulatedEvent::Cluster(0));
        world.apply_event(&SimulatedEvent::Start(0));
        world.apply_event(&SimulatedEvent::Undeletable(undeletable));
        for _ in 0..60 {
            world.take_steps();
            if confirms {
                world.apply_event(&SimulatedEvent::Confirm);
            }
            world.run_crier();
            if world.job.is_complete() {
                break;
            }
            let next = world.wake_at();
            prop_assert!(next.is_some() || world.has_changed(), "nobody ever looks again: {world:?}");
            world.sleep_until(next);
        }
        prop_assert!(world.job.is_complete(), "it never ends: {:?} {:?}", world.job.status, world.pod);
        for _ in 0..3 {
            world.take_steps();
            world.apply_event(&SimulatedEvent::Confirm);
            world.run_crier();
        }
        if !undeletable && setup.crier {
            let stays = world.pod.as_ref().is_none_or(|pod| pod.deleting.is_none());
            prop_assert!(stays, "held for ever: {:?}", world.pod);
        }
    }
}
