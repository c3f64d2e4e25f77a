//! What the pod utilities share as processes: options from the environment and a runtime.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;

use crate::JobSpec;

/// Where Kubernetes looks for the last words of a container, if its pod names no other file.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Options from an environment variable. The message does not quote them: they are long, and
/// some day somebody puts a secret into them.
pub(crate) fn from_env<T: DeserializeOwned>(name: &str) -> anyhow::Result<Option<T>> {
    match std::env::var(name) {
        Ok(json) => parse_options(name, &json).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading {name}")),
    }
}

fn parse_options<T: DeserializeOwned>(name: &str, json: &str) -> anyhow::Result<T> {
    serde_json::from_str(json).map_err(|e| {
        let why = if e.is_data() {
            "a value has the wrong type"
        } else {
            "it is not JSON"
        };
        anyhow!(
            "{name} is not valid: {why}, line {} column {}",
            e.line(),
            e.column()
        )
    })
}

/// Options that only plank gives: there are no flags for them.
pub(crate) fn require_env<T: DeserializeOwned>(name: &str) -> anyhow::Result<T> {
    from_env(name)?.with_context(|| format!("{name} is not set; options by flag are not supported"))
}

/// Options from an environment variable, or from the arguments if it is not set.
pub(crate) fn from_env_or_args<T: DeserializeOwned>(
    name: &str,
    parse: impl FnOnce(Vec<OsString>) -> Result<T, clap::Error>,
) -> anyhow::Result<T> {
    match from_env(name)? {
        Some(options) => Ok(options),
        // Usage errors and help go to the terminal, in clap's words.
        None => Ok(parse(std::env::args_os().skip(1).collect()).unwrap_or_else(|e| e.exit())),
    }
}

/// The job that this pod runs.
pub(crate) fn require_job_spec() -> anyhow::Result<JobSpec> {
    require_env(JobSpec::ENV)
}

/// Runs a pod utility to its end and gives its exit code; an error is logged and is 1.
pub(crate) fn run_utility(main: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    common::service::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(main),
        Err(e) => Err(e.into()),
    };
    result.unwrap_or_else(|e| {
        let message = format!("{e:#}");
        tracing::error!("{message}");
        write_termination_message(Path::new(TERMINATION_LOG), &message);
        ExitCode::FAILURE
    })
}

/// Puts the message into the container's status, where it stands without the log around it.
fn write_termination_message(file: &Path, message: &str) {
    // It is there in every container, and nowhere else. Without it the end of the log is shown.
    let _ = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(file)
        .and_then(|mut file| file.write_all(message.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_without_the_value() {
        for (json, expected) in [
            (
                r#"{"job": "hunter22""#,
                "X is not valid: it is not JSON, line 1 column 18",
            ),
            (
                r#"{"type": "hunter22"}"#,
                "X is not valid: a value has the wrong type, line 1 column 19",
            ),
        ] {
            assert_eq!(
                parse_options::<JobSpec>("X", json).unwrap_err().to_string(),
                expected
            );
        }
    }

    #[test]
    fn last_words_go_where_kubernetes_looks_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("termination-log");
        write_termination_message(&file, "why");
        assert!(!file.exists());
        std::fs::write(&file, "something longer").unwrap();
        write_termination_message(&file, "why");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "why");
    }
}
