//! `prow check`, also called `checkconfig`: reads a configuration as the services would, and
//! reports what is wrong with it and what is probably a mistake.
//!
//! The rules are in [`common::config`]; here are the command line, the questions that some rules
//! ask of other services, and the three output formats.

mod annotations;
mod checkout;
mod clusters;
mod examine;
mod github_warnings;
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
use options::{CheckOptions, CheckOutputFormat};

/// Exits with 0 when nothing is wrong, with 1 when something is or cannot be found out, and with 2
/// when the command line is not understood, there is nothing to check, or nobody reads the findings.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<CheckOptions>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let enabled = match options.enabled_warnings() {
        Ok(enabled) => enabled,
        Err(message) => return program::print_error(&format!("error: {message}")),
    };
    let report = match examine::examine_config(&options, &enabled) {
        Ok(Some(report)) => report,
        Ok(None) => {
            return program::print_error(
                "error: --config-path is needed: there is no .prow/, .prow.yaml or prow-jobs.yaml \
                 in this folder",
            );
        }
        Err(error) => {
            program::print_error(&format!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let out = io::stdout();
    let written = match options.output {
        CheckOutputFormat::Text => text::write_text(
            &report,
            text::ReportStyle::detect_style(&out),
            &mut out.lock(),
        ),
        CheckOutputFormat::Json => json::write_json(&report, &mut out.lock()),
        CheckOutputFormat::Github => annotations::write_annotations(&report, &mut out.lock()),
    };
    if let Err(error) = written.and_then(|()| io::stdout().flush()) {
        return program::print_error(&format!("error: the findings cannot be written: {error}"));
    }
    if report.is_failure(options.strict) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
