//! hook as a process of its own, with deliveries that wait: pushes of 8 kB that make one `ProwJob`
//! each, to one branch or to fifty. Measures the cost of accepting one more and acting on one.
//!
//! GitHub and the embedded API are in this process.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hmac::{Hmac, KeyInit as _, Mac as _};
use local::testing::TestCluster;
use serde_json::json;
use sha2::Sha256;

use crate::{
    apis::Embedded,
    figure::Figure,
    process::{Process, free_port},
};

const SECRET: &str = "secret";
/// Deliveries that are acted on in one measurement; as many arrive meanwhile.
const COUNT: usize = 300;
const RUNS: usize = 3;
/// Webhooks that are sent at once.
const AT_ONCE: usize = 16;
/// The time between two checks of how far hook is.
const LOOK: Duration = Duration::from_millis(20);
/// Generous: only a hook that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(300);
/// The cost of a delivery when none waits.
const AIM_MS: f64 = 5.0;

/// The figure's name, the branches, the deliveries that wait.
const CASES: [(&str, usize, usize); 6] = [
    ("hook/one lane: a delivery while 10 wait", 1, 10),
    ("hook/one lane: a delivery while 1,000 wait", 1, 1_000),
    ("hook/one lane: a delivery while 20,000 wait", 1, 20_000),
    ("hook/fifty lanes: a delivery while 10 wait", 50, 10),
    ("hook/fifty lanes: a delivery while 1,000 wait", 50, 1_000),
    ("hook/fifty lanes: a delivery while 20,000 wait", 50, 20_000),
];

const NOWHERE: &str = "\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
";

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut figures = Vec::new();
        for (name, branches, waiting) in CASES {
            let times = measure(branches, waiting).await?;
            figures.push(Figure::time(name, times, Some(AIM_MS)));
        }
        Ok(figures)
    })
}

/// The processor time for each delivery.
async fn measure(branches: usize, waiting: usize) -> anyhow::Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let api = Embedded::start().await?;
    let cluster = TestCluster::from_kubeconfig(&api.kubeconfig()).await?;
    configure(folder.path(), &cluster.namespace)?;
    let nowhere = folder.path().join("nowhere");
    fs::write(&nowhere, NOWHERE)?;

    // Without a cluster, deliveries wait.
    let mut github = Github::new(branches)?;
    let hook = github.start_hook(folder.path(), &nowhere)?;
    github.deliver(waiting).await?;
    drop(hook);

    let hook = github.start_hook(folder.path(), &api.kubeconfig())?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (begin, before) = (done(&hook).await, hook.processor()?);
        let begin = begin.unwrap_or_default();
        let mut sent = 0;
        let started = Instant::now();
        while sent < COUNT {
            tokio::time::sleep(LOOK).await;
            ensure!(started.elapsed() < PATIENCE, "hook acts on nothing");
            // Right after the start hook does not answer yet.
            let acted = done(&hook).await.unwrap_or(begin) - begin;
            github.deliver(acted - sent).await?;
            sent = acted;
        }
        times.push((hook.processor()? - before) / u32::try_from(sent)?);
    }
    Ok(times)
}

fn configure(folder: &Path, namespace: &str) -> anyhow::Result<()> {
    let job = json!({
        "name": "push-widgets", "decorate": false,
        "spec": {"containers": [{"image": "alpine", "command": ["true"]}]},
    });
    let config = json!({
        "prowjob_namespace": namespace, "pod_namespace": namespace,
        "postsubmits": {"acme/widgets": [job]},
    });
    fs::write(folder.join("config.yaml"), config.to_string())?;
    Ok(fs::write(folder.join("hmac"), SECRET)?)
}

/// The number of deliveries that hook has acted on.
async fn done(hook: &Process) -> anyhow::Result<usize> {
    let name = "prow_hook_deliveries{outcome=\"done\"} ";
    let metrics = hook.metrics().await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.unwrap_or("0").parse()?)
}

/// Sends the pushes.
struct Github {
    client: reqwest::Client,
    port: u16,
    branches: usize,
    sent: usize,
}

impl Github {
    fn new(branches: usize) -> anyhow::Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().build()?,
            port: free_port()?,
            branches,
            sent: 0,
        })
    }

    fn start_hook(&self, folder: &Path, kubeconfig: &Path) -> anyhow::Result<Process> {
        let file = |name: &str| folder.join(name).display().to_string();
        let flags = [
            format!("--port={}", self.port),
            format!("--hmac-secret-file={}", file("hmac")),
            format!("--database={}", file("hook.db")),
            "--github-endpoint=http://127.0.0.1:1".into(),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Process::start("hook", &flags, folder, kubeconfig)
    }

    async fn deliver(&mut self, count: usize) -> anyhow::Result<()> {
        let numbers = self.sent..self.sent + count;
        self.sent += count;
        let this = &*self;
        stream::iter(numbers.map(|number| this.push(number)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Tries until hook listens.
    async fn push(&self, number: usize) -> anyhow::Result<()> {
        let body = self.payload(number);
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        let digest = mac.chain_update(&body).finalize().into_bytes();
        let begin = Instant::now();
        loop {
            let request = self
                .client
                .post(format!("http://127.0.0.1:{}/hook", self.port))
                .header("X-GitHub-Event", "push")
                .header("X-GitHub-Delivery", format!("delivery-{number}"))
                .header(
                    "X-Hub-Signature-256",
                    format!("sha256={}", hex::encode(digest)),
                )
                .header("Content-Type", "application/json")
                .body(body.clone());
            match request.send().await {
                Ok(answer) => {
                    ensure!(answer.status().is_success(), "hook: {}", answer.status());
                    return Ok(());
                }
                Err(error) if begin.elapsed() > PATIENCE => return Err(error).context("hook"),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    fn payload(&self, number: usize) -> String {
        let commit = json!({
            "id": format!("{number:040x}"), "message": "Widgets that last. ".repeat(390),
            "added": [], "removed": [], "modified": ["widget.txt"],
        });
        let push = json!({
            "ref": format!("refs/heads/branch-{}", number % self.branches),
            "before": "0".repeat(40), "after": format!("{number:040x}"),
            "compare": "https://github.com/acme/widgets/compare/a...b",
            "commits": [commit],
            "repository": {
                "name": "widgets", "full_name": "acme/widgets",
                "html_url": "https://github.com/acme/widgets", "owner": {"login": "acme"},
            },
            "sender": {"login": "maria"},
        });
        push.to_string()
    }
}
