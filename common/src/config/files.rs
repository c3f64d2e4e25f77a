//! Reading files.

use super::{Config, Errors, Options, Problem};

pub(super) fn read(path: &std::path::Path) -> Result<String, Errors> {
    std::fs::read_to_string(path).map_err(|error| {
        Problem::in_file(
            path.display().to_string(),
            format!("cannot be read: {error}"),
        )
        .into()
    })
}

pub(super) fn load(options: &Options) -> Result<Config, Errors> {
    read(&options.config_path)?;
    Ok(Config::default())
}
