//! Validates what goes into a git command: no options, no paths out of a folder, no other refs.

use common::prowjob::Refs;
use common::redact::strip_url_credentials;

/// Checks a reference. The error says what is wrong, for the readers of the clone's log.
pub(super) fn validate_refs(refs: &Refs) -> Result<(), String> {
    check_path("org", &refs.org)?;
    if refs.repo.is_empty() {
        return Err(refusal_message("repo", ""));
    }
    check_path("repo", &refs.repo)?;
    check_path("path_alias", &refs.path_alias)?;
    for (field, uri) in [
        ("clone_uri", &refs.clone_uri),
        ("repo_link", &refs.repo_link),
    ] {
        if !uri.is_empty() {
            check_remote(field, uri)?;
        }
    }
    if refs.base_ref.is_empty() && refs.base_sha.is_empty() {
        return Err("neither base_ref nor base_sha is set".to_owned());
    }
    check_ref_name("base_ref", &refs.base_ref)?;
    check_sha("base_sha", &refs.base_sha)?;
    for pull in &refs.pulls {
        check_sha("the sha of a pull request", &pull.sha)?;
        if !pull.git_ref.is_empty() {
            check_ref_name("the ref of a pull request", &pull.git_ref)?;
        }
    }
    for file in &refs.sparse_checkout_files {
        if file.is_empty() || file.starts_with('-') || file.chars().any(char::is_control) {
            return Err(refusal_message("sparse_checkout_files", file));
        }
    }
    Ok(())
}

fn refusal_message(field: &str, value: &str) -> String {
    format!(
        "{field} {:?} is not allowed",
        strip_url_credentials(value)
            .chars()
            .take(100)
            .collect::<String>()
    )
}

/// Applies the rules of `git check-ref-format`, but accepts a name without a slash.
fn check_ref_name(field: &str, name: &str) -> Result<(), String> {
    let bad_char = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let bad = name.is_empty()
        || name.starts_with(['-', '+', '/'])
        || name.ends_with(['/', '.'])
        || name == "@"
        || name.contains("..")
        || name.contains("//")
        || name.contains("@{")
        || name.contains(bad_char)
        || name
            .split('/')
            .any(|part| part.starts_with('.') || part.ends_with(".lock"));
    if bad {
        Err(refusal_message(field, name))
    } else {
        Ok(())
    }
}

/// Accepts an object id, or nothing.
fn check_sha(field: &str, sha: &str) -> Result<(), String> {
    let good = sha.is_empty()
        || ((7..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit()));
    if good {
        Ok(())
    } else {
        Err(refusal_message(field, sha))
    }
}

/// Accepts a path that stays below its folder; empty segments and `.` do no harm.
fn check_path(field: &str, path: &str) -> Result<(), String> {
    if path.chars().any(char::is_control) || path.split('/').any(|part| part == "..") {
        Err(refusal_message(field, path))
    } else {
        Ok(())
    }
}

/// Accepts a URL or `host:path`, but not `ext::…`, which runs a command.
fn check_remote(field: &str, uri: &str) -> Result<(), String> {
    let bad = uri.starts_with('-')
        || uri.contains("::")
        || uri.chars().any(|c| c.is_control() || c.is_whitespace());
    if bad {
        Err(refusal_message(field, uri))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;

    use super::*;

    fn refs() -> Refs {
        Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            ..Refs::default()
        }
    }

    fn pull(sha: &str, git_ref: &str) -> Vec<Pull> {
        vec![Pull {
            number: 1,
            sha: sha.into(),
            git_ref: git_ref.into(),
            ..Pull::default()
        }]
    }

    #[test]
    fn what_repositories_have_is_good() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for good in [
            refs(),
            Refs {
                base_ref: "release/v1.2-x_y".into(),
                base_sha: sha.into(),
                ..refs()
            },
            Refs {
                base_ref: "dependabot/npm_and_yarn/@types/node-1".into(),
                ..refs()
            },
            Refs {
                pulls: pull(sha, "refs/changes/01/1/2"),
                ..refs()
            },
            Refs {
                pulls: pull("", ""),
                path_alias: "k8s.io/kubernetes".into(),
                ..refs()
            },
            Refs {
                clone_uri: "git@github.com:o/r.git".into(),
                ..refs()
            },
            Refs {
                clone_uri: "file:///srv/git/r".into(),
                repo_link: "https://github.com/o/r".into(),
                ..refs()
            },
            Refs {
                org: "https://gerrit.example.com/".into(),
                repo: "a/b".into(),
                ..refs()
            },
            Refs {
                org: String::new(),
                path_alias: "/a//b/./-c/".into(),
                clone_depth: -1,
                ..refs()
            },
        ] {
            assert_eq!(validate_refs(&good), Ok(()));
        }
    }

    #[test]
    fn what_could_be_an_option_or_lead_out_is_refused() {
        for bad in [
            Refs {
                base_ref: String::new(),
                ..refs()
            },
            Refs {
                base_ref: "--upload-pack=touch x".into(),
                ..refs()
            },
            Refs {
                base_ref: "a b".into(),
                ..refs()
            },
            Refs {
                base_ref: "main:refs/heads/x".into(),
                ..refs()
            },
            Refs {
                base_ref: "+main".into(),
                ..refs()
            },
            Refs {
                base_ref: "a..b".into(),
                ..refs()
            },
            Refs {
                base_ref: "HEAD@{1}".into(),
                ..refs()
            },
            Refs {
                base_ref: "x.lock".into(),
                ..refs()
            },
            Refs {
                base_sha: "-x".into(),
                ..refs()
            },
            Refs {
                base_sha: "main".into(),
                ..refs()
            },
            Refs {
                pulls: pull("HEAD", ""),
                ..refs()
            },
            Refs {
                pulls: pull("", "--exec=x"),
                ..refs()
            },
            Refs {
                org: "..".into(),
                ..refs()
            },
            Refs {
                repo: "../../etc".into(),
                ..refs()
            },
            Refs {
                repo: String::new(),
                ..refs()
            },
            Refs {
                path_alias: "..".into(),
                ..refs()
            },
            Refs {
                path_alias: "a/../../b".into(),
                ..refs()
            },
            Refs {
                clone_uri: "ext::sh -c 'touch x'".into(),
                ..refs()
            },
            Refs {
                clone_uri: "-u./x".into(),
                ..refs()
            },
            Refs {
                repo_link: "https://x\ny".into(),
                ..refs()
            },
            Refs {
                sparse_checkout_files: vec!["--stdin".into()],
                ..refs()
            },
        ] {
            assert!(validate_refs(&bad).is_err(), "{bad:?}");
        }
    }
}
