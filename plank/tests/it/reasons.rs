//! Every run ends with its reason, where people look for it.

use std::path::Path;

use common::prowjob::ProwJobState;
use kube::api::DeleteParams;
use plank::crier::CrierContext;
use serde_json::{Value, json};

use crate::{
    cluster::{build_id, description, ended},
    world::{World, start},
};

const FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

impl World {
    /// A crier with every reporter but Slack's.
    async fn telling(&self) -> CrierContext {
        let mut ctx = self.with_checks();
        ctx.github = self.app().await;
        ctx.settings.blob_storage_workers = 2;
        ctx.settings.kubernetes_blob_storage_workers = 2;
        ctx
    }

    async fn all_marked(&self, name: &str, state: ProwJobState) {
        for reporter in [
            "github-reporter",
            "github-check-reporter",
            "gcsreporter",
            "gcsk8sreporter",
        ] {
            self.marked(name, reporter, state).await;
        }
    }

    async fn check_run(&self) -> Value {
        let path = format!("/repos/acme/widgets/commits/{}/check-runs", self.sha);
        self.get(&path).await["check_runs"][0].clone()
    }

    /// The newest commit status.
    async fn newest_status(&self) -> Value {
        let path = format!("/repos/acme/widgets/commits/{}/statuses", self.sha);
        self.get(&path).await[0].clone()
    }

    async fn run_folder(&self, name: &str) -> std::path::PathBuf {
        let job = self
            .cluster
            .job(name, "a build id", |job| !build_id(job).is_empty())
            .await;
        let folder = format!("pr-logs/pull/acme_widgets/1/{name}/{}", build_id(&job));
        self.bucket_dir().join(folder)
    }
}

fn read(folder: &Path, name: &str) -> Value {
    let text = std::fs::read(folder.join(name));
    serde_json::from_slice(&text.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap()
}

fn write(folder: &Path, files: &[(&str, Value)]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, json) in files {
        std::fs::write(folder.join(name), json.to_string()).unwrap();
    }
}

/// A pod whose initupload ended with this message in its log.
fn ended_before_the_test(message: &str) -> Value {
    let line = json!({"component": "initupload", "level": "error", "msg": message});
    json!({
        "phase": "Failed",
        "initContainerStatuses": [
            {"name": "clonerefs", "image": "c", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-08-01T00:00:00Z"}}},
            {"name": "initupload", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 1, "finishedAt": "2026-08-01T00:00:00Z",
                    "message": format!("{line}\n")}}},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_failed_says_why_everywhere() {
    let world = World::new().await;
    start(world.telling().await);
    world.trigger("unit", json!({})).await;
    let folder = world.run_folder("unit").await;
    let records = json!([{}, {
        "refs": {"org": "acme", "repo": "widgets", "base_ref": "main",
            "pulls": [{"number": 1, "author": "maria", "sha": world.sha}]},
        "commands": [{
            "command": format!("PWD=/go git merge --no-ff {}", world.sha), "error": "exit status: 1",
            "output": "CONFLICT (content): Merge conflict in main.txt\nAutomatic merge failed\n",
        }],
        "failed": true,
    }]);
    let finished = json!({"timestamp": 1, "passed": false, "result": "FAILURE"});
    write(
        &folder,
        &[("clone-records.json", records), ("finished.json", finished)],
    );
    let why = "conflict in main.txt with main: rebase #1";
    world.cluster.pod("unit").await;
    world
        .cluster
        .set_pod("unit", ended_before_the_test(why))
        .await;
    world.all_marked("unit", ProwJobState::Failure).await;

    let job = world.cluster.complete("unit").await;
    assert_eq!(
        description(&job),
        format!("Job failed in initupload: {why}")
    );
    let status = world.newest_status().await.to_string();
    assert!(status.contains(why), "{status}");
    let run = world.check_run().await;
    assert_eq!(run["output"]["title"], why);
    let text = run["output"]["text"].as_str().unwrap();
    assert!(text.contains("CONFLICT (content)"), "{text}");
    let body = &world.comments().await[0].body;
    assert!(body.contains(&format!("<code>{why}</code>")), "{body}");
    let stored = read(&folder, "failure.json");
    assert_eq!(
        (&stored["kind"], &stored["summary"]),
        (&json!("clone"), &json!(why))
    );
    assert!(stored.get("note").is_none(), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_while_it_runs_is_told_to_have_ended() {
    let world = World::new().await;
    start(world.telling().await);
    world.trigger("unit", json!({})).await;
    world.all_marked("unit", ProwJobState::Pending).await;
    world.cluster.pod("unit").await;
    let folder = world.run_folder("unit").await;
    std::fs::write(folder.join("build-log.txt"), "what there was").unwrap();
    let jobs = world.cluster.jobs();
    jobs.delete("unit", &DeleteParams::default()).await.unwrap();

    let told = "The ProwJob was deleted before it had ended";
    for _ in 0..1000 {
        let pod = world.cluster.pods().get_opt("unit").await.unwrap();
        let held =
            pod.is_some_and(|pod| pod.metadata.finalizers.is_some_and(|all| !all.is_empty()));
        let run = world.check_run().await;
        let status = world.newest_status().await;
        let done = status["state"] == "failure" && run["status"] == "completed" && !held;
        if done && folder.join("finished.json").exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let status = world.newest_status().await;
    assert_eq!(status["state"], "failure");
    assert!(status.to_string().contains(told), "{status}");
    let run = world.check_run().await;
    assert_eq!(run["conclusion"], "cancelled");
    assert!(
        run["output"]["title"].as_str().unwrap().starts_with(told),
        "{run}"
    );
    let result = &read(&folder, "finished.json")["result"];
    assert_eq!(result, "aborted");
    let log = std::fs::read_to_string(folder.join("build-log.txt")).unwrap();
    assert_eq!(log, "what there was");
    assert!(read(&folder, "podinfo.json")["pod"].is_object());
    let pod = world.cluster.pods().get("unit").await.unwrap();
    assert_eq!(
        pod.metadata.finalizers.unwrap_or_default(),
        [""; 0],
        "nobody holds it"
    );
    for _ in 0..500 {
        if read(&folder, "prowjob.json")["status"]["state"] == "aborted" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let job = read(&folder, "prowjob.json");
    assert_eq!(job["status"]["state"], "aborted");
    assert_eq!(
        job["spec"]["pod_spec"]["containers"][0]["image"], "img",
        "the whole job"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_aborted_is_stored_and_let_go() {
    let mut world = World::new().await;
    start(world.telling().await);
    world.trigger("unit", json!({})).await;
    world.all_marked("unit", ProwJobState::Pending).await;
    let pod = world.cluster.pod("unit").await;
    assert_eq!(pod.metadata.finalizers.unwrap_or_default(), [FINALIZER]);
    let folder = world.run_folder("unit").await;
    world.cluster.kill_plank().await;
    let aborted = json!({"status": {"state": "aborted", "description": "Aborted."}});
    world.cluster.patch_job("unit", aborted).await;
    let pods = world.cluster.pods();
    pods.delete("unit", &DeleteParams::default()).await.unwrap();
    world.cluster.set_pod("unit", ended("Failed", 130)).await;
    world
        .marked("unit", "gcsk8sreporter", ProwJobState::Aborted)
        .await;
    assert_eq!(
        read(&folder, "podinfo.json")["pod"]["status"]["phase"],
        "Failed"
    );
    let pod = pods.get_opt("unit").await.unwrap();
    let held = pod.and_then(|pod| pod.metadata.finalizers);
    assert_eq!(held.unwrap_or_default(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_containers_each_has_its_log() {
    let world = World::new().await;
    start(world.telling().await);
    let containers = json!([
        {"name": "lint", "image": "img", "command": ["true"]},
        {"name": "test", "image": "img", "command": ["true"]},
    ]);
    world
        .trigger("unit", json!({"pod_spec": {"containers": containers}}))
        .await;
    let folder = world.run_folder("unit").await;
    let finished = json!({"timestamp": 1, "passed": false, "metadata": {"censored": true}});
    write(&folder, &[("finished.json", finished)]);
    std::fs::write(folder.join("lint-build-log.txt"), "all is well\n").unwrap();
    std::fs::write(folder.join("test-build-log.txt"), "panic: no\n").unwrap();
    world.cluster.pod("unit").await;
    world.cluster.set_pod("unit", ended("Failed", 1)).await;
    world.all_marked("unit", ProwJobState::Failure).await;
    let stored = read(&folder, "failure.json");
    assert_eq!(
        (&stored["summary"], &stored["container"]),
        (&json!("panic: no"), &json!("test"))
    );
    let text = world.check_run().await["output"]["text"].to_string();
    assert!(text.contains("?container=test#L1"), "{text}");
}
