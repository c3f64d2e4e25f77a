//! The flags of clonerefs, as Prow spells them.

use std::ffi::OsString;

use common::prowjob::{Pull, Refs};

use super::ClonerefsOptions;

/// Clones repositories and merges pull requests.
#[derive(Debug, clap::Args)]
struct ClonerefsFlags {
    /// Where to root source checkouts.
    #[arg(long)]
    src_root: String,
    /// Where to write the records.
    #[arg(long)]
    log: String,
    /// Who merges pull requests.
    #[arg(long, default_value = "ci-robot")]
    git_user_name: String,
    /// The address of who merges them.
    #[arg(long, default_value = "ci-robot@k8s.io")]
    git_user_email: String,
    /// `org,repo=base[:sha][,N[:sha[:ref]]]…`; may be repeated.
    #[arg(long = "repo", required = true, value_parser = parse_refs)]
    repos: Vec<Refs>,
    /// An SSH key, or a folder of them; may be repeated.
    #[arg(long = "ssh-key")]
    ssh_keys: Vec<String>,
    /// References cloned at once; 0 means all.
    #[arg(long, default_value_t = 0)]
    max_workers: usize,
    /// A cookie file for git.
    #[arg(long, default_value = "")]
    cookiefile: String,
    /// Has no effect, as in Prow.
    #[arg(long)]
    clone_alias: Option<String>,
    /// Has no effect, as in Prow.
    #[arg(long)]
    uri_prefix: Option<String>,
    /// Exit with 1 if a clone fails.
    #[arg(long, value_parser = common::service::flags::parse_bool, default_value = "false", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    fail: bool,
}

impl ClonerefsFlags {
    fn unimplemented_flags(&self) -> impl Iterator<Item = &'static str> {
        [
            ("--clone-alias", &self.clone_alias),
            ("--uri-prefix", &self.uri_prefix),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
    }
}

/// Options from the arguments, without the program's name.
pub(super) fn parse_flags(
    args: impl IntoIterator<Item = OsString>,
) -> Result<ClonerefsOptions, clap::Error> {
    let flags: ClonerefsFlags = common::service::flags::parse_flags("clonerefs", args)?;
    common::service::flags::warn_unimplemented_flags(flags.unimplemented_flags());
    Ok(ClonerefsOptions {
        src_root: flags.src_root,
        log: flags.log,
        git_user_name: flags.git_user_name,
        git_user_email: flags.git_user_email,
        git_refs: flags.repos,
        key_files: flags.ssh_keys,
        max_parallel_workers: flags.max_workers,
        cookie_path: flags.cookiefile,
        fail: flags.fail,
        ..ClonerefsOptions::default()
    })
}

/// Reads `org,repo=base[:sha][,N[:sha[:ref]]]…`.
fn parse_refs(text: &str) -> Result<Refs, String> {
    let wrong = || "expected org,repo=base[:sha][,N[:sha[:ref]]]".to_owned();
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (org, repo) = name.split_once(',').ok_or_else(wrong)?;
    let mut parts = rest.split(',');
    let base = parts.next().unwrap_or_default();
    let (base_ref, base_sha) = base.split_once(':').unwrap_or((base, ""));
    let pulls = parts.map(parse_pull).collect::<Result<_, _>>()?;
    Ok(Refs {
        org: org.to_owned(),
        repo: repo.to_owned(),
        base_ref: base_ref.to_owned(),
        base_sha: base_sha.to_owned(),
        pulls,
        ..Refs::default()
    })
}

fn parse_pull(text: &str) -> Result<Pull, String> {
    let mut parts = text.splitn(3, ':');
    let number = parts.next().unwrap_or_default();
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is no pull request number"))?;
    let mut next = || parts.next().unwrap_or_default().to_owned();
    Ok(Pull {
        number,
        sha: next(),
        git_ref: next(),
        ..Pull::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<ClonerefsOptions, clap::Error> {
        parse_flags(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_read_as_prow_reads_them() {
        let line = "-src-root=/go --log /l --repo=o,r=main:abc,7:def:refs/x,8 -repo o,x=dev --ssh-key=/k --fail";
        let options = options(line).unwrap();
        assert_eq!(
            (options.src_root.as_str(), options.log.as_str()),
            ("/go", "/l")
        );
        let shown: Vec<_> = options
            .git_refs
            .iter()
            .map(|r| format!("{} {r}", r.org_repo()))
            .collect();
        assert_eq!(shown, ["o/r main:abc,7:def:refs/x,8:", "o/x dev"]);
        assert_eq!(options.key_files, ["/k"]);
        assert!(options.fail);
        assert_eq!(options.git_user_name, "ci-robot");
        assert_eq!(options.git_user_email, "ci-robot@k8s.io");
    }

    #[test]
    fn what_has_no_effect_is_accepted() {
        let line = "--src-root=/go --log=/l --repo=o,r=main --clone-alias={{.Org}} --uri-prefix=x";
        let with = options(line).unwrap();
        let without = options("--src-root=/go --log=/l --repo=o,r=main").unwrap();
        assert_eq!(with, without);
    }

    #[test]
    fn mistakes_are_told() {
        for line in [
            "--src-root=/go --log=/l",
            "--src-root=/go --log=/l --repo=o/r",
            "--bogus",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
        assert!(
            parse_refs("o,r=main,x")
                .unwrap_err()
                .contains("no pull request number")
        );
    }
}
