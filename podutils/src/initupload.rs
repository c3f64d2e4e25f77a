//! initupload: `started.json` and the clone's log, before the test starts.

mod clone_log;
mod clone_records;
mod options;
mod run;

use std::process::ExitCode;

use jiff::Timestamp;

pub use options::Options;
pub use run::run;

/// Runs this process as initupload, by `INITUPLOAD_OPTIONS` and `JOB_SPEC`.
///
/// Exits with 1 if the clone had failed, which ends the pod, or if an upload fails.
#[must_use]
pub fn main() -> ExitCode {
    common::service::logging::init("initupload");
    crate::process::run(async {
        let options = crate::process::require_env(Options::ENV)?;
        let spec = crate::process::job_spec()?;
        run(&options, &spec, Timestamp::now()).await
    })
}
