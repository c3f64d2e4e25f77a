//! The short form of `make soak`: plank and sinker behind a proxy that loses, delays, refuses and
//! cuts off requests.

use std::time::Duration;

use crate::scenes::{Limits, Scene, Sinks, run, sink};

fn seed() -> u64 {
    std::env::var("PROW_SOAK_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| format!("--{flag}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bad_weather_all_jobs_end_right_and_none_runs_twice() {
    run(Scene {
        seed: seed(),
        jobs: 80,
        coming: Duration::from_secs(15),
        limits: Limits {
            all: 10,
            queue: 2,
            cluster: 6,
        },
        planks: 2,
        stall: Duration::from_secs(2),
        // Longer than the lease of a killed leader, or nobody ever leads.
        blows: Duration::from_secs(13),
        flags: flags(&[
            "kubernetes-client.request-timeout=1s",
            "kubernetes-client.watch-timeout=2s",
            "leader-elect-lease-duration=10s",
            "leader-elect-renew-deadline=7s",
        ]),
        patience: Duration::from_secs(240),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bad_weather_exactly_what_is_due_goes() {
    sink(Sinks {
        seed: seed(),
        objects: 12,
        sinkers: 2,
        stall: Duration::from_secs(2),
        blows: Duration::from_secs(8),
        flags: flags(&[
            "kubernetes-client.request-timeout=1s",
            "kubernetes-client.watch-timeout=2s",
            "leader-elect-lease-duration=5s",
            "leader-elect-renew-deadline=4s",
            "leader-elect-retry-period=1s",
        ]),
        patience: Duration::from_secs(240),
    })
    .await;
}
