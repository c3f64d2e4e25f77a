//! The files of `plugins.yaml`: the main file and its supplemental files.

use std::{
    fs,
    path::{Path as FilePath, PathBuf},
};

use crate::config::{ConfigErrors, Diagnostic};

/// The flags that say where `plugins.yaml` is.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct PluginOptions {
    #[arg(long, value_name = "FILE", default_value = "/etc/plugins/plugins.yaml")]
    pub plugin_config: PathBuf,
    /// Folders with supplemental files of `plugins.yaml`.
    #[arg(long, value_name = "DIR")]
    pub supplemental_plugin_config_dir: Vec<PathBuf>,
    /// Suffix of the names of supplemental files; if it is empty, none is read.
    #[arg(long, default_value = "_pluginconfig.yaml")]
    pub supplemental_plugin_configs_filename_suffix: String,
}

impl PluginOptions {
    /// All files as they are now: `--plugin-config`, then the supplemental files in the order of
    /// their names. A folder that cannot be searched is an error.
    pub fn list_files(&self) -> Result<Vec<PathBuf>, ConfigErrors> {
        let mut files = vec![self.plugin_config.clone()];
        let mut problems = Vec::new();
        let suffix = &self.supplemental_plugin_configs_filename_suffix;
        for dir in &self.supplemental_plugin_config_dir {
            if !suffix.is_empty() {
                collect_parts(dir, suffix, &mut files, &mut problems);
            }
        }
        if problems.is_empty() {
            Ok(files)
        } else {
            Err(ConfigErrors(problems))
        }
    }
}

fn collect_parts(
    dir: &FilePath,
    suffix: &str,
    files: &mut Vec<PathBuf>,
    problems: &mut Vec<Diagnostic>,
) {
    let entries = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_dir()))))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            problems.push(Diagnostic::in_file(
                "file",
                dir.display().to_string(),
                message,
            ));
            return;
        }
    };
    entries.sort();
    for (path, is_dir) in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("..") {
            // Kubernetes keeps the versions of a mounted ConfigMap in such folders.
        } else if is_dir {
            collect_parts(&path, suffix, files, problems);
        } else if name.ends_with(suffix) {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_parts_are_found_by_the_end_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("o/r")).unwrap();
        fs::create_dir_all(at("..2026")).unwrap();
        for name in [
            "o/r/x_pluginconfig.yaml",
            "o/a_pluginconfig.yaml",
            "o/other.yaml",
            "..2026/b_pluginconfig.yaml",
        ] {
            fs::write(at(name), "").unwrap();
        }
        let mut options = PluginOptions {
            plugin_config: at("plugins.yaml"),
            supplemental_plugin_config_dir: vec![dir.path().to_owned()],
            supplemental_plugin_configs_filename_suffix: "_pluginconfig.yaml".to_owned(),
        };
        let parts = ["o/a_pluginconfig.yaml", "o/r/x_pluginconfig.yaml"].map(at);
        assert_eq!(options.list_files().unwrap()[1..], parts);
        options.supplemental_plugin_configs_filename_suffix.clear();
        assert_eq!(options.list_files().unwrap().len(), 1);
        options.supplemental_plugin_configs_filename_suffix = "x".to_owned();
        options.supplemental_plugin_config_dir = vec![at("none")];
        let error = options.list_files().unwrap_err().to_string();
        assert!(error.contains("none: cannot be read: "), "{error}");
    }
}
