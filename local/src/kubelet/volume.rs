//! The volumes of a pod as folders of this machine.
//!
//! What a volume holds is decided from values ([`content`]); [`write`] and [`remove`] are the effects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use super::env::{Found, Source, value};

/// Kubernetes' default for `defaultMode`.
const DEFAULT_MODE: i32 = 0o644;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
}

/// What must be fetched before [`content`] can answer for `volumes`.
pub(crate) fn sources(volumes: &[Volume]) -> BTreeSet<Source> {
    volumes
        .iter()
        .filter_map(|volume| source(volume).map(|(source, _)| source))
        .collect()
}

fn source(volume: &Volume) -> Option<(Source, bool)> {
    let secret = volume.secret.as_ref().map(|secret| {
        (
            Source::Secret(secret.secret_name.clone().unwrap_or_default()),
            secret.optional == Some(true),
        )
    });
    secret.or_else(|| {
        volume.config_map.as_ref().map(|map| {
            (
                Source::ConfigMap(map.name.clone()),
                map.optional == Some(true),
            )
        })
    })
}

/// Whether containers may only read it.
pub(crate) fn is_read_only(volume: &Volume) -> bool {
    volume.empty_dir.is_none()
}

/// The files a volume begins with, or what is missing for them.
pub(crate) fn content(volume: &Volume, found: &Found) -> Result<Vec<File>, String> {
    let Some((source, optional)) = source(volume) else {
        return Ok(Vec::new());
    };
    let secret = volume
        .secret
        .as_ref()
        .map(|secret| (&secret.items, secret.default_mode));
    let map = volume
        .config_map
        .as_ref()
        .map(|map| (&map.items, map.default_mode));
    let (items, default_mode) = secret
        .or(map)
        .expect("a volume with a source is one of the two");
    let failed = |what: String| {
        format!(
            "MountVolume.SetUp failed for volume {:?}: {what}",
            volume.name
        )
    };
    let Some(values) = found.get(&source) else {
        return if optional {
            Ok(Vec::new())
        } else {
            Err(failed(format!("{source} not found")))
        };
    };
    let mode = |mode: Option<i32>| {
        mode.or(default_mode)
            .unwrap_or(DEFAULT_MODE)
            .cast_unsigned()
            & 0o777
    };
    match items {
        Some(items) if !items.is_empty() => {
            chosen(items, &source, found, optional, mode).map_err(failed)
        }
        _ => Ok(all(values, mode(None))),
    }
}

fn all(values: &BTreeMap<String, Vec<u8>>, mode: u32) -> Vec<File> {
    values
        .iter()
        .map(|(key, data)| File {
            path: key.into(),
            data: data.clone(),
            mode,
        })
        .collect()
}

fn chosen(
    items: &[KeyToPath],
    source: &Source,
    found: &Found,
    optional: bool,
    mode: impl Fn(Option<i32>) -> u32,
) -> Result<Vec<File>, String> {
    let file = |item: &KeyToPath| {
        let data = value(found, source, &item.key, optional)?;
        Ok(data.map(|data| File {
            path: item.path.clone().into(),
            data: data.clone(),
            mode: mode(item.mode),
        }))
    };
    items
        .iter()
        .filter_map(|item| file(item).transpose())
        .collect()
}

/// Makes the folder of a volume and its files.
pub(crate) fn write(dir: &Path, files: &[File]) -> io::Result<()> {
    // A pod that waited when an earlier runner ended has its volumes already.
    remove(dir)?;
    fs::create_dir_all(dir)?;
    // As kubelet makes an emptyDir: whatever user a container runs as may write.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777))?;
    for file in files {
        let path = dir.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        out.write_all(&file.data)?;
        out.set_permissions(fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Removes a folder with everything in it, also below folders that were made read-only (Go's module cache is).
/// One that is not there is no error.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    let first = match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => return other,
    };
    make_writable(dir)?;
    fs::remove_dir_all(dir).map_err(|_| first)
}

fn make_writable(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn files(volume: Value, found: &Found) -> Result<Vec<(String, String, u32)>, String> {
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let files = content(&volume, found)?;
        Ok(files
            .into_iter()
            .map(|f| {
                (
                    f.path.display().to_string(),
                    String::from_utf8(f.data).unwrap(),
                    f.mode,
                )
            })
            .collect())
    }

    #[test]
    fn a_volume_holds_all_keys_or_the_chosen_ones() {
        let values = BTreeMap::from([
            ("a".to_owned(), b"1".to_vec()),
            ("b".to_owned(), b"2".to_vec()),
        ]);
        let found = Found::from([
            (Source::Secret("s".into()), values.clone()),
            (Source::ConfigMap("m".into()), values),
        ]);
        let file = |path: &str, data: &str, mode: u32| (path.to_owned(), data.to_owned(), mode);
        let cases = [
            ("emptyDir", json!({"name": "v", "emptyDir": {}}), Ok(vec![])),
            (
                "secret",
                json!({"name": "v", "secret": {"secretName": "s"}}),
                Ok(vec![file("a", "1", 0o644), file("b", "2", 0o644)]),
            ),
            (
                "items and modes",
                json!({"name": "v", "configMap": {"name": "m", "defaultMode": 256, "items": [
                    {"key": "a", "path": "x/y"}, {"key": "b", "path": "z", "mode": 493}]}}),
                Ok(vec![file("x/y", "1", 0o400), file("z", "2", 0o755)]),
            ),
            (
                "missing",
                json!({"name": "v", "secret": {"secretName": "none"}}),
                Err(
                    "MountVolume.SetUp failed for volume \"v\": secret \"none\" not found"
                        .to_owned(),
                ),
            ),
            (
                "missing key",
                json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "c", "path": "c"}]}}),
                Err(
                    "MountVolume.SetUp failed for volume \"v\": secret \"s\" has no key \"c\""
                        .to_owned(),
                ),
            ),
            (
                "missing but optional",
                json!({"name": "v", "secret": {"secretName": "none", "optional": true}}),
                Ok(vec![]),
            ),
        ];
        for (name, volume, expected) in cases {
            assert_eq!(files(volume, &found), expected, "{name}");
        }
    }

    #[test]
    fn a_volume_with_read_only_folders_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        write(
            &dir,
            &[File {
                path: "mod/x".into(),
                data: b"1".to_vec(),
                mode: 0o400,
            }],
        )
        .unwrap();
        fs::set_permissions(dir.join("mod"), fs::Permissions::from_mode(0o555)).unwrap();
        remove(&dir).unwrap();
        assert!(!dir.exists());
        remove(&dir).unwrap();
    }
}
