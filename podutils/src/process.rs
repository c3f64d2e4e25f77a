//! What the processes of all pod utilities share: options from the environment, and a runtime.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;

use crate::JobSpec;

/// The kubelet reads a container's termination message here, if its pod names no other file.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Reads options from an environment variable. The error does not quote them: they are long and
/// may one day hold a secret.
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

/// Reads options that only plank gives: there are no flags for them.
pub(crate) fn require_env<T: DeserializeOwned>(name: &str) -> anyhow::Result<T> {
    from_env(name)?.with_context(|| format!("{name} is not set; options by flag are not supported"))
}

/// Reads options from an environment variable, or from the arguments if it is not set.
pub(crate) fn from_env_or_args<T: DeserializeOwned>(
    name: &str,
    parse: impl FnOnce(Vec<OsString>) -> Result<T, clap::Error>,
) -> anyhow::Result<T> {
    match from_env(name)? {
        Some(options) => Ok(options),
        // clap prints usage errors and help to the terminal.
        None => Ok(parse(std::env::args_os().skip(1).collect()).unwrap_or_else(|e| e.exit())),
    }
}

/// Reads the spec of the job that this pod runs.
pub(crate) fn require_job_spec() -> anyhow::Result<JobSpec> {
    require_env(JobSpec::ENV)
}

/// Runs a pod utility to its end and returns its exit code. An error is logged; its code is 1.
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

/// Writes the message to the container's status, where it is shown without the rest of the log.
fn write_termination_message(file: &Path, message: &str) {
    // Only a container has this file. Without the message, the end of the log is shown.
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
