//! Searches the folders of supplemental configuration, for the warning about misplaced files.

use std::{fs, path::Path};

use common::config::{
    self, ConfigErrors, Diagnostic,
    checkconfig::{config_scope, find_misplacement},
    plugins::{self, ConfigScope, PluginConfiguration},
};

/// The name of the warning.
pub(super) const RULE: &str = "validate-supplemental-prow-config-hierarchy";

/// Finds the scope of a part, from its file's name and text.
type ScopeOf = fn(&str, &str) -> Result<ConfigScope, ConfigErrors>;

/// Findings about the supplemental parts of `config.yaml`.
pub(super) fn check_config_parts(options: &config::ConfigOptions) -> Vec<Diagnostic> {
    let suffix = &options.supplemental_prow_configs_filename_suffix;
    let folders = options.supplemental_prow_config_dir.iter();
    folders
        .flat_map(|folder| find_misplaced(folder, suffix, config_scope))
        .collect()
}

/// Findings about the supplemental parts of `plugins.yaml`.
pub(super) fn check_plugin_parts(options: &plugins::PluginOptions) -> Vec<Diagnostic> {
    let scope_of: ScopeOf =
        |file, text| Ok(PluginConfiguration::parse_part(file, text)?.config_scope());
    let suffix = &options.supplemental_plugin_configs_filename_suffix;
    let folders = options.supplemental_plugin_config_dir.iter();
    folders
        .flat_map(|folder| find_misplaced(folder, suffix, scope_of))
        .collect()
}

fn find_misplaced(root: &Path, suffix: &str, scope_of: ScopeOf) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    walk_files(root, &mut |path| {
        let below = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        if !below.ends_with(suffix) {
            return;
        }
        let file = path.display().to_string();
        // A file that cannot be read is an error of the load.
        let Ok(text) = fs::read_to_string(path) else {
            return;
        };
        let message = scope_of(&file, &text)
            .ok()
            .and_then(|scope| find_misplacement(&below, &scope));
        problems.extend(message.map(|message| Diagnostic::in_file(RULE, file, message)));
    });
    problems
}

/// Looks at every file, sorted by name, but not at the hidden ones of a mounted `ConfigMap`.
fn walk_files(folder: &Path, look: &mut impl FnMut(&Path)) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            !path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(".."))
        })
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk_files(&path, look);
        } else {
            look(&path);
        }
    }
}
