//! The secrets of a pod, read from the folders they are mounted at, and remembered: one that was
//! replaced while the job ran is in its log already.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::censor::{Censor, variants};
use crate::sidecar::CensoringOptions;

/// Why the secrets could not be learnt. Without them nothing may be uploaded.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the secret {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("the secret {} is not the JSON that its name says", .0.display())]
    NotJson(PathBuf),
}

/// All that was a secret of the pod so far, in all its shapes. Clones know the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<BTreeSet<Vec<u8>>>>);

impl Known {
    /// Reads the secrets as they are now; whether there were any that were not known before. The
    /// error is for people to read.
    pub(crate) async fn learn(&self, options: &CensoringOptions) -> Result<bool, String> {
        if !options.ini_filenames.is_empty() {
            return Err("secrets in ini files (ini_filenames) are not supported".to_owned());
        }
        let minimum = options.config.minimum_secret_length.unwrap_or(0);
        let minimum = usize::try_from(minimum).unwrap_or(0);
        let directories = options.secret_directories.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&directories, minimum)).await;
        let loaded = loaded.map_err(|e| e.to_string())?;
        let loaded = loaded.map_err(|e| e.to_string())?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        known.extend(loaded);
        Ok(known.len() > before)
    }

    /// What hides all of them. The error is for people to read.
    pub(crate) fn censor(&self) -> Result<Censor, String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Censor::new(known.iter()).map_err(|e| e.to_string())
    }
}

/// What to look for to hide every file below `directories`.
fn load(directories: &[String], minimum_length: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut found = Vec::new();
    for directory in directories {
        read(Path::new(directory), minimum_length, &mut found)?;
    }
    Ok(found)
}

fn read(path: &Path, minimum_length: usize, found: &mut Vec<Vec<u8>>) -> Result<(), Error> {
    let failed = |error| Error::Read {
        path: path.to_owned(),
        error,
    };
    // Keys of a mounted Secret are links, so links are followed here.
    if fs::metadata(path).map_err(failed)?.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Kubernetes keeps the versions of a mount in `..data` and `..2026_…`.
            if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
                read(&entry.path(), minimum_length, found)?;
            }
        }
        return Ok(());
    }
    let content = fs::read(path).map_err(failed)?;
    if matches!(
        path.file_name().and_then(|n| n.to_str()),
        Some(".dockercfg" | ".dockerconfigjson")
    ) {
        let config: Value =
            serde_json::from_slice(&content).map_err(|_| Error::NotJson(path.to_owned()))?;
        for credential in docker_credentials(&config) {
            found.extend(variants(&credential, minimum_length));
        }
    }
    for cookie in cookies(&content) {
        found.extend(variants(cookie, minimum_length));
    }
    found.extend(variants(&content, minimum_length));
    Ok(())
}

/// The values in a cookie file of curl's and git's: seven fields a line, the last is the value.
fn cookies(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b'\t');
        let value = fields.nth(6)?;
        fields.next().is_none().then_some(value)
    })
}

/// The values of `auth` (also decoded: it holds `user:password`) and `password`, wherever they
/// stand.
fn docker_credentials(config: &Value) -> Vec<Vec<u8>> {
    let Value::Object(fields) = config else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in fields {
        match (name.as_str(), value.as_str()) {
            ("auth", Some(auth)) => {
                found.push(auth.trim_end_matches('=').as_bytes().to_vec());
                if let Ok(decoded) = STANDARD.decode(auth)
                    && let Some(colon) = decoded.iter().position(|b| *b == b':')
                {
                    found.push(decoded[colon + 1..].to_vec());
                }
            }
            ("password", Some(password)) => found.push(password.as_bytes().to_vec()),
            _ => found.extend(docker_credentials(value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::censor::Censor;

    use super::*;

    fn censor(dir: &tempfile::TempDir, minimum_length: usize) -> Censor {
        Censor::new(load(&dirs(dir), minimum_length).unwrap()).unwrap()
    }

    fn mounted(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let version = dir.path().join("..2026");
        fs::create_dir(&version).unwrap();
        for (name, content) in files {
            fs::write(version.join(name), content).unwrap();
            symlink(format!("..2026/{name}"), dir.path().join(name)).unwrap();
        }
        dir
    }

    fn dirs(dir: &tempfile::TempDir) -> Vec<String> {
        vec![dir.path().to_str().unwrap().to_owned()]
    }

    #[test]
    fn reads_a_mount_as_kubernetes_makes_it() {
        let dir = mounted(&[("token", "hunter22\n"), ("flag", "true"), ("pin", "123")]);
        let censor = censor(&dir, 4);
        assert_eq!(censor.mask_text("hunter22 true 123"), "XXXXXXXX true 123");
    }

    #[test]
    fn reads_the_passwords_out_of_docker_configs() {
        let json = r#"{"auths":{"r.example.com":{"username":"u","password":"letmein1","auth":"dTpsZXRtZWluMg=="}}}"#;
        let dir = mounted(&[(".dockerconfigjson", json)]);
        let censor = censor(&dir, 0);
        assert_eq!(
            censor.mask_text("letmein1 letmein2 dTpsZXRtZWluMg"),
            "XXXXXXXX XXXXXXXX XXXXXXXXXXXXXX"
        );
    }

    #[test]
    fn reads_the_values_out_of_cookie_files() {
        let jar = "# Netscape\n.x.example\tTRUE\t/\tTRUE\t2147483647\to\tgit-u=1/letmein\n";
        let dir = mounted(&[("jar", jar)]);
        let masked = censor(&dir, 0).mask_text("Cookie: o=git-u=1/letmein");
        assert_eq!(masked, "Cookie: o=XXXXXXXXXXXXXXX");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let dir = mounted(&[(".dockercfg", "not json")]);
        assert!(matches!(load(&dirs(&dir), 0), Err(Error::NotJson(_))));
        assert!(matches!(
            load(&["/no/such/mount".into()], 0),
            Err(Error::Read { .. })
        ));
        let dir = mounted(&[]);
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        assert!(load(&dirs(&dir), 0).is_err());
    }

    #[test]
    fn no_folders_no_secrets() {
        assert!(load(&[], 0).unwrap().is_empty());
    }
}
