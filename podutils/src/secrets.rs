//! Reads the secrets of a pod from the folders they are mounted at, and remembers them: the log may
//! already have a secret that was replaced while the job ran.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tracing::warn;

use crate::censor::{Censor, is_too_short, secret_variants};
use crate::sidecar::SidecarCensoringOptions;

/// Why the secrets could not be read. Without them nothing may be uploaded.
#[derive(Debug, thiserror::Error)]
enum SecretsError {
    #[error("cannot read the secret {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("the secret {} is not the JSON that its name says", .0.display())]
    NotJson(PathBuf),
}

/// All secrets that the pod has had so far. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownSecrets(Arc<Mutex<RememberedSecrets>>);

#[derive(Debug, Default)]
struct RememberedSecrets {
    values: BTreeSet<Vec<u8>>,
    /// The files of secrets that are too short to be masked.
    in_clear: BTreeSet<PathBuf>,
}

impl KnownSecrets {
    /// Reads the secrets as they are now and returns how many are known. A censor that was built
    /// when the number was lower has to be rebuilt. The error is for people to read.
    pub(crate) async fn learn_secrets(
        &self,
        options: &SidecarCensoringOptions,
    ) -> Result<usize, String> {
        if !options.ini_filenames.is_empty() {
            return Err("secrets in ini files (ini_filenames) are not supported".to_owned());
        }
        let directories = options.secret_directories.clone();
        let loaded = tokio::task::spawn_blocking(move || load_secrets(&directories)).await;
        let loaded = loaded.map_err(|e| e.to_string())?;
        let loaded = loaded.map_err(|e| e.to_string())?;
        let minimum = minimum_length(options);
        let mut known = self.lock();
        for LoadedSecret { path, value } in loaded {
            if is_too_short(&value, minimum) && known.in_clear.insert(path.clone()) {
                warn!(
                    file = %path.display(),
                    minimum,
                    "a secret is shorter than minimum_secret_length, so it stays in clear"
                );
            }
            known.values.insert(value);
        }
        Ok(known.values.len())
    }

    /// Builds a censor that masks all of them, in all variants. The error is for people to read.
    pub(crate) fn build_censor(&self, options: &SidecarCensoringOptions) -> Result<Censor, String> {
        let minimum = minimum_length(options);
        let known = self.lock();
        let shapes = known
            .values
            .iter()
            .flat_map(|value| secret_variants(value, minimum));
        Censor::new(shapes).map_err(|e| e.to_string())
    }

    /// The files of the secrets that stay in clear because they are shorter than
    /// `minimum_secret_length`.
    pub(crate) fn in_clear(&self) -> Vec<String> {
        let known = self.lock();
        let files = known.in_clear.iter();
        files.map(|file| file.display().to_string()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, RememberedSecrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In bytes.
fn minimum_length(options: &SidecarCensoringOptions) -> usize {
    let minimum = options.config.minimum_secret_length.unwrap_or(0);
    usize::try_from(minimum).unwrap_or(0)
}

/// A secret value, and the file that has it.
struct LoadedSecret {
    path: PathBuf,
    value: Vec<u8>,
}

/// Every file below `directories`, and the single secrets inside files that hold several.
fn load_secrets(directories: &[String]) -> Result<Vec<LoadedSecret>, SecretsError> {
    let mut found = Vec::new();
    for directory in directories {
        read_secrets(Path::new(directory), &mut found)?;
    }
    Ok(found)
}

fn read_secrets(path: &Path, found: &mut Vec<LoadedSecret>) -> Result<(), SecretsError> {
    let failed = |error| SecretsError::Read {
        path: path.to_owned(),
        error,
    };
    // Keys of a mounted Secret are links, so links are followed here.
    if fs::metadata(path).map_err(failed)?.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Kubernetes keeps the versions of a mount in `..data` and `..2026_…`.
            if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
                read_secrets(&entry.path(), found)?;
            }
        }
        return Ok(());
    }
    let content = fs::read(path).map_err(failed)?;
    let secret = |value: Vec<u8>| LoadedSecret {
        path: path.to_owned(),
        value,
    };
    if matches!(
        path.file_name().and_then(|n| n.to_str()),
        Some(".dockercfg" | ".dockerconfigjson")
    ) {
        let config: Value =
            serde_json::from_slice(&content).map_err(|_| SecretsError::NotJson(path.to_owned()))?;
        found.extend(docker_credentials(&config).into_iter().map(secret));
    }
    found.extend(cookie_values(&content).map(<[u8]>::to_vec).map(secret));
    found.push(secret(content));
    Ok(())
}

/// The values in a cookie file of curl or git: seven fields a line, of which the last is the value.
fn cookie_values(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b'\t');
        let value = fields.nth(6)?;
        fields.next().is_none().then_some(value)
    })
}

/// The values of `auth` (and the password in it, decoded: `user:password`) and `password`, at any
/// depth.
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

    /// A censor for the secrets that are mounted at `dir`.
    async fn censor(dir: &tempfile::TempDir, minimum_length: i64) -> Censor {
        let mut options = SidecarCensoringOptions {
            secret_directories: dirs(dir),
            ..SidecarCensoringOptions::default()
        };
        options.config.minimum_secret_length = Some(minimum_length);
        let known = KnownSecrets::default();
        let first = known.learn_secrets(&options).await.unwrap();
        assert!(first > 0);
        assert_eq!(
            known.learn_secrets(&options).await,
            Ok(first),
            "nothing is new"
        );
        known.build_censor(&options).unwrap()
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

    #[tokio::test]
    async fn reads_a_mount_as_kubernetes_makes_it() {
        let dir = mounted(&[("token", "hunter22\n"), ("flag", "true"), ("pin", "123")]);
        let censor = censor(&dir, 4).await;
        assert_eq!(censor.mask_text("hunter22 true 123"), "XXXXXXXX true 123");
    }

    #[tokio::test]
    async fn reads_the_passwords_out_of_docker_configs() {
        let json = r#"{"auths":{"r.example.com":{"username":"u","password":"letmein1","auth":"dTpsZXRtZWluMg=="}}}"#;
        let dir = mounted(&[(".dockerconfigjson", json)]);
        let censor = censor(&dir, 0).await;
        assert_eq!(
            censor.mask_text("letmein1 letmein2 dTpsZXRtZWluMg"),
            "XXXXXXXX XXXXXXXX XXXXXXXXXXXXXX"
        );
    }

    #[tokio::test]
    async fn reads_the_values_out_of_cookie_files() {
        let jar = "# Netscape\n.x.example\tTRUE\t/\tTRUE\t2147483647\to\tgit-u=1/letmein\n";
        let dir = mounted(&[("jar", jar)]);
        let masked = censor(&dir, 0).await.mask_text("Cookie: o=git-u=1/letmein");
        assert_eq!(masked, "Cookie: o=XXXXXXXXXXXXXXX");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let dir = mounted(&[(".dockercfg", "not json")]);
        assert!(matches!(
            load_secrets(&dirs(&dir)),
            Err(SecretsError::NotJson(_))
        ));
        assert!(matches!(
            load_secrets(&["/no/such/mount".into()]),
            Err(SecretsError::Read { .. })
        ));
        let dir = mounted(&[]);
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        assert!(load_secrets(&dirs(&dir)).is_err());
    }

    #[test]
    fn no_folders_no_secrets() {
        assert!(load_secrets(&[]).unwrap().is_empty());
    }
}
