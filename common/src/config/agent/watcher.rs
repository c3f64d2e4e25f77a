//! The thread that loads: it wakes on the system's file notifications, and each second to poll,
//! because not every file system sends notifications.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};

use super::ReloadableConfig;
use crate::config::ConfigErrors;

/// Between two polls of all files' stats.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Files are loaded when nothing has happened to them for this long.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Files are loaded after this at the latest: somebody may write all the time.
const MAX_DEBOUNCE: Duration = Duration::from_millis(500);

/// A failed load is tried again after this, in case the disk was at fault.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Stops the thread when it is dropped.
#[derive(Debug)]
pub(super) struct ConfigWatcher {
    ended: Arc<AtomicBool>,
    bell: SyncSender<()>,
}

impl ConfigWatcher {
    /// Loads `source`, which was loaded once, again whenever it has changed.
    pub(super) fn start_thread<S: ReloadableConfig>(
        source: S,
        take: impl Fn(Result<Arc<S::Value>, ConfigErrors>) + Send + 'static,
    ) -> Self {
        // One pending wake-up is as good as many.
        let (bell, rings) = sync_channel(1);
        let ended = Arc::new(AtomicBool::new(false));
        let thread = WatcherThread {
            source,
            watched: PathWatcher::new(bell.clone()),
            rings,
            ended: Arc::clone(&ended),
            failed_at: None,
        };
        thread::Builder::new()
            .name("config".into())
            .spawn(move || thread.run_loop(take))
            .expect("a thread can be started");
        Self { ended, bell }
    }
}

impl Drop for ConfigWatcher {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // If the channel is full, a wake-up is pending already.
        let _ = self.bell.try_send(());
    }
}

struct WatcherThread<S> {
    source: S,
    watched: PathWatcher,
    rings: Receiver<()>,
    ended: Arc<AtomicBool>,
    failed_at: Option<Instant>,
}

impl<S: ReloadableConfig> WatcherThread<S> {
    fn run_loop(mut self, take: impl Fn(Result<Arc<S::Value>, ConfigErrors>)) {
        loop {
            self.watched.watch_paths(self.source.watched_paths());
            self.wait_for_change();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let result = self.source.load_config();
            self.failed_at = result.is_err().then(Instant::now);
            take(result);
        }
    }

    /// Returns when the source is to be loaded, and when the thread is to end.
    fn wait_for_change(&self) {
        loop {
            let rung = self.rings.recv_timeout(POLL_INTERVAL).is_ok();
            if rung {
                self.wait_until_quiet();
            }
            let ended = self.ended.load(Ordering::Acquire);
            let retry = self
                .failed_at
                .is_some_and(|at| at.elapsed() >= RETRY_INTERVAL);
            if ended || retry {
                return;
            }
            if self.source.is_stale() {
                // Polling found the change: the file may be half written.
                if !rung {
                    self.wait_until_quiet();
                }
                return;
            }
        }
    }

    /// Waits until nothing has happened for [`DEBOUNCE`], at most [`MAX_DEBOUNCE`].
    fn wait_until_quiet(&self) {
        let begin = Instant::now();
        while begin.elapsed() < MAX_DEBOUNCE && !self.ended.load(Ordering::Acquire) {
            if self.rings.recv_timeout(DEBOUNCE) == Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

/// The files and folders that the system sends notifications for.
struct PathWatcher {
    watcher: Option<RecommendedWatcher>,
    paths: BTreeSet<PathBuf>,
}

impl PathWatcher {
    fn new(bell: SyncSender<()>) -> Self {
        let ring = move |event: notify::Result<Event>| {
            // An error may mean a lost event.
            if event.map_or(true, |event| is_change(event.kind)) {
                let _ = bell.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(ring)
            .inspect_err(|error| {
                tracing::warn!(
                    "the system does not tell of changed files, they are looked at each second: {error}"
                );
            })
            .ok();
        Self {
            watcher,
            paths: BTreeSet::new(),
        }
    }

    /// Watches `paths` and no others. A path that cannot be watched is polled until the next call
    /// tries it again.
    fn watch_paths(&mut self, paths: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeSet<_> = paths.into_iter().collect();
        for gone in self.paths.difference(&wanted) {
            // This may fail because the path no longer exists.
            let _ = watcher.unwatch(gone);
        }
        // A file that replaced another has the same name; watching again follows the new file.
        let watched = wanted.into_iter().filter(|path| {
            watcher
                .watch(path, RecursiveMode::NonRecursive)
                .inspect_err(|error| {
                    tracing::debug!(path = %path.display(), "not watched: {error}");
                })
                .is_ok()
        });
        self.paths = watched.collect();
    }
}

/// Reading a file does not change it.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
