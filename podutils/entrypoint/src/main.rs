//! The process wrapper that plank places at `/tools/entrypoint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    entrypoint::main()
}
