//! Waits for the marker files that the entrypoints leave.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::oneshot;
use tracing::warn;

/// How often to look when nothing was heard: some file systems tell nothing.
const POLL: Duration = Duration::from_secs(10);

/// Waits until every marker is there, then reads them: the exit code, or why there is none.
pub(super) async fn wait(markers: &[PathBuf]) -> Vec<Result<i32, String>> {
    let (all_there, heard) = oneshot::channel();
    let watched = markers.to_vec();
    // A thread of its own, since it mostly sleeps in the kernel: it goes when nobody waits.
    thread::spawn(move || {
        let watch = watch(&watched)
            .inspect_err(|e| warn!(error = %e, "cannot watch the marker files, polling"))
            .ok();
        while !all_there.is_closed() {
            if watched.iter().all(|marker| marker.exists()) {
                let _ = all_there.send(());
                return;
            }
            sleep(watch.as_ref());
        }
    });
    let _ = heard.await;
    markers.iter().map(|marker| read(marker)).collect()
}

fn read(marker: &Path) -> Result<i32, String> {
    let text = std::fs::read_to_string(marker)
        .map_err(|e| format!("cannot read {}: {e}", marker.display()))?;
    text.trim()
        .parse()
        .map_err(|_| format!("{} holds no exit code", marker.display()))
}

/// Hears of changes in the markers' folders.
fn watch(markers: &[PathBuf]) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    for dir in markers.iter().filter_map(|marker| marker.parent()) {
        let changes =
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE;
        inotify.add_watch(dir, changes)?;
    }
    Ok(inotify)
}

/// Returns on a change, or after a while anyway.
fn sleep(watch: Option<&Inotify>) {
    let Some(inotify) = watch else {
        return thread::sleep(POLL);
    };
    let timeout = PollTimeout::try_from(POLL).unwrap_or(PollTimeout::MAX);
    let _ = poll(
        &mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)],
        timeout,
    );
    // Which it was does not matter: all markers are looked at again.
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
            async move { wait(&markers).await }
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
        assert!(
            codes[1]
                .as_ref()
                .unwrap_err()
                .contains("holds no exit code")
        );
        assert_eq!(codes[2], Ok(130));
    }
}
