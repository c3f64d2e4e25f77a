//! The attributes of one object in a folder, told apart by its versions.
//!
//! Bytes and attributes are two files, and no file system renames two at once. So the file of
//! attributes knows the last few versions of the object, and the object tells which of them
//! holds: the moment it is renamed into its place, its own attributes hold.

use serde::{Deserialize, Serialize};

use crate::storage::object::Attributes;

/// Versions that are kept: a reader may still be at an older one.
const KEPT: usize = 8;

/// What tells an object from the one it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
    /// In bytes.
    pub(super) size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    version: Version,
    attributes: Attributes,
}

/// The file of attributes. Newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Record {
    Versions {
        versions: Vec<Entry>,
    },
    /// As it was before versions: they hold for whatever is there.
    Whole(Attributes),
}

impl Record {
    /// What holds for the object of this version.
    pub(super) fn of(&self, version: Version) -> Option<&Attributes> {
        match self {
            Self::Whole(attributes) => Some(attributes),
            Self::Versions { versions } => versions
                .iter()
                .find(|entry| entry.version == version)
                .map(|entry| &entry.attributes),
        }
    }

    /// What holds for a file that was copied here and lost its time.
    pub(super) fn newest(&self) -> Option<&Attributes> {
        match self {
            Self::Whole(attributes) => Some(attributes),
            Self::Versions { versions } => versions.first().map(|entry| &entry.attributes),
        }
    }

    /// With the version that comes next; `current` is the one that is there now.
    pub(super) fn with(
        old: Option<Self>,
        next: (Version, Attributes),
        current: Option<(Version, Attributes)>,
    ) -> Self {
        let older = match old {
            Some(Self::Versions { versions }) => versions,
            Some(Self::Whole(_)) | None => Vec::new(),
        };
        let new = [Some(next), current].into_iter().flatten();
        let new = new.map(|(version, attributes)| Entry {
            version,
            attributes,
        });
        let mut versions: Vec<Entry> = Vec::new();
        for entry in new.chain(older) {
            if versions.iter().all(|known| known.version != entry.version) {
                versions.push(entry);
            }
        }
        versions.truncate(KEPT);
        Self::Versions { versions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(modified: i64) -> Version {
        Version { modified, size: 7 }
    }

    fn entry(modified: i64) -> (Version, Attributes) {
        (
            version(modified),
            Attributes::of_type(&format!("type/{modified}")),
        )
    }

    fn type_of(record: &Record, modified: i64) -> &str {
        let attributes = record.of(version(modified)).unwrap();
        attributes.content_type.as_deref().unwrap()
    }

    #[test]
    fn each_version_has_its_own() {
        let mut record = Record::with(None, entry(2), Some(entry(1)));
        assert_eq!(
            (type_of(&record, 1), type_of(&record, 2)),
            ("type/1", "type/2")
        );
        for next in 3..12 {
            record = Record::with(Some(record), entry(next), Some(entry(next - 1)));
        }
        assert_eq!(
            (type_of(&record, 11), type_of(&record, 4)),
            ("type/11", "type/4")
        );
        assert_eq!(record.of(version(3)), None, "forgotten");
        assert_eq!(record.newest(), record.of(version(11)));
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn a_file_from_before_holds_for_all() {
        let json = r#"{"content_encoding":"gzip"}"#;
        let record: Record = serde_json::from_str(json).unwrap();
        let gzip = record.of(version(1)).unwrap().clone();
        assert_eq!(gzip.content_encoding.as_deref(), Some("gzip"));
        let record = Record::with(Some(record), entry(2), Some((version(1), gzip.clone())));
        assert_eq!(record.of(version(1)), Some(&gzip));
    }
}
