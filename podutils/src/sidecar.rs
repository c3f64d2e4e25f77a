//! sidecar: waits for the test containers, then censors and uploads what they left.

mod given;
mod live;
mod markers;
mod options;
mod own_line;
mod run;
mod verdict;

use std::process::ExitCode;

use common::service::flags::warn_unbuilt;
use common::service::logging;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use given::Given;
pub use options::{CensoringOptions, Options};
pub use run::{Sidecar, run};

/// Runs this process as the sidecar, by `SIDECAR_OPTIONS` and `JOB_SPEC`.
///
/// Exits with 0 whatever the test did (its own container tells), unless `entry_error` is set.
#[must_use]
pub fn main() -> ExitCode {
    // Without it there is no sidecar-logs.json; stderr still has it all.
    let log = tempfile::NamedTempFile::new().ok();
    match log.as_ref().and_then(|file| file.reopen().ok()) {
        Some(copy) => logging::init_with_copy("sidecar", copy),
        None => logging::init("sidecar"),
    }
    crate::process::run(async {
        let given: Given = crate::process::require_env(Options::ENV)?;
        warn_unbuilt(given.unbuilt());
        let options = given.options()?;
        let spec = crate::process::job_spec()?;
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
        run(
            Sidecar {
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
