//! What the pod utilities share as processes: options from the environment, logs, a runtime.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::JobSpec;

/// Options from an environment variable. The message does not quote them: they are long, and
/// some day somebody puts a secret into them.
pub(crate) fn from_env<T: DeserializeOwned>(name: &str) -> anyhow::Result<Option<T>> {
    match std::env::var(name) {
        Ok(json) => serde_json::from_str(&json).map(Some).map_err(|e| {
            anyhow!(
                "{name} is not valid at column {}: {}",
                e.column(),
                if e.is_data() {
                    "wrong type"
                } else {
                    "not JSON"
                }
            )
        }),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading {name}")),
    }
}

/// Options that only plank gives: there are no flags for them.
pub(crate) fn require_env<T: DeserializeOwned>(name: &str) -> anyhow::Result<T> {
    from_env(name)?.with_context(|| format!("{name} is not set; options by flag are not supported"))
}

/// The job that this pod runs.
pub(crate) fn job_spec() -> anyhow::Result<JobSpec> {
    require_env(JobSpec::ENV)
}

/// Runs a pod utility to its end: logs as JSON on stderr (and to `copy`), a small runtime, and
/// the exit code; an error is logged and is 1.
pub(crate) fn run<F>(copy: Option<File>, main: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(LevelFilter::INFO)
        .with_writer(Tee {
            copy: copy.map(Mutex::new),
        })
        .finish();
    let _guard = tracing::subscriber::set_global_default(subscriber);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(main()),
        Err(e) => Err(e.into()),
    };
    result.unwrap_or_else(|e| {
        tracing::error!("{e:#}");
        ExitCode::FAILURE
    })
}

/// Log lines go to stderr and to a file.
struct Tee {
    copy: Option<Mutex<File>>,
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(copy) = &self.copy
            && let Ok(mut copy) = copy.lock()
        {
            copy.write_all(bytes)?;
        }
        io::stderr().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
