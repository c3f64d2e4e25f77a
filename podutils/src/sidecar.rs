//! sidecar: waits for the test containers, then censors and uploads what they left.

mod live;
mod markers;
mod options;
mod own_line;
mod raw_options;
mod run;
mod verdict;

use std::process::ExitCode;

use common::service::flags::warn_unimplemented_flags;
use common::service::logging;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

pub use options::{SidecarCensoringOptions, SidecarOptions};
use raw_options::RawSidecarOptions;
pub use run::{SidecarRun, run_sidecar};

/// Runs this process as the sidecar, by `SIDECAR_OPTIONS` and `JOB_SPEC`.
///
/// Exits with 0 whatever the test did (its container has the code), unless `entry_error` is set.
#[must_use]
pub fn main() -> ExitCode {
    // Without this file there is no sidecar-logs.json; stderr still has the whole log.
    let log = tempfile::NamedTempFile::new().ok();
    match log.as_ref().and_then(|file| file.reopen().ok()) {
        Some(copy) => logging::init_logging_with_copy("sidecar", copy),
        None => logging::init_logging("sidecar"),
    }
    crate::process::run_utility(async {
        let given: RawSidecarOptions = crate::process::require_env(SidecarOptions::ENV)?;
        warn_unimplemented_flags(given.unimplemented_options());
        let options = given.into_options()?;
        let spec = crate::process::require_job_spec()?;
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let interrupted = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let own_log = log.as_ref().map(|file| file.path().to_owned());
        run_sidecar(
            SidecarRun {
                options: &options,
                spec: &spec,
                own_log,
                clock: Timestamp::now,
            },
            interrupted,
        )
        .await
    })
}
