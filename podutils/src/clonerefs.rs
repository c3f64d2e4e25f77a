//! clonerefs: the merged tree of a job's references, checked out below `src_root`.
//!
//! `Refs → validate → plan (commands as values) → run → Record`. What a pull request's author
//! may choose (names, refs, paths) is checked before it comes near a command line.

mod credentials;
mod git;
mod options;
mod plan;
mod record;
mod run;
mod validate;

use std::process::ExitCode;

pub use options::Options;
pub use record::{Command, Record};
pub use run::run;

/// Runs this process as clonerefs, by `CLONEREFS_OPTIONS`.
///
/// Exits with 0 when a clone fails, unless `fail` is set: initupload reads that in the records
/// and ends the pod with a log to look at.
#[must_use]
pub fn main() -> ExitCode {
    crate::process::run(None, || async {
        let options: Options = crate::process::require_env(Options::ENV)?;
        run(&options).await
    })
}
