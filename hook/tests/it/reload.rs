//! Configuration files that change while hook runs.

use std::time::{Duration, Instant};

use crate::world::{JOBS, World, WorldOptions};

/// hook promises two seconds; machines that build and test at once are slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for a job until it runs. Returns how long that took.
async fn runs(world: &World, number: u64, job: &str) -> Duration {
    let begin = Instant::now();
    let state = format!("{job} triggered");
    loop {
        let test = format!("/test {job}");
        world.comment(&world.maria, number, &test).await;
        if world.states().await.contains(&state) {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE, "{job} does not run");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_job_file_is_in_force_soon_and_a_bad_one_is_not() {
    let world = World::new().await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    assert_eq!(world.states().await, ["unit triggered"]);
    world.configure("jobs.yaml", &JOBS.replace("slow", "fresh"));
    runs(&world, number, "fresh").await;

    world.configure("jobs.yaml", "presubmits: {acme/widgets: [{nmae: x}]}\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.comment(&world.maria, number, "/test unit").await;
    let states = world.states().await;
    let units = states.iter().filter(|state| state.starts_with("unit "));
    assert_eq!(units.count(), 2, "the last good jobs run: {states:?}");

    world.configure("jobs.yaml", &JOBS.replace("slow", "mended"));
    runs(&world, number, "mended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_enabled_while_hook_runs() {
    let world = World::with_options(WorldOptions {
        plugins: Some("plugins: {other: {plugins: [trigger]}}\n"),
        ..WorldOptions::default()
    })
    .await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    assert!(world.states().await.is_empty());
    world.configure("plugins.yaml", "plugins: {acme: {plugins: [trigger]}}\n");
    runs(&world, number, "unit").await;
}
