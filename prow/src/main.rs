//! The one command of this project. The name it is started under selects the program, else its
//! first argument.

mod check;
mod demo;
mod github;
mod mkpj;
mod mkpod;
mod print;
mod program;
mod schema;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use program::Program;
use tikv_jemallocator::Jemalloc;

/// Reads a large configuration in less time and memory than with glibc's: many threads allocate
/// small objects that others free.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let own_name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name()?.to_str())
        .unwrap_or_default();
    let program = Program::from_name(own_name).or_else(|| {
        let program = Program::from_name(arguments.get(1)?.to_str()?)?;
        arguments.remove(0);
        Some(program)
    });
    match program {
        Some(program) => program.run_program(arguments),
        None => program::print_usage(arguments.get(1)),
    }
}
