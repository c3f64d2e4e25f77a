//! Waits for the entrypoints' marker files, or for the end of an entrypoint that leaves none.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use entrypoint::marker::{MarkerState, read_marker_state};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::oneshot;
use tracing::warn;

/// The polling interval: a killed entrypoint causes no event.
const POLL: Duration = Duration::from_millis(500);

/// How a test container ended: its exit code, or why it has none.
pub(super) type ContainerEnd = Result<i32, String>;

/// Waits until every container has ended.
pub(super) async fn wait_for_markers(markers: &[PathBuf]) -> Vec<ContainerEnd> {
    let (all_ended, heard) = oneshot::channel();
    let watched = markers.to_vec();
    // A thread of its own, since it mostly sleeps in the kernel. It ends when nobody waits.
    thread::spawn(move || {
        let watch = watch_folders(&watched)
            .inspect_err(|e| warn!(error = %e, "cannot watch the marker files, polling"))
            .ok();
        while !all_ended.is_closed() {
            let ends: Option<Vec<ContainerEnd>> = watched
                .iter()
                .map(|marker| find_container_end(marker))
                .collect();
            if let Some(ends) = ends {
                let _ = all_ended.send(ends);
                return;
            }
            wait_for_change(watch.as_ref());
        }
    });
    heard
        .await
        .unwrap_or_else(|_| vec![Err("nobody looks at the marker files".to_owned()); markers.len()])
}

/// `None` while the container may still write its marker.
fn find_container_end(marker: &Path) -> Option<ContainerEnd> {
    match read_marker_state(marker) {
        Ok(MarkerState::Open) => None,
        Ok(MarkerState::Ended(code)) => Some(Ok(code)),
        Ok(MarkerState::Abandoned) => Some(Err(format!(
            "it was killed before it could write its exit code to {}, by SIGKILL or for want of memory",
            marker.display()
        ))),
        Err(e) => Some(Err(format!(
            "its exit code is unknown: {}: {e}",
            marker.display()
        ))),
    }
}

/// Watches the markers' folders for changes.
fn watch_folders(markers: &[PathBuf]) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    for dir in markers.iter().filter_map(|marker| marker.parent()) {
        let changes =
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE;
        inotify.add_watch(dir, changes)?;
    }
    Ok(inotify)
}

/// Returns on a change, or after [`POLL`].
fn wait_for_change(watch: Option<&Inotify>) {
    let Some(inotify) = watch else {
        return thread::sleep(POLL);
    };
    let timeout = PollTimeout::try_from(POLL).unwrap_or(PollTimeout::MAX);
    let _ = poll(
        &mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)],
        timeout,
    );
    // The events themselves do not matter: the caller reads all markers again.
    while inotify.read_events().is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hears_of_the_last_marker() {
        let dir = tempfile::tempdir().unwrap();
        let markers: Vec<PathBuf> = ["a", "b", "c"]
            .iter()
            .map(|name| dir.path().join(name))
            .collect();
        std::fs::write(&markers[0], "0").unwrap();
        let waiting = tokio::spawn({
            let markers = markers.clone();
            async move { wait_for_markers(&markers).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::fs::write(dir.path().join("other"), "1").unwrap();
        std::fs::write(&markers[1], "soon").unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        std::fs::write(dir.path().join("staging"), "130").unwrap();
        std::fs::rename(dir.path().join("staging"), &markers[2]).unwrap();
        let codes = tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .expect("long before the poll")
            .unwrap();
        assert_eq!(codes[0], Ok(0));
        let unknown = codes[1].as_ref().unwrap_err();
        assert!(unknown.contains("it holds no exit code"), "{unknown}");
        assert_eq!(codes[2], Ok(130));
    }

    #[tokio::test]
    async fn a_pipe_under_the_name_of_a_marker_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("marker");
        nix::unistd::mkfifo(&marker, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let ends = wait_for_markers(&[marker]).await;
        let unknown = ends[0].as_ref().unwrap_err();
        assert!(unknown.contains("it is no regular file"), "{unknown}");
    }
}
