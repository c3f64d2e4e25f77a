//! Measures what the project promises about speed and size: prints a table and writes
//! `target/bench.json`, each figure with its aim. `make bench`, or `make bench ONLY=config`.
//!
//! Not a test: nothing fails for being slow. Each figure is a median, since machines are noisy.

mod apis;
mod backlog;
mod check;
mod choose;
mod config;
mod corpus;
mod figure;
mod in_repo;
mod log;
mod plank;
mod process;

use std::{env, fs, path::Path};

use figure::Figure;
use tikv_jemallocator::Jemalloc;

/// The allocator of the programs.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A part of the figures, by the name that `ONLY` selects it with.
type Bench = (&'static str, fn() -> anyhow::Result<Vec<Figure>>);

const ALL: [Bench; 7] = [
    ("check", check::run),
    ("config", config::run),
    ("choose", choose::run),
    ("in-repo", in_repo::run),
    ("hook", backlog::run),
    ("log", log::run),
    ("plank", plank::run),
];

#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [word, rest @ ..] if word == config::CHILD => return config::child(rest),
        [word, rest @ ..] if word == check::CHILD => return check::child(rest),
        _ => {}
    }
    // Arguments that cargo adds begin with dashes.
    let only = arguments.iter().find(|word| !word.starts_with('-'));
    let mut figures = Vec::new();
    for (name, run) in ALL {
        if only.is_none_or(|only| name.starts_with(only.as_str())) {
            for figure in run()? {
                print!("{figure}");
                figures.push(figure);
            }
        }
    }
    anyhow::ensure!(!figures.is_empty(), "no figure has such a name");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.json");
    fs::write(target, serde_json::to_string_pretty(&figures)? + "\n")?;
    Ok(())
}
