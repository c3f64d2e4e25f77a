//! The configuration of the demo: the files an installation has, with the demo's addresses.

use std::{fs, path::Path};

/// The pod utilities. The pod runner has no registry: it knows their images by these names.
pub(super) const UTILITIES: [&str; 4] = ["clonerefs", "initupload", "entrypoint", "sidecar"];

/// Writes `config.yaml` and `plugins.yaml` into `folder`, for a Deck at the URL `deck`.
pub(super) fn write_config(folder: &Path, deck: &str) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let config = include_str!("../../sample/config.yaml").replace("DECK", deck);
    fs::write(folder.join("config.yaml"), config)?;
    fs::write(
        folder.join("plugins.yaml"),
        include_str!("../../sample/plugins.yaml"),
    )
}
