//! The tests that take long: a thousand jobs under faults, with the timeouts of a real
//! installation. `make soak`; the numbers are `PROW_SOAK_SEED`, `PROW_SOAK_JOBS`. On the embedded
//! API, or on the cluster of `PROW_TEST_KUBECONFIG`.

#[path = "../faults/lib.rs"]
mod faults;

use std::{env, str::FromStr, time::Duration};

use faults::{Limits, Scene, Sinks, run, sink};

/// A number that the environment may set.
fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name}={text}: expected a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_in_bad_weather() {
    run(Scene {
        seed: number("PROW_SOAK_SEED").unwrap_or_else(rand::random),
        jobs: number("PROW_SOAK_JOBS").unwrap_or(1000),
        coming: Duration::from_secs(120),
        limits: Limits {
            all: 40,
            queue: 8,
            cluster: 25,
        },
        planks: 2,
        stall: Duration::from_secs(30),
        blows: Duration::from_secs(45),
        flags: Vec::new(),
        patience: Duration::from_secs(60 * 60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pods_and_sinkers_in_bad_weather() {
    sink(Sinks {
        seed: number("PROW_SOAK_SEED").unwrap_or_else(rand::random),
        objects: 150,
        sinkers: 2,
        stall: Duration::from_secs(30),
        blows: Duration::from_secs(45),
        flags: Vec::new(),
        patience: Duration::from_secs(60 * 60),
    })
    .await;
}
