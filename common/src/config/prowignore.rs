//! `.prowignore`: which files in a folder of job files are ignored, in the syntax of
//! `.gitignore`. Pure: contents come in.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The name of such a file, in any folder.
pub const PROWIGNORE_FILE: &str = ".prowignore";

/// Every `.prowignore` of one tree; those in deeper folders take precedence over those above.
#[derive(Clone, Debug, Default)]
pub struct ProwIgnore(Vec<(String, Gitignore)>);

impl ProwIgnore {
    /// Adds the content of the file in `folder`, which is relative to the root of the tree and
    /// empty for the root itself. An error names the line that is not a valid pattern.
    pub fn add_file(&mut self, folder: &str, text: &str) -> Result<(), String> {
        let mut builder = GitignoreBuilder::new(folder);
        for (index, line) in text.lines().enumerate() {
            let added = builder.add_line(None, line);
            added.map_err(|error| format!("line {}: {error}", index + 1))?;
        }
        let built = builder.build().map_err(|error| error.to_string())?;
        self.0.push((folder.to_owned(), built));
        self.0.sort_by_key(|(folder, _)| folder.len());
        Ok(())
    }

    /// Whether the file at `path`, relative to the root of the tree, is ignored.
    pub fn is_ignored(&self, path: &str) -> bool {
        let decided = self.0.iter().rev().find_map(|(folder, patterns)| {
            let below = Path::new(path).strip_prefix(folder).ok()?;
            let decision = patterns.matched_path_or_any_parents(below, false);
            (!decision.is_none()).then(|| decision.is_ignore())
        });
        decided.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_out_as_git_would() {
        for (name, files, left_out) in [
            (
                "all",
                &[("", "*.yaml")][..],
                &["a.yaml", "sub/b.yaml", "sub/c.yaml"][..],
            ),
            ("some", &[("", "a*")], &["a.yaml"]),
            ("a folder", &[("", "sub/")], &["sub/b.yaml", "sub/c.yaml"]),
            (
                "all but one of a folder",
                &[("", "sub/*\n!sub/c.yaml")],
                &["sub/b.yaml"],
            ),
            ("one in a folder", &[("sub", "b.yaml")], &["sub/b.yaml"]),
            ("of the folder only", &[("", "/c.yaml")], &[]),
            (
                "the deeper one decides",
                &[("sub", "!b.yaml"), ("", "*.yaml")],
                &["a.yaml", "sub/c.yaml"],
            ),
            ("a comment and an empty line", &[("", "# a.yaml\n\n")], &[]),
        ] {
            let mut ignore = ProwIgnore::default();
            for (folder, text) in files {
                ignore.add_file(folder, text).unwrap();
            }
            let paths = ["a.yaml", "sub/b.yaml", "sub/c.yaml"];
            let found: Vec<_> = paths
                .into_iter()
                .filter(|path| ignore.is_ignored(path))
                .collect();
            assert_eq!(found, left_out, "{name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_with_its_line() {
        let error = ProwIgnore::default().add_file("", "a\n[z-a]").unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
