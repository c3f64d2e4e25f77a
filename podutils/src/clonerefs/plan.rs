//! Plans the commands that make a merged tree, as values. It does not run them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::prowjob::Refs;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloneStep {
    pub(super) dir: PathBuf,
    /// Shown with the command, so they hold no secrets.
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) args: Vec<String>,
}

impl CloneStep {
    fn git_step(dir: &Path, args: &[&str]) -> Self {
        let args = std::iter::once("git").chain(args.iter().copied());
        Self {
            dir: dir.to_owned(),
            env: Vec::new(),
            args: args.filter(|a| !a.is_empty()).map(str::to_owned).collect(),
        }
    }

    /// Whether the step is retried. A fetch is; `submodule update`, which also uses the network, is not.
    pub(super) fn is_fetch(&self) -> bool {
        self.args.get(1).is_some_and(|verb| verb == "fetch")
    }
}

/// The author of merge commits.
#[derive(Debug, Clone, Copy)]
pub(super) struct MergeAuthor<'a> {
    pub(super) name: &'a str,
    pub(super) email: &'a str,
}

/// The folder that a reference is cloned into.
pub(super) fn clone_dir(src_root: &str, refs: &Refs) -> PathBuf {
    refs.clone_dir(src_root).into()
}

/// The address that a reference is fetched from.
pub(super) fn repository_uri(refs: &Refs) -> String {
    if !refs.clone_uri.is_empty() {
        refs.clone_uri.clone()
    } else if !refs.repo_link.is_empty() {
        format!("{}.git", refs.repo_link)
    } else {
        format!("https://github.com/{}/{}.git", refs.org, refs.repo)
    }
}

/// The commands from an empty folder to a branch with the name and commit of the base.
pub(super) fn commands_for_base_ref(
    refs: &Refs,
    dir: &Path,
    author: MergeAuthor<'_>,
) -> Vec<CloneStep> {
    let git = |args: &[&str]| CloneStep::git_step(dir, args);
    let uri = repository_uri(refs);
    let sparse = !refs.sparse_checkout_files.is_empty();
    let depth = if refs.clone_depth > 0 {
        format!("--depth={}", refs.clone_depth)
    } else {
        String::new()
    };
    let filter = fetch_filter(refs);

    let mkdir = ["mkdir", "-p", &dir.display().to_string()]
        .map(str::to_owned)
        .to_vec();
    let mut steps = vec![
        CloneStep {
            dir: PathBuf::from("/"),
            env: Vec::new(),
            args: mkdir,
        },
        git(&["init"]),
    ];
    if !author.name.is_empty() {
        steps.push(git(&["config", "user.name", author.name]));
    }
    if !author.email.is_empty() {
        steps.push(git(&["config", "user.email", author.email]));
    }
    if sparse {
        steps.push(git(&["sparse-checkout", "init"]));
    }
    if !refs.skip_fetch_head && !sparse {
        steps.push(git(&["fetch", &depth, filter, &uri, "--tags", "--prune"]));
    }
    let wanted = if refs.base_sha.is_empty() {
        &refs.base_ref
    } else {
        &refs.base_sha
    };
    steps.push(git(&[
        "fetch",
        &depth,
        filter,
        if sparse { "--no-tags" } else { "" },
        &uri,
        wanted,
    ]));
    if sparse {
        let files = refs.sparse_checkout_files.iter().map(String::as_str);
        steps.push(git(&["sparse-checkout", "set"]
            .into_iter()
            .chain(files)
            .collect::<Vec<_>>()));
    }
    let target = if refs.base_sha.is_empty() {
        "FETCH_HEAD"
    } else {
        &refs.base_sha
    };
    // The dashes are needed where a file has the name of a branch.
    steps.push(git(&["checkout", target, "--"]));
    if !refs.base_ref.is_empty() {
        steps.push(git(&["branch", "--force", &refs.base_ref, target]));
        steps.push(git(&["checkout", &refs.base_ref, "--"]));
    }
    steps
}

/// The commands that merge the pull requests one after the other and then fetch submodules.
///
/// Each merge is dated a second after the one before, starting from the base commit's own time. So
/// the same input makes the same commits wherever it runs.
pub(super) fn commands_for_pull_refs(
    refs: &Refs,
    dir: &Path,
    base_timestamp: i64,
) -> Vec<CloneStep> {
    let uri = repository_uri(refs);
    let mut steps = Vec::new();
    for (pull, time) in refs.pulls.iter().zip(base_timestamp + 1..) {
        let fetched = if !pull.git_ref.is_empty() {
            pull.git_ref.clone()
        } else if !pull.sha.is_empty() {
            pull.sha.clone()
        } else {
            format!("pull/{}/head", pull.number)
        };
        steps.push(CloneStep::git_step(
            dir,
            &["fetch", fetch_filter(refs), &uri, &fetched],
        ));
        let merged = if pull.sha.is_empty() {
            "FETCH_HEAD"
        } else {
            &pull.sha
        };
        let date = format!("@{time} +0000");
        steps.push(CloneStep {
            env: vec![
                ("GIT_AUTHOR_DATE", date.clone()),
                ("GIT_COMMITTER_DATE", date),
            ],
            ..CloneStep::git_step(dir, &["merge", "--no-ff", merged])
        });
    }
    if !refs.skip_submodules {
        steps.push(CloneStep::git_step(
            dir,
            &["submodule", "update", "--init", "--recursive"],
        ));
    }
    steps
}

fn fetch_filter(refs: &Refs) -> &'static str {
    let blobless = refs.blobless_fetch == Some(true) || !refs.sparse_checkout_files.is_empty();
    if blobless { "--filter=blob:none" } else { "" }
}

/// Finds two references with the same folder, which would undo each other.
pub(super) fn find_collision(src_root: &str, all: &[Refs]) -> Option<String> {
    let mut taken = BTreeMap::new();
    all.iter().find_map(|refs| {
        let dir = clone_dir(src_root, refs);
        let other = taken.insert(dir.clone(), refs.org_repo())?;
        Some(format!(
            "{other} and {} would both be cloned into {}",
            refs.org_repo(),
            dir.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;

    use super::*;

    const SHA: &str = "0123456789abcdef";

    fn refs() -> Refs {
        Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            ..Refs::default()
        }
    }

    fn lines(steps: &[CloneStep]) -> Vec<String> {
        let line = |step: &CloneStep| {
            let env = step
                .env
                .iter()
                .map(|(k, v)| format!("{k}={v} "))
                .collect::<String>();
            format!("{env}{}", step.args.join(" "))
        };
        steps.iter().map(line).collect()
    }

    fn base_lines(refs: &Refs) -> Vec<String> {
        lines(&commands_for_base_ref(
            refs,
            Path::new("/d"),
            MergeAuthor {
                name: "n",
                email: "",
            },
        ))
        .split_off(3)
    }

    #[test]
    fn folders_and_addresses() {
        for (refs, dir, uri) in [
            (
                refs(),
                "/go/src/github.com/o/r",
                "https://github.com/o/r.git",
            ),
            (
                Refs {
                    path_alias: "k8s.io/k".into(),
                    ..refs()
                },
                "/go/src/k8s.io/k",
                "https://github.com/o/r.git",
            ),
            (
                Refs {
                    repo_link: "https://ghe.x/o/r".into(),
                    ..refs()
                },
                "/go/src/ghe.x/o/r",
                "https://ghe.x/o/r.git",
            ),
            (
                Refs {
                    clone_uri: "git@h:o/r".into(),
                    ..refs()
                },
                "/go/src/github.com/o/r",
                "git@h:o/r",
            ),
        ] {
            assert_eq!(clone_dir("/go", &refs), Path::new(dir));
            assert_eq!(repository_uri(&refs), uri);
        }
    }

    #[test]
    fn a_base_by_name_and_by_commit() {
        let uri = "https://github.com/o/r.git";
        assert_eq!(
            lines(&commands_for_base_ref(
                &refs(),
                Path::new("/d"),
                MergeAuthor {
                    name: "n",
                    email: "e"
                }
            )),
            [
                "mkdir -p /d".to_owned(),
                "git init".to_owned(),
                "git config user.name n".to_owned(),
                "git config user.email e".to_owned(),
                format!("git fetch {uri} --tags --prune"),
                format!("git fetch {uri} main"),
                "git checkout FETCH_HEAD --".to_owned(),
                "git branch --force main FETCH_HEAD".to_owned(),
                "git checkout main --".to_owned(),
            ]
        );
        let refs = Refs {
            base_sha: SHA.into(),
            skip_fetch_head: true,
            clone_depth: 2,
            ..refs()
        };
        assert_eq!(
            base_lines(&refs),
            [
                format!("git fetch --depth=2 {uri} {SHA}"),
                format!("git checkout {SHA} --"),
                format!("git branch --force main {SHA}"),
                "git checkout main --".to_owned(),
            ]
        );
    }

    #[test]
    fn a_sparse_checkout_fetches_little() {
        let refs = Refs {
            sparse_checkout_files: vec!["a".into(), "b/c".into()],
            ..refs()
        };
        let uri = "https://github.com/o/r.git";
        assert_eq!(
            base_lines(&refs)[..3],
            [
                "git sparse-checkout init".to_owned(),
                format!("git fetch --filter=blob:none --no-tags {uri} main"),
                "git sparse-checkout set a b/c".to_owned(),
            ]
        );
    }

    #[test]
    fn pulls_are_merged_in_order_at_times_that_do_not_change() {
        let pull = |number, sha: &str, git_ref: &str| Pull {
            number,
            sha: sha.into(),
            git_ref: git_ref.into(),
            ..Pull::default()
        };
        let pulls = vec![pull(1, "", ""), pull(2, SHA, ""), pull(3, SHA, "refs/x")];
        let refs = Refs {
            pulls,
            clone_depth: 1,
            blobless_fetch: Some(true),
            ..refs()
        };
        let uri = "https://github.com/o/r.git";
        let date = |t| format!("GIT_AUTHOR_DATE=@{t} +0000 GIT_COMMITTER_DATE=@{t} +0000");
        assert_eq!(
            lines(&super::commands_for_pull_refs(&refs, Path::new("/d"), 100)),
            [
                format!("git fetch --filter=blob:none {uri} pull/1/head"),
                format!("{} git merge --no-ff FETCH_HEAD", date(101)),
                format!("git fetch --filter=blob:none {uri} {SHA}"),
                format!("{} git merge --no-ff {SHA}", date(102)),
                format!("git fetch --filter=blob:none {uri} refs/x"),
                format!("{} git merge --no-ff {SHA}", date(103)),
                "git submodule update --init --recursive".to_owned(),
            ]
        );
        assert!(
            super::commands_for_pull_refs(
                &Refs {
                    skip_submodules: true,
                    pulls: vec![],
                    ..refs
                },
                Path::new("/d"),
                1
            )
            .is_empty()
        );
    }

    #[test]
    fn one_folder_for_two_is_refused() {
        let alias = Refs {
            repo: "x".into(),
            path_alias: "github.com/o/r".into(),
            ..refs()
        };
        assert_eq!(
            find_collision(
                "/go",
                &[
                    refs(),
                    Refs {
                        repo: "y".into(),
                        ..refs()
                    }
                ]
            ),
            None
        );
        assert!(find_collision("/go", &[refs(), refs()]).is_some());
        assert!(find_collision("/go", &[refs(), alias]).is_some());
    }
}
