//! initupload: `started.json` and the clone's log, before the test starts.

mod clone_log;
mod clone_records;
mod flags;
mod options;
mod run;

use std::process::ExitCode;

use jiff::Timestamp;

pub use options::InituploadOptions;
pub use run::run_initupload;

/// Runs this process as initupload, by `JOB_SPEC` and `INITUPLOAD_OPTIONS`, or flags if that is
/// not set.
///
/// Exits with 1 if the clone had failed, which ends the pod, or if an upload fails.
#[must_use]
pub fn main() -> ExitCode {
    common::service::logging::init_logging("initupload");
    let options = crate::process::from_env_or_args(InituploadOptions::ENV, flags::parse_flags);
    crate::process::run_utility(async {
        let options = options?;
        let spec = crate::process::require_job_spec()?;
        run_initupload(&options, &spec, Timestamp::now()).await
    })
}
