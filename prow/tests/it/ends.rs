//! The ways a container can end, on the pod runner: each ends its job, with a reason, and what
//! the container had printed is stored.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    restart::repository,
    support::{Program, eventually, kubectl},
};

const MINUTE: Duration = Duration::from_secs(60);

/// One way to end.
struct End {
    name: &'static str,
    /// Of the only container, beside its image.
    container: Value,
    /// Of the pod, beside its containers.
    pod: Value,
    images: Value,
    state: &'static str,
    /// Parts of the description.
    description: &'static [&'static str],
    /// Parts of the stored log; none where nobody could store one.
    log: &'static [&'static str],
}

impl End {
    fn script(name: &'static str, script: &str) -> Self {
        Self {
            name,
            container: json!({"command": ["sh", "-c", format!("echo printed; {script}")]}),
            pod: json!({}),
            images: json!({}),
            state: "failure",
            description: &["Job failed."],
            log: &["printed\n"],
        }
    }

    fn job(&self, deck: &str) -> Value {
        let mut container = self.container.clone();
        container["name"] = "test".into();
        container["image"] = "img".into();
        let mut pod = self.pod.clone();
        pod["containers"] = json!([container]);
        let mut images = json!({
            "clonerefs": "clonerefs:demo", "initupload": "initupload:demo",
            "entrypoint": "entrypoint:demo", "sidecar": "sidecar:demo",
        });
        for (utility, image) in self.images.as_object().unwrap() {
            images[utility] = image.clone();
        }
        json!({
            "apiVersion": "prow.k8s.io/v1", "kind": "ProwJob",
            "metadata": {"name": self.name, "namespace": "default", "labels": {"prow.k8s.io/job": self.name}},
            "spec": {
                "type": "periodic", "agent": "kubernetes", "cluster": "default", "namespace": "default",
                "job": self.name, "report": false, "pod_spec": pod,
                "decoration_config": {
                    "timeout": "10m", "grace_period": "5s", "utility_images": images,
                    "gcs_configuration": {"bucket": format!("{deck}/storage"), "path_strategy": "explicit"},
                },
            },
            "status": {"state": "triggered", "startTime": jiff::Timestamp::now().to_string()},
        })
    }
}

fn ends() -> Vec<End> {
    let secret = |optional: bool| json!({"secretName": "no-such-secret", "optional": optional});
    vec![
        End::script("exit", "exit 3"),
        End::script("signal", "kill -9 $$"),
        End {
            state: "error",
            description: &["Container test was killed", "SIGKILL"],
            log: &["printed\n", "ended without an exit code", "SIGKILL"],
            ..End::script(
                "killed-entrypoint",
                "sleep 0.3; kill -9 $PPID; exec sleep 1000",
            )
        },
        End {
            state: "error",
            description: &["Container sidecar was killed"],
            log: &[],
            ..End::script("killed-sidecar", "exec sleep 1000")
        },
        End {
            container: json!({
                "command": ["true"],
                "env": [{"name": "ENTRYPOINT_PLAIN_OPTIONS", "value": "{"}],
            }),
            log: &["ENTRYPOINT_PLAIN_OPTIONS is not valid"],
            ..End::script("unreadable-option", "")
        },
        End {
            container: json!({"command": ["/no/such/program"]}),
            log: &["/no/such/program"],
            ..End::script("missing-program", "")
        },
        End {
            images: json!({"sidecar": "sidecar:missing"}),
            state: "error",
            description: &["sidecar", "sidecar:missing"],
            log: &[],
            ..End::script("missing-image", "")
        },
        End {
            container: json!({"command": ["true"], "env": [{"name": "TOKEN", "valueFrom":
                {"secretKeyRef": {"name": "no-such-secret", "key": "token"}}}]}),
            state: "error",
            description: &["no-such-secret"],
            log: &[],
            ..End::script("missing-secret", "")
        },
        End {
            pod: json!({"volumes": [{"name": "v", "secret": secret(true)}]}),
            state: "success",
            description: &["Job succeeded."],
            ..End::script("optional-secret", "exit 0")
        },
    ]
}

fn prowjob(kubeconfig: &Path, name: &str) -> Value {
    let text = kubectl(kubeconfig, &["get", "prowjob", name, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// The process of the sidecar of that job's pod: its pod runner's record names the one above it.
fn sidecar_of(kubeconfig: &Path, data: &Path, name: &str) -> Option<u32> {
    let pod = kubectl(
        kubeconfig,
        &["get", "pod", name, "--ignore-not-found", "-o", "json"],
    );
    let pod: Value = serde_json::from_str(&pod).ok()?;
    let started = pod["status"]["containerStatuses"]
        .as_array()?
        .iter()
        .all(|container| container["state"]["running"].is_object());
    let uid = pod["metadata"]["uid"].as_str().filter(|_| started)?;
    let record = walk(data).into_iter().find(|path| {
        path.ends_with("sidecar/process.json") && path.to_string_lossy().contains(uid)
    })?;
    let record: Value = serde_json::from_str(&fs::read_to_string(record).ok()?).ok()?;
    let mut process = u32::try_from(record["pid"].as_u64()?).ok()?;
    // The last of the chain is the program itself.
    while let Some(child) = child_of(process) {
        process = child;
    }
    Some(process)
}

fn child_of(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path()),
            _ => vec![entry.path()],
        })
        .collect()
}

#[test]
fn however_a_container_ends_its_job_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository(folder.path(), "exit 0");
    let data = folder.path().join("data");
    let mut demo = Program::start(&[
        "demo",
        "--data",
        data.to_str().unwrap(),
        "--repo",
        repo.to_str().unwrap(),
    ]);
    let kubeconfig = crate::restart::kubeconfig(&mut demo);
    let config = fs::read_to_string(data.join("config/config.yaml")).unwrap();
    let bucket = config
        .split_once("bucket: ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    let deck = bucket.strip_suffix("/storage").unwrap();
    let ends = ends();
    let file = folder.path().join("job.json");
    for end in &ends {
        fs::write(&file, end.job(deck).to_string()).unwrap();
        kubectl(&kubeconfig, &["create", "-f", file.to_str().unwrap()]);
    }
    let sidecar = eventually("the sidecar runs", MINUTE, || {
        sidecar_of(&kubeconfig, &data, "killed-sidecar")
    });
    let kill = std::process::Command::new("kill")
        .args(["-9", &sidecar.to_string()])
        .status();
    assert!(kill.unwrap().success());

    for end in &ends {
        let job = eventually(end.name, 2 * MINUTE, || {
            let job = prowjob(&kubeconfig, end.name);
            job["status"]["completionTime"].is_string().then_some(job)
        });
        let status = &job["status"];
        assert_eq!(status["state"], end.state, "{}: {status}", end.name);
        let description = status["description"].as_str().unwrap();
        for part in end.description {
            assert!(description.contains(part), "{}: {description}", end.name);
        }
        if end.log.is_empty() {
            continue;
        }
        let run = format!("logs/{}/{}", end.name, status["build_id"].as_str().unwrap());
        let run = data.join("storage").join(run);
        let log = fs::read_to_string(run.join("build-log.txt")).unwrap();
        for part in end.log {
            assert!(log.contains(part), "{}: {log}", end.name);
        }
        let finished = fs::read_to_string(run.join("finished.json")).unwrap();
        let finished: Value = serde_json::from_str(&finished).unwrap();
        assert_eq!(
            finished["passed"],
            end.state == "success",
            "{}: {finished}",
            end.name
        );
    }
}
