//! `prow check`, also called `checkconfig`: reads a configuration as the services would, and
//! says what is wrong with it and what is probably not meant.
//!
//! The rules are in [`common::config`]; here are the command line, what a rule needs to be asked
//! of somebody else, and the three forms of the answer.

mod annotations;
mod ask;
mod checkout;
mod clusters;
mod examine;
mod hierarchy;
mod json;
mod options;
mod report;
mod text;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use common::service::flags;

use crate::program;
use options::{Options, Output};

/// Ends with 0 where nothing is wrong, with 1 where something is or cannot be found out, and with
/// 2 where the command line is not understood.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<Options>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let enabled = match options.enabled() {
        Ok(enabled) => enabled,
        Err(message) => return program::complain(&format!("error: {message}")),
    };
    let report = match examine::examine(&options, &enabled) {
        Ok(Some(report)) => report,
        Ok(None) => {
            return program::complain(
                "error: --config-path is needed: there is no .prow/, .prow.yaml or prow-jobs.yaml \
                 in this folder",
            );
        }
        Err(error) => {
            program::complain(&format!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let out = io::stdout();
    let written = match options.output {
        Output::Text => text::write(&report, text::Style::of(&out), &mut out.lock()),
        Output::Json => json::write(&report, &mut out.lock()),
        Output::Github => annotations::write(&report, &mut out.lock()),
    };
    if let Err(error) = written.and_then(|()| io::stdout().flush()) {
        return program::complain(&format!("error: the findings cannot be written: {error}"));
    }
    if report.fails(options.strict) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
