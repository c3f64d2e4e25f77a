//! The keys that sign and verify tokens, and the file that holds them.
//!
//! A key is a text of at least 16 bytes. Next to the file with the key, `key`, there may be one
//! with the previous key, `key.previous`, which still verifies the tokens that it signed. To
//! rotate, move `key` to `key.previous`; whoever creates keys then makes a new one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};

/// The shortest key, in bytes, that cannot be guessed.
const MIN_KEY: usize = 16;
/// The longest accepted key, in bytes.
const MAX_KEY: usize = 4096;
/// The suffix of the previous key's file name, or of its field in the Secret.
const PREVIOUS: &str = ".previous";

/// Why there is no key to sign or verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageKeyError {
    /// The key has not been created yet.
    #[error("there is no storage key yet: Deck makes it at its first start")]
    Missing,
    #[error("the storage key is shorter than {MIN_KEY} bytes or longer than {MAX_KEY}")]
    BadLength,
    #[error("the storage key cannot be read")]
    Unreadable,
}

/// One key that signs, and all keys that verify.
#[derive(Clone, Debug)]
pub struct StorageKeys {
    signing: SecretSlice<u8>,
    previous: Option<SecretSlice<u8>>,
}

impl StorageKeys {
    /// The key and the previous one, as they were read; surrounding white space is removed. If only
    /// the previous key exists, it signs.
    pub fn new(key: Option<&[u8]>, previous: Option<&[u8]>) -> Result<Self, StorageKeyError> {
        let (key, previous) = (
            key.map(<[u8]>::trim_ascii),
            previous.map(<[u8]>::trim_ascii),
        );
        let mut given = [key, previous]
            .into_iter()
            .flatten()
            .filter(|key| !key.is_empty());
        let signing = given.next().ok_or(StorageKeyError::Missing)?;
        let previous = given.next();
        let lengths = MIN_KEY..=MAX_KEY;
        if [Some(signing), previous]
            .into_iter()
            .flatten()
            .any(|key| !lengths.contains(&key.len()))
        {
            return Err(StorageKeyError::BadLength);
        }
        let secret = |key: &[u8]| SecretSlice::from(key.to_vec());
        Ok(Self {
            signing: secret(signing),
            previous: previous.map(secret),
        })
    }

    /// A token that is signed with these keys: see [`super::sign_token`].
    #[must_use]
    pub fn sign_token(&self, folder: &str, expiry: Timestamp) -> String {
        super::sign_token(self.signing.expose_secret(), folder, expiry)
    }

    /// All keys that verify, the signing key first.
    pub(super) fn verifying_keys(&self) -> impl Iterator<Item = &[u8]> {
        let previous = self.previous.iter();
        [&self.signing]
            .into_iter()
            .chain(previous)
            .map(ExposeSecret::expose_secret)
    }
}

impl PartialEq for StorageKeys {
    fn eq(&self, other: &Self) -> bool {
        self.verifying_keys().eq(other.verifying_keys())
    }
}

/// A new key, as text.
#[must_use]
pub fn generate_key() -> String {
    let bytes: [u8; 32] = rand::random();
    STANDARD_NO_PAD.encode(bytes)
}

/// The name of the previous key: of its file, or of its field in the Secret.
#[must_use]
pub fn previous_key_name(name: &str) -> String {
    format!("{name}{PREVIOUS}")
}

/// The file with the key. It is read on each use, because it may be filled or rotated while a
/// service runs.
#[derive(Clone, Debug)]
pub struct StorageKeyFile(PathBuf);

impl StorageKeyFile {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The current keys.
    pub fn read_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        let (key, previous) = (
            read_key_file(&self.0)?,
            read_key_file(&self.previous_key_path())?,
        );
        StorageKeys::new(key.as_deref(), previous.as_deref())
    }

    /// The current keys, with a new one if there is none.
    pub fn read_or_create_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        if read_key_file(&self.0)?.is_none() {
            self.create_key().map_err(|error| {
                tracing::error!(file = %self.0.display(), %error, "no storage key could be made");
                StorageKeyError::Unreadable
            })?;
        }
        self.read_keys()
    }

    /// Creates the file whole or not at all: another process may do the same.
    fn create_key(&self) -> io::Result<()> {
        let parent = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let staged = self
            .0
            .with_extension(format!("new-{}", uuid::Uuid::new_v4()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)?;
        let written = file
            .write_all(generate_key().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&staged, &self.0));
        fs::remove_file(&staged)?;
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            written => written,
        }
    }

    fn previous_key_path(&self) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(PREVIOUS);
        name.into()
    }
}

/// `None` if there is no such file.
fn read_key_file(path: &Path) -> Result<Option<Vec<u8>>, StorageKeyError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "the storage key cannot be read");
            Err(StorageKeyError::Unreadable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TokenError, verify_token};
    use super::*;

    const DIR: &str = "logs/unit/7";
    const OLD: &[u8] = b"old-old-old-old-old";
    const NEW: &[u8] = b"new-new-new-new-new";

    fn opens(keys: &StorageKeys, token: &str) -> Result<(), TokenError> {
        verify_token(keys, token, Timestamp::UNIX_EPOCH).map(drop)
    }

    #[test]
    fn rotation_overlaps() {
        let keys = |key, previous| StorageKeys::new(key, previous).unwrap();
        let hour = Timestamp::from_second(3600).unwrap();
        let before = keys(Some(OLD), None);
        let moved = keys(None, Some(OLD));
        let both = keys(Some(NEW), Some(OLD));
        let after = keys(Some(NEW), None);
        let old = before.sign_token(DIR, hour);
        assert_eq!(moved.sign_token(DIR, hour), old, "until there is a new one");
        let new = both.sign_token(DIR, hour);
        assert_eq!(after.sign_token(DIR, hour), new);
        for (keys, opens_old, opens_new) in [
            (&before, true, false),
            (&moved, true, false),
            (&both, true, true),
            (&after, false, true),
        ] {
            assert_eq!(opens(keys, &old).is_ok(), opens_old, "{keys:?}");
            assert_eq!(opens(keys, &new).is_ok(), opens_new, "{keys:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let of = |key: Option<&[u8]>| StorageKeys::new(key, None).map(drop);
        assert_eq!(of(None), Err(StorageKeyError::Missing));
        assert_eq!(of(Some(b" \n")), Err(StorageKeyError::Missing));
        assert_eq!(of(Some(b"short")), Err(StorageKeyError::BadLength));
        assert_eq!(of(Some(&[b'x'; 5000])), Err(StorageKeyError::BadLength));
        let both = StorageKeys::new(Some(NEW), Some(b"short")).map(drop);
        assert_eq!(both, Err(StorageKeyError::BadLength));
        let shown = format!("{:?}", StorageKeys::new(Some(NEW), None));
        assert!(!shown.contains("new"), "{shown}");
    }

    #[test]
    fn a_file_is_filled_once_and_then_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/key");
        let file = StorageKeyFile::new(path.clone());
        assert_eq!(file.read_keys().unwrap_err(), StorageKeyError::Missing);
        let keys = file.read_or_create_keys().unwrap();
        assert_eq!(file.read_or_create_keys().unwrap(), keys);
        assert_eq!(file.read_keys().unwrap(), keys);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        fs::rename(&path, folder.path().join("data/key.previous")).unwrap();
        assert_eq!(file.read_keys().unwrap(), keys);
        let rotated = file.read_or_create_keys().unwrap();
        assert_ne!(rotated, keys);
        let hour = Timestamp::from_second(3600).unwrap();
        assert!(opens(&rotated, &keys.sign_token(DIR, hour)).is_ok());
    }
}
