//! The `ssh` command of git: its keys and known hosts.
//!
//! A job may name known hosts (`ssh_host_fingerprints`). A job that names none can clone from
//! GitHub, whose public keys are built in, and from the hosts that the image knows. There is no
//! prompt, and a host that is not known is not trusted.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::options::ClonerefsOptions;

/// GitHub's host keys, as published at <https://api.github.com/meta>.
const GITHUB_KNOWN_HOSTS: &str = include_str!("github_known_hosts");
/// The known hosts of the image.
const IMAGE_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";
/// Ends a connection if the server sends nothing for five minutes.
const ALIVE: &str = " -o ServerAliveInterval=30 -o ServerAliveCountMax=10";

/// `ssh` with the keys and known hosts of the options. `None` if the options name neither and the
/// environment has its own command (`is_ours` is false), which git then uses.
pub(super) fn ssh_command(
    options: &ClonerefsOptions,
    home: &Path,
    is_ours: bool,
) -> anyhow::Result<Option<String>> {
    if options.key_files.is_empty() && options.host_fingerprints.is_empty() && !is_ours {
        return Ok(None);
    }
    let mut command = format!("ssh -o BatchMode=yes{ALIVE}");
    let mut keys = Vec::new();
    for path in &options.key_files {
        collect_keys(Path::new(path), &mut keys)
            .with_context(|| format!("reading the SSH keys {path}"))?;
    }
    if !keys.is_empty() {
        command += " -o IdentitiesOnly=yes";
    }
    for key in keys {
        command += &format!(" -i {}", shell_quote(&key.display().to_string()));
    }
    let known = home.join("known_hosts");
    let shown = known.display();
    let mut file = fs::File::create(&known)?;
    if options.host_fingerprints.is_empty() {
        file.write_all(GITHUB_KNOWN_HOSTS.as_bytes())?;
        let hosts = format!("{IMAGE_KNOWN_HOSTS} \"{shown}\"");
        command += &format!(
            " -o {}",
            shell_quote(&format!("GlobalKnownHostsFile={hosts}"))
        );
    } else {
        file.write_all(options.host_fingerprints.join("\n").as_bytes())?;
        file.write_all(b"\n")?;
        command += &format!(" -o UserKnownHostsFile={}", shell_quote(&shown.to_string()));
    }
    Ok(Some(command))
}

fn collect_keys(path: &Path, keys: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        keys.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // Kubernetes keeps the versions of a mount in `..data` and `..2026_…`.
        if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
            collect_keys(&entry.path(), keys)?;
        }
    }
    Ok(())
}

/// Quotes a word for the shell that git runs the command with.
fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_hosts_become_an_ssh_command() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..data")).unwrap();
        for name in ["..data/k", "a", "it's"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let key_files = vec![dir.path().display().to_string()];
        let options = ClonerefsOptions {
            key_files,
            host_fingerprints: vec!["h ssh-rsa x".into()],
            ..ClonerefsOptions::default()
        };
        let home = tempfile::tempdir().unwrap();
        let command = ssh_command(&options, home.path(), true).unwrap().unwrap();
        let (at, home_at) = (dir.path().display(), home.path().display());
        assert_eq!(
            command,
            format!(
                r"ssh -o BatchMode=yes{ALIVE} -o IdentitiesOnly=yes -i '{at}/a' -i '{at}/it'\''s' -o UserKnownHostsFile='{home_at}/known_hosts'"
            )
        );
        assert_eq!(
            fs::read_to_string(home.path().join("known_hosts")).unwrap(),
            "h ssh-rsa x\n"
        );
    }

    #[test]
    fn who_names_no_host_knows_github_and_what_the_image_knows() {
        let home = tempfile::tempdir().unwrap();
        let none = ClonerefsOptions::default();
        assert_eq!(ssh_command(&none, home.path(), false).unwrap(), None);
        let command = ssh_command(&none, home.path(), true).unwrap().unwrap();
        let home = home.path().display();
        assert_eq!(
            command,
            format!(
                r#"ssh -o BatchMode=yes{ALIVE} -o 'GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts "{home}/known_hosts"'"#
            )
        );
        let known = fs::read_to_string(format!("{home}/known_hosts")).unwrap();
        assert_eq!(known.matches("github.com ").count(), 3);
    }
}
