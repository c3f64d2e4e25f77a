//! initupload: uploads `started.json` and the clone's log before the test starts.

mod clone_log;
mod clone_records;
mod flags;
mod options;
mod run;

use std::process::ExitCode;

use jiff::Timestamp;

pub use options::InituploadOptions;
pub use run::run_initupload;

/// Runs this process as initupload. The job comes from `JOB_SPEC`, the options come from
/// `INITUPLOAD_OPTIONS` or, if that is not set, from flags.
///
/// Exits with 1 if the clone failed, which ends the pod, or if an upload fails.
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
