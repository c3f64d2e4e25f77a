//! The volumes of a pod as folders of this machine.
//!
//! [`volume_files`] decides what a volume contains; [`write_volume`] and [`remove_folder`] are the
//! effects.

mod projection;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use super::env::{ConfigObjectRef, SourceValues, source_value};
pub(crate) use projection::list_projections;
use projection::{KeyProjection, default_mode};

/// Kubernetes' default for `defaultMode`.
const DEFAULT_MODE: i32 = 0o644;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VolumeFile {
    pub(crate) path: PathBuf,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
}

/// The objects that [`volume_files`] needs for `volumes`.
pub(crate) fn list_volume_sources(volumes: &[Volume]) -> BTreeSet<ConfigObjectRef> {
    let all = volumes.iter().flat_map(list_projections);
    all.map(|projection| projection.source).collect()
}

/// Whether containers may only read it.
pub(crate) fn is_read_only(volume: &Volume) -> bool {
    volume.empty_dir.is_none()
}

/// The files of a new volume, or what is missing for them. Of two files with one path the later one
/// wins, as in kubelet.
pub(crate) fn volume_files(
    volume: &Volume,
    found: &SourceValues,
) -> Result<Vec<VolumeFile>, String> {
    let default_mode = default_mode(volume).unwrap_or(DEFAULT_MODE);
    let failed = |what: String| {
        format!(
            "MountVolume.SetUp failed for volume {:?}: {what}",
            volume.name
        )
    };
    let mut files = BTreeMap::new();
    for projection in list_projections(volume) {
        for file in list_files(&projection, found, default_mode).map_err(failed)? {
            files.insert(file.path.clone(), file);
        }
    }
    // The paths are sorted: what is in a folder follows the folder's name.
    let mut neighbours = files.keys().zip(files.keys().skip(1));
    if let Some((file, inside)) = neighbours.find(|(file, next)| next.starts_with(file)) {
        return Err(failed(format!("{inside:?} cannot be in the file {file:?}")));
    }
    Ok(files.into_values().collect())
}

fn list_files(
    projection: &KeyProjection<'_>,
    found: &SourceValues,
    default_mode: i32,
) -> Result<Vec<VolumeFile>, String> {
    let KeyProjection {
        source,
        items,
        optional,
    } = projection;
    let Some(values) = found.get(source) else {
        return match optional {
            true => Ok(Vec::new()),
            false => Err(format!("{source} not found")),
        };
    };
    let file = |path: &str, data: &[u8], mode: Option<i32>| VolumeFile {
        // `./a` is `a`.
        path: Path::new(path)
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect(),
        data: data.to_vec(),
        mode: mode.unwrap_or(default_mode).cast_unsigned() & 0o777,
    };
    if items.is_empty() {
        return Ok(values
            .iter()
            .map(|(key, data)| file(key, data, None))
            .collect());
    }
    let chosen = |item: &KeyToPath| {
        let data = source_value(found, source, &item.key, *optional)?;
        Ok(data.map(|data| file(&item.path, data, item.mode)))
    };
    items
        .iter()
        .filter_map(|item| chosen(item).transpose())
        .collect()
}

/// Makes the folder of a volume and its files.
pub(crate) fn write_volume(dir: &Path, files: &[VolumeFile]) -> io::Result<()> {
    // A pod that was waiting when an earlier runner ended has its volumes already.
    remove_folder(dir)?;
    fs::create_dir_all(dir)?;
    // As kubelet does for an emptyDir, so that any user of a container may write.
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

/// Removes a folder with everything in it, even below read-only folders (such as Go's module
/// cache). A missing folder is no error.
pub(crate) fn remove_folder(dir: &Path) -> io::Result<()> {
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

    fn files(volume: Value, found: &SourceValues) -> Result<Vec<(String, String, u32)>, String> {
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let files = volume_files(&volume, found)?;
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
        let found = SourceValues::from([
            (ConfigObjectRef::Secret("s".into()), values.clone()),
            (ConfigObjectRef::ConfigMap("m".into()), values),
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
                "projected: the later of one path",
                json!({"name": "v", "projected": {"defaultMode": 384, "sources": [
                    {"secret": {"name": "s"}},
                    {"configMap": {"name": "m", "items": [{"key": "b", "path": "a"}]}},
                    {"secret": {"name": "none", "optional": true}}]}}),
                Ok(vec![file("a", "2", 0o600), file("b", "2", 0o600)]),
            ),
            (
                "one path written in two ways",
                json!({"name": "v", "secret": {"secretName": "s", "items": [
                    {"key": "a", "path": "x"}, {"key": "b", "path": "./x"}]}}),
                Ok(vec![file("x", "2", 0o644)]),
            ),
            (
                "a file that would be a folder",
                json!({"name": "v", "projected": {"sources": [
                    {"secret": {"name": "s"}},
                    {"configMap": {"name": "m", "items": [{"key": "b", "path": "a/b"}]}}]}}),
                Err(
                    "MountVolume.SetUp failed for volume \"v\": \"a/b\" cannot be in the file \"a\""
                        .to_owned(),
                ),
            ),
            (
                "projected, missing",
                json!({"name": "v", "projected": {"sources": [{"secret": {"name": "none"}}]}}),
                Err(
                    "MountVolume.SetUp failed for volume \"v\": secret \"none\" not found"
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
        write_volume(
            &dir,
            &[VolumeFile {
                path: "mod/x".into(),
                data: b"1".to_vec(),
                mode: 0o400,
            }],
        )
        .unwrap();
        fs::set_permissions(dir.join("mod"), fs::Permissions::from_mode(0o555)).unwrap();
        remove_folder(&dir).unwrap();
        assert!(!dir.exists());
        remove_folder(&dir).unwrap();
    }
}
