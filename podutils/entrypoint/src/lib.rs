#![doc = include_str!("../README.md")]

mod copy_mode;
mod duration;
mod log;
pub mod marker;
mod options;
mod process;
mod regular_file;
mod supervise;
mod termination;
mod variables;

pub use duration::DurationNanos;
pub use options::{DEFAULT_GRACE_PERIOD, DEFAULT_TIMEOUT, EntrypointOptions, WrapperOptions};
pub use regular_file::open_regular;
pub use supervise::{ABORTED_CODE, INTERNAL_ERROR_CODE, PREVIOUS_FAILED_CODE};
pub use termination::MARKER_WRITTEN;
pub use variables::{ARGUMENT_ENV, OPTIONS_ENV, PLAIN_OPTIONS_ENV};

use std::io::Write;
use std::process::ExitCode;

/// Runs this process as the entrypoint, with options from the environment or the command line.
///
/// Takes over the signals and the children of the whole process, so the process must do nothing
/// else.
#[must_use]
pub fn main() -> ExitCode {
    let variable = |name: &str| {
        // A value that is not UTF-8 is no JSON either, and is reported as such.
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    };
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let code = match EntrypointOptions::from_env_or_args(variable, &args) {
        Ok(options) if options.copy_mode_only => copy_binary_to(&options.copy_dst),
        Ok(options) => match options.validate() {
            Ok(()) => supervise::run_and_write_marker(&options),
            Err(message) => report_failure(&options.wrapper, &message),
        },
        Err(message) => report_failure(&variables::find_wrapper_files(variable), &message),
    };
    ExitCode::from(process_exit_code(code))
}

fn copy_binary_to(destination: &str) -> i32 {
    match copy_mode::copy_binary(destination) {
        Ok(()) => 0,
        Err(e) => {
            print_error(&format!(
                "could not place the entrypoint at {destination}: {e}"
            ));
            INTERNAL_ERROR_CODE
        }
    }
}

fn report_failure(files: &WrapperOptions, message: &str) -> i32 {
    print_error(message);
    supervise::record_failure(files, message);
    INTERNAL_ERROR_CODE
}

fn print_error(message: &str) {
    // If stderr is closed, nobody can read the error.
    let _ = writeln!(std::io::stderr(), "entrypoint: {message}");
}

/// What the kernel makes of an exit code: its lowest eight bits (-1 becomes 255).
fn process_exit_code(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::process_exit_code;

    #[test]
    fn a_code_is_cut_to_eight_bits() {
        for (code, expected) in [
            (0, 0),
            (7, 7),
            (127, 127),
            (130, 130),
            (-1, 255),
            (1130, 106),
        ] {
            assert_eq!(process_exit_code(code), expected, "{code}");
        }
    }
}
