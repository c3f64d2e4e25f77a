//! How each folder of the machine's root appears in a container. Pure.

use std::path::{Path, PathBuf};

/// How a top folder of the machine appears in a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FolderTreatment {
    /// The machine's files, with a layer for the container's own changes.
    Layered,
    /// A new, empty folder.
    Fresh,
    Dev,
    Proc,
    /// The kernel's view of the machine, read-only.
    Sys,
    Absent,
}

/// The treatment of the folder `name` below `/`.
pub(super) fn folder_treatment(name: &str) -> FolderTreatment {
    match name {
        "dev" => FolderTreatment::Dev,
        "proc" => FolderTreatment::Proc,
        "sys" => FolderTreatment::Sys,
        // /tmp is the container's own and bound later. /run has the sockets of the machine's
        // services.
        "tmp" | "run" => FolderTreatment::Fresh,
        "lost+found" | "boot" => FolderTreatment::Absent,
        _ => FolderTreatment::Layered,
    }
}

/// The folders that stay empty where the machine's files could only be shown read-only: programs
/// write there.
pub(super) fn is_home(name: &str) -> bool {
    matches!(name, "home" | "root")
}

/// The outermost mount points strictly below `top`, from the text of `/proc/self/mountinfo`. A
/// layer shows the file system below a mount point instead of what is mounted there, so these are
/// bound one by one.
pub(super) fn list_nested_mounts(mountinfo: &str, top: &Path, staging: &Path) -> Vec<PathBuf> {
    let points = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape_path);
    let mut points: Vec<PathBuf> = points
        .filter(|point| point != top && point.starts_with(top))
        .collect();
    points.retain(|point| !point.starts_with(staging));
    points.sort();
    points.dedup_by(|next, outer| next.starts_with(&*outer));
    points
}

/// mountinfo escapes blanks and the like, as `\040`.
fn unescape_path(text: &str) -> PathBuf {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_mounts_are_the_outermost_ones() {
        let info = "\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 8:1 /x /etc/hosts rw - ext4 /dev/a rw
3 1 8:2 / /var rw - ext4 /dev/b rw
4 3 0:1 / /var/lib rw - tmpfs t rw
5 4 0:2 / /var/lib/deep rw - tmpfs t rw
6 3 0:3 / /var/a\\040b rw - tmpfs t rw
7 3 0:4 / /var/state/root rw - tmpfs t rw
8 1 0:5 / /variant/x rw - tmpfs t rw
";
        let nested =
            |top: &str| list_nested_mounts(info, Path::new(top), Path::new("/var/state/root"));
        assert_eq!(nested("/etc"), [Path::new("/etc/hosts")]);
        assert_eq!(
            nested("/var"),
            [Path::new("/var/a b"), Path::new("/var/lib")]
        );
        assert!(nested("/usr").is_empty());
    }
}
