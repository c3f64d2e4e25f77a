//! `prow schema`: the JSON Schemas of job files, for editors.

use std::{ffi::OsString, fs, io::Write as _, path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use common::{config, service::flags};

use crate::program;

/// Writes a JSON Schema, by which an editor completes and checks job files.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow schema", max_term_width = 100, after_help = EDITORS)]
struct SchemaOptions {
    /// The files that it describes
    #[arg(value_enum, default_value = "prow-jobs")]
    files: SchemaFileKind,
    /// The file to write to, instead of the terminal
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaFileKind {
    /// A repository's own: prow-jobs.yaml, .prow.yaml, .prow/*.yaml
    ProwJobs,
    /// An installation's, below --job-config-path
    Jobs,
}

const EDITORS: &str = "\
An editor with the YAML language server takes it by a line at the top of a file:
  # yaml-language-server: $schema=prow-jobs.schema.json";

/// Exits with 0, or with 1 when the file cannot be written.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<SchemaOptions>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let schema = match options.files {
        SchemaFileKind::ProwJobs => config::prow_jobs_schema(),
        SchemaFileKind::Jobs => config::job_file_schema(),
    };
    let text = format!("{schema:#}\n");
    let written = match &options.output {
        Some(path) => fs::write(path, text).map_err(|error| (path.display().to_string(), error)),
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| ("the terminal".to_owned(), error)),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err((place, error)) => {
            program::print_error(&format!("error: writing {place}: {error}"));
            ExitCode::FAILURE
        }
    }
}
