//! clonerefs: checks out the merged tree of a job's references below `src_root`.
//!
//! `Refs → validate_refs → plan (CloneStep values) → run_step → CloneRecord`. Whatever a pull
//! request's author may choose (names, refs, paths) is checked before it reaches a command line.

mod command_timeout;
mod credentials;
mod explain;
mod flags;
mod git;
mod hosts;
mod options;
mod plan;
mod record;
mod redact;
mod run;
mod ssh;
mod validate;

use std::process::ExitCode;

pub use explain::{CloneFailure, explain_clone_failure};
pub use options::ClonerefsOptions;
pub use record::{CloneRecord, CommandRecord};
pub(crate) use redact::{map_texts, redact_credentials};
pub use run::run_clonerefs;

/// Runs this process as clonerefs, by `CLONEREFS_OPTIONS` or, if that is not set, by flags.
///
/// Exits with 0 when a clone fails, unless `fail` is set: initupload reads the failure in the
/// records, uploads a log and ends the pod.
#[must_use]
pub fn main() -> ExitCode {
    common::service::logging::init_logging("clonerefs");
    let options = crate::process::from_env_or_args(ClonerefsOptions::ENV, flags::parse_flags);
    crate::process::run_utility(async { run_clonerefs(&options?).await })
}
