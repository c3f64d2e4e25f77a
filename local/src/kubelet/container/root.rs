//! Namespaces, and the container's own root, built from mounts.
//!
//! The new root is a tmpfs. In it the machine's top folders appear with a layer of the container's
//! own over them. So the container may write everywhere, and nothing of it reaches the machine or
//! another container. Where the kernel has no such layers the folders are read-only. The pod's
//! volumes are mounted last, at their mount paths.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{chdir, getegid, geteuid, pivot_root, sethostname};

use super::mounts::{FolderTreatment, folder_treatment, is_home, list_nested_mounts};
use crate::kubelet::launch::{BindMount, ContainerRoot, ContainerUser};

const NONE: Option<&str> = None;
/// Devices every container has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Enters new namespaces. The children of this process will be in a new pid namespace, too. Uses a
/// user namespace for an ordinary user, and for a root that may not mount.
pub(super) fn enter_namespaces() -> io::Result<()> {
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if geteuid().is_root() {
        match unshare(flags) {
            Err(Errno::EPERM) => {}
            other => return Ok(other?),
        }
    }
    let user = ContainerUser {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
    };
    unshare(flags | CloneFlags::CLONE_NEWUSER)?;
    map_user(ContainerUser { uid: 0, gid: 0 }, user)
}

/// Maps the user `outside` to `inside` in the user namespace just entered.
fn map_user(inside: ContainerUser, outside: ContainerUser) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write(
        "/proc/self/uid_map",
        format!("{} {} 1", inside.uid, outside.uid),
    )?;
    fs::write(
        "/proc/self/gid_map",
        format!("{} {} 1", inside.gid, outside.gid),
    )
}

/// Builds `root` and moves into it. Called as the first process of the namespaces.
pub(super) fn build_root(root: &ContainerRoot) -> anyhow::Result<()> {
    // The host name is only for display.
    let _ = sethostname(&root.hostname);
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .context("private mounts")?;
    let staging = &root.staging;
    mount_tmpfs(staging, 0o700).context("the place to build in")?;
    let layers = staging.join("layers");
    let new = staging.join("root");
    fs::create_dir(&layers)?;
    fs::create_dir(&new)?;
    mount_tmpfs(&new, 0o755)?;
    mount_top_folders(
        &new,
        &OverlayLayers {
            dir: layers,
            own_attributes: in_user_namespace(),
        },
        staging,
    )?;
    for bound in &root.binds {
        bind_volume(bound, &new).with_context(|| format!("mount at {}", bound.target.display()))?;
    }
    for hidden in &root.hidden {
        let path = resolve_in_root(&new, hidden);
        if path.is_dir() {
            mount_tmpfs(&path, 0o700).context("hide the runner's folders")?;
        }
    }
    pivot_into(&new)?;
    match root.user {
        Some(user) => become_user(user).context("become the user who runs this"),
        None => Ok(()),
    }
}

/// Where the changes of a container are stored.
struct OverlayLayers {
    dir: PathBuf,
    /// Whether overlayfs must keep its notes in attributes that an ordinary user may set.
    own_attributes: bool,
}

fn mount_top_folders(new: &Path, layers: &OverlayLayers, staging: &Path) -> anyhow::Result<()> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let (path, target) = (entry.path(), new.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &target)?;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|_| kind.is_dir()) else {
            continue;
        };
        let treatment = folder_treatment(name);
        if treatment == FolderTreatment::Absent {
            continue;
        }
        fs::create_dir(&target)?;
        match treatment {
            FolderTreatment::Layered => mount_overlay(
                &path,
                &target,
                layers,
                &list_nested_mounts(&mountinfo, &path, staging),
            )?,
            FolderTreatment::Fresh => {
                fs::set_permissions(&target, fs::Permissions::from_mode(0o1777))?
            }
            FolderTreatment::Dev => mount_dev(&target).context("/dev")?,
            FolderTreatment::Proc => mount_proc(&target).context("/proc")?,
            FolderTreatment::Sys => {
                bind_mount(&path, &target).context("/sys")?;
                let _ = make_read_only(&target);
            }
            FolderTreatment::Absent => {}
        }
    }
    mount_resolv_conf(new)
}

/// Shows the machine's folder `from` at `to`: with a layer over it. If that fails, read-only, or
/// empty for homes.
fn mount_overlay(
    from: &Path,
    to: &Path,
    layers: &OverlayLayers,
    nested: &[PathBuf],
) -> anyhow::Result<()> {
    if fs::read_dir(from).is_err() {
        // This user may see nothing of it (`/root`). The empty folder at least takes what is
        // written there.
        return Ok(());
    }
    let layer = layers.dir.join(from.file_name().context("no name")?);
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir(&work)?;
    if let Ok(metadata) = fs::metadata(from) {
        // Best effort: the layer's own folder gets the mode of the machine's.
        let _ = fs::set_permissions(&upper, metadata.permissions());
    }
    let data = format!(
        "lowerdir={},upperdir={},workdir={}",
        escape_overlay_option(from),
        escape_overlay_option(&upper),
        escape_overlay_option(&work)
    );
    let overlay = |data: &str| {
        mount(
            Some("overlay"),
            to,
            Some("overlay"),
            MsFlags::empty(),
            Some(data),
        )
        .is_ok()
    };
    let layered =
        (layers.own_attributes && overlay(&format!("{data},userxattr"))) || overlay(&data);
    let is_home = from
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(is_home);
    if layered {
        for point in nested {
            let inside = to.join(point.strip_prefix(from).expect("a nested mount is below"));
            // A mount that this user cannot see, or that is gone, is left out, as on the machine
            // itself.
            if inside.exists() && bind_mount(point, &inside).is_ok() {
                let _ = make_read_only(&inside);
            }
        }
    } else if !is_home && bind_mount(from, to).is_ok() {
        make_read_only(to).with_context(|| format!("make {} read-only", from.display()))?;
    }
    Ok(())
}

/// Escapes a path for an overlay's options, where commas and colons separate.
fn escape_overlay_option(path: &Path) -> String {
    let escape = |c: char| {
        if matches!(c, ',' | ':' | '\\') {
            vec!['\\', c]
        } else {
            vec![c]
        }
    };
    path.to_string_lossy().chars().flat_map(escape).collect()
}

fn mount_dev(target: &Path) -> anyhow::Result<()> {
    mount_tmpfs(target, 0o755)?;
    for device in DEVICES {
        let node = target.join(device);
        fs::write(&node, "")?;
        bind_mount(&Path::new("/dev").join(device), &node).with_context(|| device.to_owned())?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(to, target.join(name))?;
    }
    let (shm, pts) = (target.join("shm"), target.join("pts"));
    fs::create_dir(&shm)?;
    mount_tmpfs(&shm, 0o1777)?;
    fs::create_dir(&pts)?;
    // Without it only programs that open a terminal fail.
    let _ = mount(
        Some("devpts"),
        &pts,
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=0620"),
    );
    Ok(())
}

/// Shows the container's processes, or the machine's where the kernel does not allow that.
fn mount_proc(target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), target, Some("proc"), flags, NONE)
        .or_else(|_| bind_mount(Path::new("/proc"), target))
}

/// Binds the target of `/etc/resolv.conf`: it is often in `/run`, which is empty here.
fn mount_resolv_conf(new: &Path) -> anyhow::Result<()> {
    let Ok(file) = fs::canonicalize("/etc/resolv.conf") else {
        return Ok(());
    };
    if file.starts_with("/run") {
        let bound = BindMount {
            target: file.clone(),
            source: file,
            read_only: true,
        };
        bind_volume(&bound, new).context("/etc/resolv.conf")?;
    }
    Ok(())
}

fn bind_volume(bound: &BindMount, new: &Path) -> anyhow::Result<()> {
    let target = resolve_in_root(new, &bound.target);
    if !bound.source.exists() {
        // A missing sub path is made, as in kubelet.
        fs::create_dir_all(&bound.source)?;
    }
    if bound.source.is_dir() {
        fs::create_dir_all(&target)?;
    } else {
        fs::create_dir_all(target.parent().context("no folder")?)?;
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&target)?;
    }
    bind_mount(&bound.source, &target)?;
    if bound.read_only {
        make_read_only(&target)?;
    }
    Ok(())
}

/// The path `inside` of the root that is built at `new`. Links on the way (`/bin`, `/var/run`) are
/// followed as the container will: in its own root, not in the machine's.
fn resolve_in_root(new: &Path, inside: &Path) -> PathBuf {
    let mut at = new.to_owned();
    for part in inside
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
    {
        let next = at.join(part);
        at = match fs::read_link(&next) {
            Ok(link) if link.is_absolute() => resolve_in_root(new, &link),
            Ok(link) => resolve_in_root(
                new,
                &at.strip_prefix(new)
                    .expect("never leaves the root")
                    .join(link),
            ),
            Err(_) => next,
        };
    }
    at
}

fn pivot_into(new: &Path) -> anyhow::Result<()> {
    chdir(new)?;
    pivot_root(".", ".").context("pivot_root")?;
    // The old root now covers the new one. Unmounting it leaves nothing of it in reach.
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    Ok(())
}

fn mount_tmpfs(target: &Path, mode: u32) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        flags,
        Some(format!("mode={mode:o}").as_str()),
    )
}

fn bind_mount(source: &Path, target: &Path) -> nix::Result<()> {
    mount(
        Some(source),
        target,
        NONE,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NONE,
    )
}

fn make_read_only(target: &Path) -> nix::Result<()> {
    // In a user namespace a mount's flags must be kept.
    let has = statvfs(target)?.flags();
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let kept = kept
        .into_iter()
        .filter(|(flag, _)| has.contains(*flag))
        .fold(MsFlags::empty(), |all, (_, flag)| all | flag);
    mount(
        NONE,
        target,
        NONE,
        kept | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        NONE,
    )
}

/// Whether root is root only in a user namespace. There, not every user is mapped.
fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().nth(2) != Some("4294967295")
}

/// Stops being root, which only the mounts need. Programs like tar and initdb act differently as
/// root.
fn become_user(user: ContainerUser) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map_user(user, ContainerUser { uid: 0, gid: 0 })
}
