//! initupload: `started.json` and the clone's log, before the test starts.

mod clone_log;
mod clone_records;
mod flags;
mod options;
mod run;

use std::process::ExitCode;

use jiff::Timestamp;

pub use options::Options;
pub use run::run;

/// Runs this process as initupload, by `JOB_SPEC` and `INITUPLOAD_OPTIONS`, or flags if that is
/// not set.
///
/// Exits with 1 if the clone had failed, which ends the pod, or if an upload fails.
#[must_use]
pub fn main() -> ExitCode {
    common::service::logging::init("initupload");
    let options = crate::process::from_env_or_args(Options::ENV, flags::parse);
    crate::process::run(async {
        let options = options?;
        let spec = crate::process::job_spec()?;
        run(&options, &spec, Timestamp::now()).await
    })
}
