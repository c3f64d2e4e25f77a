//! The throughput of a build log: entrypoint and sidecar as processes of their own, a job that
//! prints as fast as it can, and a bucket on this disk. Ends when the masked log is stored.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::figure::Figure;

/// The size of the log, in bytes.
const SIZE: usize = 128 << 20;
const RUNS: usize = 5;
/// Lines of the large secret, of 64 bytes each: 135 kB.
const LINES: usize = 2_100;

/// The job's secrets.
type Secrets = fn() -> Vec<String>;

/// The figure's name, and the secrets to mask.
const CASES: [(&str, Secrets); 4] = [
    ("log: throughput without secrets", Vec::new),
    ("log: throughput with ten secrets", ten),
    ("log: throughput with a secret of 135 kB", large),
    ("log: throughput with 135 kB of JSON", document),
];

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("lines");
    fs::write(&log, lines())?;
    let figures = CASES.iter().map(|(name, secrets)| {
        let runs = (0..RUNS).map(|_| measure(&log, &secrets()));
        let runs = runs.collect::<anyhow::Result<Vec<f64>>>()?;
        Ok(Figure::median(name, runs, "MB/s", None))
    });
    figures.collect()
}

/// Lines as a Kubernetes program prints them.
fn lines() -> String {
    let mut text = String::with_capacity(SIZE + 200);
    let mut number = 0_u64;
    while text.len() < SIZE {
        number += 1;
        let line = format!(
            "I1129 10:00:{:02}.{:06} main.go:{}] \x1b[32mtest\x1b[0m step {number} of the run: reconciled object default/pod-{} in {} ms    ok\n",
            number % 60,
            number * 7919 % 1_000_000,
            number % 997,
            number % 131,
            number % 77
        );
        text.push_str(&line);
    }
    text
}

fn ten() -> Vec<String> {
    (0..10)
        .map(|number| format!("secret&{number}<{}>", number * 7_919))
        .collect()
}

/// One secret, as random as a key.
fn large() -> Vec<String> {
    let mut state = 1_u64;
    let line = |_| {
        let mut line = String::new();
        while line.len() < 64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            line += &format!("{:08x}", state >> 32);
        }
        line + "\n"
    };
    vec![(0..LINES).map(line).collect()]
}

/// A secret full of quotation marks, each of which may be escaped in another way.
fn document() -> Vec<String> {
    let [text] = &large()[..] else {
        unreachable!("one secret");
    };
    let lines: Vec<&str> = text.lines().collect();
    vec![serde_json::to_string_pretty(&lines).expect("strings are JSON")]
}

/// The throughput in megabytes per second.
fn measure(log: &Path, secrets: &[String]) -> anyhow::Result<f64> {
    let pod = JobFolders::new(secrets)?;
    let begin = Instant::now();
    let mut sidecar = pod.start("sidecar", "SIDECAR_OPTIONS", &pod.sidecar())?;
    let mut entrypoint = pod.start("entrypoint", "ENTRYPOINT_OPTIONS", &pod.entrypoint(log))?;
    if !entrypoint.wait()?.success() {
        sidecar.kill()?;
        bail!("the entrypoint failed");
    }
    ensure!(sidecar.wait()?.success(), "the sidecar failed");
    let time: Duration = begin.elapsed();
    let stored = pod.folder.path().join("bucket/logs/log/1/build-log.txt");
    let stored = fs::metadata(&stored).with_context(|| stored.display().to_string())?;
    ensure!(
        stored.len() == fs::metadata(log)?.len(),
        "the log is not whole"
    );
    Ok(stored.len() as f64 / 1e6 / time.as_secs_f64())
}

struct JobFolders {
    folder: TempDir,
}

impl JobFolders {
    fn new(secrets: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["bucket", "logs", "secrets"] {
            fs::create_dir(folder.path().join(name))?;
        }
        for (number, secret) in secrets.iter().enumerate() {
            fs::write(folder.path().join(format!("secrets/{number}")), secret)?;
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn wrapper(&self) -> Value {
        json!({
            "container_name": "test",
            "process_log": self.path("logs/process-log.txt"),
            "marker_file": self.path("logs/marker-file.txt"),
            "metadata_file": self.path("logs/metadata.json"),
        })
    }

    fn entrypoint(&self, log: &Path) -> Value {
        let mut options = self.wrapper();
        options["args"] = json!(["cat", log]);
        options["timeout"] = json!(3_600_000_000_000_u64);
        options["grace_period"] = json!(15_000_000_000_u64);
        options
    }

    fn sidecar(&self) -> Value {
        json!({
            "gcs_options": {
                "bucket": format!("file://{}", self.path("bucket")),
                "path_strategy": "explicit",
                "dry_run": false,
            },
            "entries": [self.wrapper()],
            "censoring_options": {"secret_directories": [self.path("secrets")], "every_secret": true},
        })
    }

    fn start(&self, name: &str, variable: &str, options: &Value) -> anyhow::Result<Child> {
        let spec = json!({"type": "periodic", "job": "log", "buildid": "1", "prowjobid": "id"});
        Command::new(env!("CARGO_BIN_EXE_prow"))
            .arg(name)
            .env(variable, options.to_string())
            .env("JOB_SPEC", spec.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(name.to_owned())
    }
}
