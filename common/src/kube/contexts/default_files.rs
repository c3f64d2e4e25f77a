//! The kubeconfig files that kubectl uses by default.

use std::{env, ffi::OsString, path::PathBuf};

/// The files of `$KUBECONFIG`, else the one in the home folder, if they exist.
pub(super) fn default_kubeconfig_files() -> Vec<PathBuf> {
    let mut all = kubeconfig_candidates(env::var_os("KUBECONFIG"), env::home_dir());
    all.retain(|path| path.exists());
    all
}

fn kubeconfig_candidates(variable: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let paths = variable.iter().flat_map(env::split_paths);
    let paths: Vec<PathBuf> = paths.filter(|path| !path.as_os_str().is_empty()).collect();
    if paths.is_empty() {
        return home
            .into_iter()
            .map(|home| home.join(".kube/config"))
            .collect();
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_unless_it_names_nothing() {
        for (variable, home, expected) in [
            (Some("/a:/b"), Some("/home/me"), &["/a", "/b"][..]),
            (Some("/a::"), None, &["/a"]),
            (Some(""), Some("/home/me"), &["/home/me/.kube/config"]),
            (None, Some("/home/me"), &["/home/me/.kube/config"]),
            (None, None, &[]),
        ] {
            let files = kubeconfig_candidates(variable.map(Into::into), home.map(Into::into));
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(files, expected, "{variable:?}");
        }
    }
}
