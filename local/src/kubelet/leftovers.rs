//! Cleans up the processes and folders that an earlier run of this node left behind.

use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use super::launch::{ContainerDir, PodDir};
use super::process::ProcessRecord;
use super::volume;

/// Kills every recorded process below `pods` and waits until they are gone. Returns the UIDs of the
/// pods that had started something.
pub(crate) fn end_processes(pods: &Path) -> io::Result<HashSet<String>> {
    let mut started = HashSet::new();
    for (uid, pod) in list_folders(pods)? {
        for (_, container) in list_folders(&PodDir(pod).containers_dir())? {
            match ProcessRecord::read_record(&ContainerDir(container).process_record_path()) {
                Ok(process) => {
                    process.kill_tree();
                    started.insert(uid.clone());
                }
                // The record is written before the container's program starts. Without a record
                // there was no program.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(started)
}

/// Removes the folders of pods that are gone. `keep` has the UIDs of the others.
pub(crate) fn remove_orphaned_dirs(
    pods: &Path,
    logs: &Path,
    keep: &HashSet<String>,
) -> io::Result<()> {
    let of_namespaces = list_folders(logs)?
        .into_iter()
        .map(|(_, namespace)| list_folders(&namespace))
        .collect::<io::Result<Vec<_>>>()?;
    let all = list_folders(pods)?
        .into_iter()
        .chain(of_namespaces.into_iter().flatten());
    all.filter(|(uid, _)| !keep.contains(uid))
        .try_for_each(|(_, path)| volume::remove_folder(&path))
}

fn list_folders(path: &Path) -> io::Result<Vec<(String, std::path::PathBuf)>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let named = entries.map(|entry| {
        entry.map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
    });
    named
        .filter(|entry| entry.as_ref().map_or(true, |(_, path)| path.is_dir()))
        .collect()
}
