//! The short form of `make soak`: plank behind a proxy that loses, delays, refuses and cuts off.

use std::time::Duration;

use crate::scenes::{Limits, Scene, run};

#[tokio::test(flavor = "multi_thread")]
async fn in_bad_weather_all_jobs_end_right_and_none_runs_twice() {
    let flags = ["request-timeout=1s", "watch-timeout=2s"];
    run(Scene {
        seed: std::env::var("PROW_SOAK_SEED")
            .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap()),
        jobs: 80,
        coming: Duration::from_secs(15),
        limits: Limits {
            all: 10,
            queue: 2,
            cluster: 6,
        },
        planks: 2,
        stall: Duration::from_secs(2),
        // Longer than a killed leader's lease, or nobody ever leads.
        blows: Duration::from_secs(13),
        flags: flags
            .map(|flag| format!("--kubernetes-client.{flag}"))
            .into(),
        patience: Duration::from_secs(240),
    })
    .await;
}
