//! The recent changes, for watchers to replay. The log is bounded: a watcher that falls behind its
//! start has to list again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::object::{ApiObject, ObjectKey};

/// Changes kept, in memory and on disk.
pub(super) const MAX_CHANGES: usize = 10_000;
/// Bytes of JSON kept in memory.
const MAX_BYTES: usize = 32 << 20;

/// One committed change. Versions have no gaps.
#[derive(Debug, Clone)]
pub(crate) struct ObjectChange {
    pub(crate) version: u64,
    pub(crate) key: ObjectKey,
    /// The object before the change. For a deletion it has the deletion's version already.
    pub(crate) old: Option<Arc<ApiObject>>,
    pub(crate) new: Option<Arc<ApiObject>>,
}

impl ObjectChange {
    fn text_size(&self) -> usize {
        // `old` is shared with an earlier event or with the previous state.
        self.new
            .as_ref()
            .or(self.old.as_ref())
            .map_or(0, |object| object.text.len())
    }
}

#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    events: VecDeque<ObjectChange>,
    bytes: usize,
    /// Version of the last change that was dropped.
    floor: u64,
}

impl ChangeLog {
    pub(super) fn push(&mut self, event: ObjectChange) {
        if self.events.is_empty() {
            self.floor = event.version - 1;
        }
        self.bytes += event.text_size();
        self.events.push_back(event);
        while self.events.len() > MAX_CHANGES || self.bytes > MAX_BYTES && self.events.len() > 1 {
            let Some(dropped) = self.events.pop_front() else {
                break;
            };
            self.bytes -= dropped.text_size();
            self.floor = dropped.version;
        }
    }

    pub(super) fn latest_version(&self) -> u64 {
        self.events.back().map_or(self.floor, |event| event.version)
    }

    /// The changes after `version`. `None` if some of them were dropped.
    pub(super) fn changes_after(
        &self,
        version: u64,
    ) -> Option<impl Iterator<Item = &ObjectChange>> {
        let skip = version.checked_sub(self.floor)?;
        Some(
            self.events
                .iter()
                .skip(usize::try_from(skip).unwrap_or(usize::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: u64) -> ObjectChange {
        ObjectChange {
            version,
            key: ObjectKey::new(&Arc::from("pods"), "", "a"),
            old: None,
            new: None,
        }
    }

    #[test]
    fn replays_what_came_after_and_says_when_it_cannot() {
        let mut log = ChangeLog::default();
        (5..=8).for_each(|version| log.push(event(version)));
        let versions = |log: &ChangeLog, after| {
            log.changes_after(after)
                .map(|all| all.map(|one| one.version).collect::<Vec<_>>())
        };
        assert_eq!(versions(&log, 4), Some(vec![5, 6, 7, 8]));
        assert_eq!(versions(&log, 7), Some(vec![8]));
        assert_eq!(versions(&log, 8), Some(vec![]));
        assert_eq!(versions(&log, 3), None);
        (9..=5 + MAX_CHANGES as u64).for_each(|version| log.push(event(version)));
        assert_eq!(log.floor, 5);
        assert_eq!(versions(&log, 4), None);
    }
}
