//! The keys that tokens are signed and checked with, and the file that holds them.
//!
//! A key is a text of at least 16 bytes. Beside the file with the key there may be one with the
//! key before it, which still opens what it has signed: `key` and `key.previous`. To rotate is to
//! move the one to the other; whoever fills the key then makes a new one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};

/// Bytes of a key that nobody guesses.
const MIN_KEY: usize = 16;
/// More is no key of ours.
const MAX_KEY: usize = 4096;
/// What follows the name of the file, or of the Secret's field, for the key before.
const PREVIOUS: &str = ".previous";

/// Why there is no key to sign or check with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageKeyError {
    /// Nobody has filled it yet.
    #[error("there is no storage key yet: Deck makes it at its first start")]
    Missing,
    #[error("the storage key is shorter than {MIN_KEY} bytes or longer than {MAX_KEY}")]
    BadLength,
    #[error("the storage key cannot be read")]
    Unreadable,
}

/// One key that signs, and those that open.
#[derive(Clone, Debug)]
pub struct StorageKeys {
    signing: SecretSlice<u8>,
    previous: Option<SecretSlice<u8>>,
}

impl StorageKeys {
    /// The key and the one before it, as they were read: white space around them is none of
    /// theirs. While there is only the one before, it signs.
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

    /// A token of these keys: see [`super::sign_token`].
    #[must_use]
    pub fn sign_token(&self, folder: &str, expiry: Timestamp) -> String {
        super::sign_token(self.signing.expose_secret(), folder, expiry)
    }

    /// Every key that opens, the signing one first.
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

/// What the key before is called, of a file or of a Secret's field.
#[must_use]
pub fn previous_key_name(name: &str) -> String {
    format!("{name}{PREVIOUS}")
}

/// The file with the key, read whenever it is asked for: it may be filled or rotated while a
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

    /// The keys as they are now.
    pub fn read_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        let (key, previous) = (
            read_key_file(&self.0)?,
            read_key_file(&self.previous_key_path())?,
        );
        StorageKeys::new(key.as_deref(), previous.as_deref())
    }

    /// The same, with a new key where there is none.
    pub fn read_or_create_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        if read_key_file(&self.0)?.is_none() {
            self.create_key().map_err(|error| {
                tracing::error!(file = %self.0.display(), %error, "no storage key could be made");
                StorageKeyError::Unreadable
            })?;
        }
        self.read_keys()
    }

    /// Whole or not at all: another process may do the same.
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

/// `None`: there is no such file.
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
