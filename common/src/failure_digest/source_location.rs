//! Converts paths in a log to paths in a repository.

use super::MAX_PATH;

/// A line of a file in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLocation {
    pub(super) path: String,
    pub(super) line: u64,
}

impl SourceLocation {
    /// `None` if the path cannot be in the repository. `roots` are the folders that the repository
    /// is checked out to.
    pub(super) fn new(path: &str, line: &str, roots: &[String]) -> Option<Self> {
        let line = line.parse().ok().filter(|line| *line > 0)?;
        let mut path = path.strip_prefix("file://").unwrap_or(path);
        for root in roots {
            let below = path.strip_prefix(root.trim_end_matches('/'));
            if let Some(below) = below.and_then(|rest| rest.strip_prefix('/')) {
                path = below;
                break;
            }
        }
        while let Some(rest) = path.strip_prefix("./") {
            path = rest;
        }
        is_relative_path(path).then(|| Self {
            path: path.to_owned(),
            line,
        })
    }
}

/// Whether a text can be the path of a file below the repository's root.
pub(super) fn is_relative_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.starts_with('/')
        && !path.contains(['\\', ':'])
        && !path.chars().any(char::is_control)
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_repositorys() {
        let roots = ["/home/prow/go/src/github.com/o/r".to_owned()];
        for (path, expected) in [
            ("a/b.go", Some("a/b.go")),
            ("././a.go", Some("a.go")),
            ("/home/prow/go/src/github.com/o/r/a/b.go", Some("a/b.go")),
            ("file:///home/prow/go/src/github.com/o/r/a.kt", Some("a.kt")),
            ("/home/prow/go/src/github.com/o/rest/a.go", None),
            ("/usr/include/stdio.h", None),
            ("../a.go", None),
            ("a//b.go", None),
            ("C:\\a.cs", None),
            ("http://x/y", None),
            ("", None),
        ] {
            let found = SourceLocation::new(path, "7", &roots).map(|place| place.path);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        assert_eq!(SourceLocation::new("a.go", "0", &roots), None);
        assert_eq!(
            SourceLocation::new("a.go", "99999999999999999999999", &roots),
            None
        );
    }
}
