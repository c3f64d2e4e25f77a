//! The HMAC secrets: one token for all repositories, or a YAML map of tokens by repository.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Context as _;
use common::repo_names;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::repository_ref::RepositoryRef;

/// The secrets of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HmacSecrets {
    /// A bare token: good for every payload.
    Global(String),
    /// By `org/repo`, `org` or `*`.
    Keyed(BTreeMap<String, Vec<HmacToken>>),
}

/// One token. Its `created_at` is for rotation and is not used here.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct HmacToken {
    value: String,
}

impl HmacSecrets {
    /// A text that is not a map of the expected form is one bare token, as in Prow. An empty
    /// file is an empty map: nothing is accepted.
    pub(crate) fn parse_secrets(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Keyed(BTreeMap::new());
        }
        match serde_saphyr::from_str(text) {
            Ok(keyed) => Self::Keyed(keyed),
            Err(_) => Self::Global(text.to_owned()),
        }
    }

    /// Whether one of the keys for `identity` made `signature` of `body`.
    ///
    /// Only the most specific level that is present counts: a repository's own keys are not
    /// complemented by its organisation's. The case of names does not matter, as on GitHub.
    pub(crate) fn verify_signature(
        &self,
        identity: &RepositoryRef,
        body: &[u8],
        signature: &[u8],
    ) -> bool {
        let made_by = |key: &str| {
            Hmac::<Sha256>::new_from_slice(key.as_bytes())
                .expect("HMAC takes keys of any length")
                .chain_update(body)
                .verify_slice(signature)
                .is_ok()
        };
        match self {
            Self::Global(token) => made_by(token),
            Self::Keyed(keyed) => {
                let RepositoryRef { org, repo } = identity;
                repo_names::find_most_specific(keyed, org, repo)
                    .is_some_and(|tokens| tokens.iter().any(|token| made_by(&token.value)))
            }
        }
    }
}

/// A secret file, read again when it changes.
#[derive(Debug)]
pub struct HmacSecretFile {
    path: PathBuf,
    loaded: Mutex<LoadedSecrets>,
}

#[derive(Debug)]
struct LoadedSecrets {
    stamp: SecretFileStamp,
    secrets: Arc<HmacSecrets>,
}

/// Changes whenever a file is written or replaced.
type SecretFileStamp = (Option<SystemTime>, u64);

fn file_stamp(metadata: &Metadata) -> SecretFileStamp {
    (metadata.modified().ok(), metadata.len())
}

impl HmacSecretFile {
    /// Fails when the file cannot be read now. Later on, an unreadable file leaves the secrets
    /// as they were.
    pub fn open(path: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let path = path.into();
        let loaded =
            load_secrets(&path).with_context(|| format!("HMAC secret file {}", path.display()))?;
        Ok(Self {
            path,
            loaded: Mutex::new(loaded),
        })
    }

    /// The current secrets: one `stat` per call, a read only after a change.
    pub(crate) fn current_secrets(&self) -> Arc<HmacSecrets> {
        let now = std::fs::metadata(&self.path).map(|metadata| file_stamp(&metadata));
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_ok_and(|now| now != loaded.stamp) {
            match load_secrets(&self.path) {
                Ok(fresh) => *loaded = fresh,
                Err(error) => tracing::error!(
                    path = %self.path.display(),
                    "HMAC secrets stay as they were, the file cannot be read: {error}"
                ),
            }
        }
        Arc::clone(&loaded.secrets)
    }
}

fn load_secrets(path: &std::path::Path) -> io::Result<LoadedSecrets> {
    // The stamp is taken first: a write in between is then seen as a change.
    let stamp = file_stamp(&std::fs::metadata(path)?);
    let secrets = Arc::new(HmacSecrets::parse_secrets(&std::fs::read_to_string(path)?));
    Ok(LoadedSecrets { stamp, secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(org: &str, repo: &str) -> RepositoryRef {
        RepositoryRef {
            org: org.into(),
            repo: repo.into(),
        }
    }

    fn sign(key: &str, body: &[u8]) -> Vec<u8> {
        Hmac::<Sha256>::new_from_slice(key.as_bytes())
            .unwrap()
            .chain_update(body)
            .finalize()
            .into_bytes()
            .to_vec()
    }

    #[test]
    fn a_bare_token_signs_for_all() {
        let secrets = HmacSecrets::parse_secrets(" abc\n");
        assert_eq!(secrets, HmacSecrets::Global("abc".into()));
        let signature =
            hex::decode("19092633e5aa9a849dfcc9d2df4e76db2df1fcba7f38915f2c7833bd8a510f2f")
                .unwrap();
        assert!(secrets.verify_signature(&identity("o", "r"), b"{}", &signature));
        assert!(!secrets.verify_signature(&identity("o", "r"), b"{ }", &signature));
    }

    #[test]
    fn only_the_most_specific_level_counts() {
        let secrets = HmacSecrets::parse_secrets(
            "o/r:\n- value: repo-old\n  created_at: 2020-01-02T03:04:05Z\n- value: repo-new\n\
             o:\n- value: org\n'*':\n- value: 12345\n",
        );
        for (name, org, repo, key, good) in [
            ("the repository's key", "o", "r", "repo-new", true),
            ("any of its keys", "o", "r", "repo-old", true),
            (
                "no fall through to the organisation",
                "o",
                "r",
                "org",
                false,
            ),
            ("no fall through to all", "o", "r", "12345", false),
            ("the organisation's other repository", "o", "s", "org", true),
            ("an organisation's event", "o", "", "org", true),
            ("somebody else's", "p", "r", "12345", true),
            ("nobody's", "", "", "12345", true),
            ("another spelling", "O", "R", "repo-new", true),
            ("another spelling, all's key", "O", "R", "12345", false),
            (
                "another spelling of the organisation",
                "O",
                "s",
                "12345",
                false,
            ),
            ("the organisation's, spelt otherwise", "O", "s", "org", true),
            (
                "nobody's, with a repository's key",
                "",
                "",
                "repo-new",
                false,
            ),
        ] {
            let verified = secrets.verify_signature(&identity(org, repo), b"x", &sign(key, b"x"));
            assert_eq!(verified, good, "{name}");
        }
    }

    #[test]
    fn without_a_level_or_a_key_nothing_is_accepted() {
        for text in ["", "  \n", "o:\n- value: org\n"] {
            assert!(!HmacSecrets::parse_secrets(text).verify_signature(
                &identity("p", "r"),
                b"x",
                &sign("", b"x")
            ));
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_lost_one_is_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hmac");
        std::fs::write(&path, "one").unwrap();
        let file = HmacSecretFile::open(&path).unwrap();
        assert_eq!(*file.current_secrets(), HmacSecrets::Global("one".into()));
        std::fs::write(&path, "second").unwrap();
        assert_eq!(
            *file.current_secrets(),
            HmacSecrets::Global("second".into())
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            *file.current_secrets(),
            HmacSecrets::Global("second".into())
        );
        assert!(HmacSecretFile::open(&path).is_err());
    }
}
