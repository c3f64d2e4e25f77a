//! Reads the jobs that a repository brings itself from a folder.
//!
//! `.prow/` takes precedence over `.prow.yaml`, and that over `prow-jobs.yaml`; exactly one is
//! read, no symbolic link is followed, and in the folder `.prowignore` excludes files. hook, which
//! reads from git, has the same rules.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use common::config::{
    Config, ConfigErrors, Diagnostic, ProwConfig, inrepo,
    prowignore::{self, ProwIgnore},
};
use serde_json::json;

use super::report::ConfigCounts;
use crate::demo;

/// The rule of a finding about a file that cannot be read.
const UNREADABLE_RULE: &str = "file";

/// Names and contents.
type CheckoutFiles = Vec<(String, String)>;

/// The result for a repository's own jobs.
#[derive(Debug, Default)]
pub(super) struct CheckoutReport {
    pub(super) counts: ConfigCounts,
    /// Fields that nothing reads.
    pub(super) warnings: Vec<Diagnostic>,
}

/// Checks the jobs below `path` (a checkout, or one of its files; this folder when not given)
/// together with the central ones of `config`.
pub(super) fn check_checkout(
    path: Option<&Path>,
    org_repo: &str,
    config: &Config,
) -> Result<CheckoutReport, ConfigErrors> {
    check_files(&read_files(path)?, org_repo, config)
}

/// Like [`check_checkout`], with nothing but a checkout. `None` when it has no jobs.
pub(super) fn check_without_config(
    path: Option<&Path>,
    org_repo: Option<&str>,
) -> Option<Result<CheckoutReport, ConfigErrors>> {
    let files = match read_files(path) {
        Ok(files) if files.is_empty() => return None,
        Ok(files) => files,
        Err(errors) => return Some(Err(errors)),
    };
    let name = org_repo.map_or_else(|| repository_name(path, &files), str::to_owned);
    let config = Config {
        prow: permissive_config(),
        ..Config::default()
    };
    // Which clusters the jobs may use depends on the installation.
    let outcome = check_files(&files, &name, &config).or_else(|mut errors| {
        errors.0.retain(|problem| problem.rule != "cluster");
        if errors.0.is_empty() {
            Ok(CheckoutReport {
                counts: ConfigCounts {
                    files: files.len(),
                    ..ConfigCounts::default()
                },
                ..CheckoutReport::default()
            })
        } else {
            Err(errors)
        }
    });
    Some(outcome)
}

fn check_files(
    files: &CheckoutFiles,
    org_repo: &str,
    config: &Config,
) -> Result<CheckoutReport, ConfigErrors> {
    let own = inrepo::parse_in_repo_files(files, org_repo, config)?;
    let warnings = own.remarks.into_iter().map(|remark| Diagnostic {
        rule: "unknown-fields",
        ..remark
    });
    Ok(CheckoutReport {
        counts: ConfigCounts {
            files: files.len(),
            presubmits: own.presubmits.len(),
            postsubmits: own.postsubmits.len(),
            ..ConfigCounts::default()
        },
        warnings: warnings.collect(),
    })
}

/// Decoration is complete, as in every installation that decorates at all.
fn permissive_config() -> ProwConfig {
    let image = "decoration.invalid/utility";
    let plank = json!({"default_decoration_configs": {"*": {
        "utility_images": {
            "clonerefs": image, "initupload": image, "entrypoint": image, "sidecar": image,
        },
        "gcs_configuration": {"bucket": "results.invalid", "path_strategy": "explicit"},
    }}});
    let mut prow = ProwConfig::default();
    prow.plank = serde_json::from_value(plank).expect("the section is valid");
    prow
}

/// `org/repo` from `origin`, or from the file's only key.
fn repository_name(path: Option<&Path>, files: &CheckoutFiles) -> String {
    let mut git = Command::new("git");
    git.args(["remote", "get-url", "origin"]);
    let folder = path.map(|path| {
        if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        }
    });
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        git.current_dir(folder);
    }
    let origin = git.output().ok().filter(|output| output.status.success());
    let origin = origin.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let from_file = || {
        let (file, text) = files.first()?;
        let jobs = common::config::yaml::parse_yaml(file, text).ok()?;
        demo::find_only_key(&jobs)
    };
    let (org, repo) = origin
        .and_then(|url| demo::parse_remote_url(&url))
        .or_else(from_file)
        .unwrap_or_else(|| ("local".into(), "repository".into()));
    format!("{org}/{repo}")
}

/// Prow takes the folder of any file that is named. Here a file of another name is read alone.
fn read_files(path: Option<&Path>) -> Result<CheckoutFiles, ConfigErrors> {
    let path = path.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    let own_names = [".prow", ".prow.yaml", "prow-jobs.yaml"];
    let mut paths = Vec::new();
    if own_names.iter().any(|own| name == *own) {
        collect_checkout(path.parent().unwrap_or(Path::new("")), &mut paths)?;
    } else if path.is_dir() {
        collect_checkout(path, &mut paths)?;
    } else {
        collect_files(path, &mut paths)?;
    }
    paths.sort();
    paths.into_iter().map(read_file).collect()
}

fn collect_checkout(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ConfigErrors> {
    let Some(chosen) = choose_entry(folder) else {
        return Ok(());
    };
    collect_files(&chosen, paths)?;
    if chosen.is_dir() {
        let top = folder.join(prowignore::PROWIGNORE_FILE);
        if top.symlink_metadata().is_ok() {
            collect_files(&top, paths)?;
        }
        apply_ignores(folder, paths)?;
    }
    Ok(())
}

/// Removes the `.prowignore` files and the files that they exclude.
fn apply_ignores(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ConfigErrors> {
    let relative = |path: &Path| {
        let below = path.strip_prefix(folder).unwrap_or(path);
        below.to_string_lossy().into_owned()
    };
    let mut ignore = ProwIgnore::default();
    for path in paths.iter().filter(|path| is_ignore(path)) {
        let (name, text) = read_file(path.clone())?;
        let below = path.parent().map(relative).unwrap_or_default();
        let added = ignore.add_file(&below, &text);
        added.map_err(|message| Diagnostic::in_file(UNREADABLE_RULE, name, message))?;
    }
    paths.retain(|path| !is_ignore(path) && !ignore.is_ignored(&relative(path)));
    Ok(())
}

fn is_ignore(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == prowignore::PROWIGNORE_FILE)
}

/// The entry that configures jobs. A plain file called `.prow` belongs to something else.
fn choose_entry(folder: &Path) -> Option<PathBuf> {
    let there = |name: &str| {
        let path = folder.join(name);
        let found = path.symlink_metadata().ok()?;
        (name != ".prow" || !found.is_file()).then_some(path)
    };
    [".prow", ".prow.yaml", "prow-jobs.yaml"]
        .into_iter()
        .find_map(there)
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), ConfigErrors> {
    let kind = path
        .symlink_metadata()
        .map_err(|error| unreadable_file(path, &error))?;
    if kind.is_symlink() {
        let message = "found a symbolic link, expected a plain file";
        return Err(
            Diagnostic::in_file(UNREADABLE_RULE, path.display().to_string(), message).into(),
        );
    }
    if !kind.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| unreadable_file(path, &error))? {
        let path = entry.map_err(|error| unreadable_file(path, &error))?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if path.is_dir() || path.is_symlink() || is_yaml || is_ignore(&path) {
            collect_files(&path, files)?;
        }
    }
    Ok(())
}

fn read_file(path: PathBuf) -> Result<(String, String), ConfigErrors> {
    let name = path
        .strip_prefix(".")
        .unwrap_or(&path)
        .display()
        .to_string();
    match fs::read_to_string(&path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(unreadable_file(&path, &error)),
    }
}

fn unreadable_file(path: &Path, error: &io::Error) -> ConfigErrors {
    let message = format!("cannot be read: {error}");
    Diagnostic::in_file(UNREADABLE_RULE, path.display().to_string(), message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: &str = "presubmits:\n- {name: unit, decorate: true, cluster: arm, spec: {containers: [{image: a, command: [b]}]}}\n";

    fn names(folder: &Path) -> Vec<String> {
        let files = read_files(Some(folder)).unwrap().into_iter();
        let prefix = format!("{}/", folder.display());
        files.map(|(name, _)| name.replace(&prefix, "")).collect()
    }

    #[test]
    fn exactly_one_place_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(check_without_config(Some(root), None).is_none());
        fs::write(root.join("prow-jobs.yaml"), JOBS).unwrap();
        assert_eq!(names(root), ["prow-jobs.yaml"]);
        fs::write(root.join(".prow.yaml"), "").unwrap();
        assert_eq!(names(root), [".prow.yaml"]);
        assert_eq!(names(&root.join("prow-jobs.yaml")).len(), 1);
        fs::create_dir_all(root.join(".prow/sub")).unwrap();
        for name in ["sub/b.yml", "a.yaml", "OWNERS"] {
            fs::write(root.join(".prow").join(name), "").unwrap();
        }
        assert_eq!(names(root), [".prow/a.yaml", ".prow/sub/b.yml"]);
        fs::write(root.join(".prowignore"), "*.yml\n").unwrap();
        fs::write(root.join(".prow/.prowignore"), "/a.yaml\n").unwrap();
        fs::write(root.join(".prow/sub/.prowignore"), "!b.yml\n").unwrap();
        fs::write(root.join(".prow/c.yml"), "").unwrap();
        assert_eq!(names(root), [".prow/sub/b.yml"]);
        std::os::unix::fs::symlink("/etc", root.join(".prow/link")).unwrap();
        let error = read_files(Some(root)).unwrap_err().to_string();
        assert!(
            error.ends_with("found a symbolic link, expected a plain file"),
            "{error}"
        );
    }

    #[test]
    fn a_checkout_is_checked_without_its_installation() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prow-jobs.yaml");
        fs::write(&file, JOBS).unwrap();
        let found = check_without_config(Some(folder.path()), Some("o/r")).unwrap();
        assert_eq!(found.unwrap().counts.files, 1);
        fs::write(&file, JOBS.replace("decorate", "decorated")).unwrap();
        let errors = check_without_config(Some(folder.path()), Some("o/r"))
            .unwrap()
            .unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert_eq!(
            errors.0[0].hint.as_deref(),
            Some("did you mean \"decorate\"?")
        );
    }
}
