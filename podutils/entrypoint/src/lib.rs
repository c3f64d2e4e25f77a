#![doc = include_str!("../README.md")]

mod duration;
mod log;
mod marker;
mod options;
mod place;
mod process;
mod supervise;

pub use options::{DEFAULT_GRACE_PERIOD, DEFAULT_TIMEOUT, Options, WrapperOptions};
pub use supervise::{ABORTED_CODE, INTERNAL_ERROR_CODE, PREVIOUS_FAILED_CODE};

use std::io::Write;
use std::process::ExitCode;

/// The environment variable that holds [`Options`] as JSON; if it is set, flags are ignored.
pub const OPTIONS_ENV: &str = "ENTRYPOINT_OPTIONS";

/// Runs this process as the entrypoint: options from the environment or the command line.
///
/// Takes over the signals and the children of the whole process, so it has to be all that the
/// process does.
#[must_use]
pub fn main() -> ExitCode {
    let env = std::env::var(OPTIONS_ENV).ok();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = Options::load(env.as_deref(), &args).and_then(|options| {
        if options.copy_mode_only {
            place::place(&options.copy_dst).map(|()| 0).map_err(|e| {
                format!(
                    "could not place the entrypoint at {}: {e}",
                    options.copy_dst
                )
            })
        } else {
            options.validate()?;
            Ok(supervise::run(&options))
        }
    });
    match result {
        Ok(code) => ExitCode::from(process_exit_code(code)),
        Err(message) => {
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "entrypoint: {message}");
            ExitCode::from(process_exit_code(INTERNAL_ERROR_CODE))
        }
    }
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
