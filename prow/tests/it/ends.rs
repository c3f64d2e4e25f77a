//! The ways in which a container can end on the pod runner: each ends its job in time, Deck and the
//! pull request show its reason, and what the container had printed is stored.

mod scene;

use std::time::Duration;

use serde_json::{Value, json};

use scene::{EndedRun, EndsScene};

const MINUTE: Duration = Duration::from_secs(60);

/// One way to end.
struct WayToEnd {
    job: &'static str,
    /// The only container, without its image.
    container: Value,
    /// The pod, without its containers.
    pod: Value,
    images: Value,
    state: &'static str,
    /// Parts of the description.
    description: &'static [&'static str],
    /// The reason that Deck's page and the pull request show.
    reason: &'static str,
    /// Parts of the stored log; empty when nobody could store one.
    log: &'static [&'static str],
    /// The container that ends; `None` when none starts.
    ended: Option<&'static str>,
}

impl WayToEnd {
    fn script(job: &'static str, script: &str) -> Self {
        Self {
            job,
            container: json!({"command": ["sh", "-c", format!("echo printed; {script}")]}),
            pod: json!({}),
            images: json!({}),
            state: "failure",
            description: &["Job failed."],
            reason: "printed",
            log: &["printed\n"],
            ended: Some("test"),
        }
    }

    /// The job as it is in the repository.
    fn presubmit(&self) -> Value {
        let mut container = self.container.clone();
        container["name"] = "test".into();
        container["image"] = "img".into();
        let mut pod = self.pod.clone();
        pod["containers"] = json!([container]);
        json!({
            "name": self.job, "always_run": true, "decorate": true, "spec": pod,
            "decoration_config": {"grace_period": "5s", "utility_images": self.images},
        })
    }

    /// Checks what a user sees, and when.
    fn check(&self, run: &EndedRun) {
        let job = self.job;
        assert_eq!(run.state(), self.state, "{job}: {}", run.job);
        for part in self.description {
            assert!(run.description().contains(part), "{job}: {}", run.job);
        }
        let page = run.page();
        for part in [run.description(), self.reason] {
            assert!(page.contains(part), "{job}: {part:?} is not in {page}");
        }
        let (status, told) = run.status();
        assert_eq!(status, self.state, "{job}: {told}");
        assert!(is_short_for(told, run.description()), "{job}: {told}");
        // As in Prow, the author of the change is told about a failure, not about an error.
        if self.state == "failure" {
            let comment = run.comment();
            assert!(comment.contains(self.reason), "{job}: {comment}");
        }
        let (since, within) = match self.ended {
            Some(container) => (run.end_of(container), MINUTE),
            None => (run.start(), 3 * MINUTE),
        };
        let took = run.completion().duration_since(since);
        assert!(took.unsigned_abs() <= within, "{job}: {took:#}");
        if self.log.is_empty() {
            return;
        }
        let (events, node) = run.surroundings();
        assert!(events.contains(&"Scheduled"), "{job}: {events:?}");
        assert_eq!(node, Some("local"), "{job}");
        let log = run.stored("build-log.txt");
        for part in self.log {
            assert!(log.contains(part), "{job}: {log}");
        }
        let finished: Value = serde_json::from_str(&run.stored("finished.json")).unwrap();
        assert_eq!(finished["passed"], self.state == "success", "{job}");
    }
}

/// Whether a commit status has this text. The middle of a long text is left out.
fn is_short_for(told: &str, text: &str) -> bool {
    match told.split_once(" ... ") {
        Some((begin, end)) => text.starts_with(begin) && text.ends_with(end),
        None => told == text,
    }
}

fn ends() -> Vec<WayToEnd> {
    vec![
        WayToEnd {
            description: &["Job failed. Container test ended with exit code 3."],
            reason: "Container test ended with exit code 3.",
            ..WayToEnd::script("exit", "exit 3")
        },
        WayToEnd {
            reason: "Process was ended by SIGKILL",
            // The kubelet replaces two dollar signs by one.
            ..WayToEnd::script("signal", "kill -9 $$$$")
        },
        WayToEnd {
            state: "error",
            description: &["Container test was killed", "SIGKILL"],
            reason: "killed",
            log: &["printed\n", "ended without an exit code", "SIGKILL"],
            ..WayToEnd::script(
                "killed-entrypoint",
                "sleep 0.3; kill -9 $PPID; exec sleep 1000",
            )
        },
        WayToEnd {
            state: "error",
            description: &["Container sidecar was killed"],
            // Its log is not stored: Deck shows what the sidecar had passed on.
            reason: "printed",
            log: &[],
            ended: Some("sidecar"),
            ..WayToEnd::script("killed-sidecar", "exec sleep 1000")
        },
        WayToEnd {
            container: json!({
                "command": ["true"],
                "env": [{"name": "ENTRYPOINT_PLAIN_OPTIONS", "value": "{"}],
            }),
            reason: "ENTRYPOINT_PLAIN_OPTIONS",
            log: &["ENTRYPOINT_PLAIN_OPTIONS is not valid"],
            ..WayToEnd::script("unreadable-option", "")
        },
        WayToEnd {
            container: json!({"command": ["/no/such/program"]}),
            reason: "/no/such/program",
            log: &["/no/such/program"],
            ..WayToEnd::script("missing-program", "")
        },
        WayToEnd {
            images: json!({"sidecar": "sidecar:missing"}),
            state: "error",
            description: &["sidecar", "sidecar:missing"],
            reason: "sidecar:missing",
            log: &[],
            ended: None,
            ..WayToEnd::script("missing-image", "")
        },
        WayToEnd {
            container: json!({"command": ["true"], "env": [{"name": "TOKEN", "valueFrom":
                {"secretKeyRef": {"name": "no-such-secret", "key": "token"}}}]}),
            state: "error",
            description: &["no-such-secret"],
            reason: "no-such-secret",
            log: &[],
            ended: None,
            ..WayToEnd::script("missing-secret", "")
        },
        WayToEnd {
            pod: secret_volume(false),
            state: "error",
            description: &["no-such-secret"],
            reason: "no-such-secret",
            log: &[],
            ended: None,
            ..WayToEnd::script("missing-secret-volume", "exit 0")
        },
        WayToEnd {
            pod: secret_volume(true),
            state: "success",
            description: &["Job succeeded."],
            ..WayToEnd::script("optional-secret", "exit 0")
        },
    ]
}

fn secret_volume(optional: bool) -> Value {
    let secret = json!({"secretName": "no-such-secret", "optional": optional});
    json!({"volumes": [{"name": "v", "secret": secret}]})
}

#[test]
fn however_a_container_ends_its_job_ends_and_says_why() {
    let ends = ends();
    let jobs: Vec<_> = ends.iter().map(WayToEnd::presubmit).collect();
    let mut scene = EndsScene::start(&json!({"presubmits": jobs}));
    scene.kill("killed-sidecar", "sidecar");
    let names: Vec<_> = ends.iter().map(|end| end.job).collect();
    let runs = scene.runs(&names, 4 * MINUTE);
    for (end, run) in ends.iter().zip(&runs) {
        end.check(run);
    }
    scene.end();
}
