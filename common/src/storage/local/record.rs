//! The attributes of one object in a folder, by version.
//!
//! The bytes and the attributes are two files, which no file system renames at once. So the
//! attribute file holds the attributes of the last few versions, and the object's own version
//! selects among them: its attributes apply from the moment of its rename.

use serde::{Deserialize, Serialize};

use crate::storage::object::ObjectAttributes;

/// How many versions are kept: a reader may still have an older one.
const MAX_VERSIONS: usize = 8;

/// The version of an object: it differs from that of the object that replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileVersion {
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
    /// In bytes.
    pub(super) size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionAttributes {
    #[serde(flatten)]
    version: FileVersion,
    attributes: ObjectAttributes,
}

/// The content of an attribute file, newest version first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum AttributeRecord {
    Versions {
        versions: Vec<VersionAttributes>,
    },
    /// The older format without versions: the attributes apply to any version.
    Whole(ObjectAttributes),
}

impl AttributeRecord {
    /// The attributes of the object with this version.
    pub(super) fn attributes_of(&self, version: FileVersion) -> Option<&ObjectAttributes> {
        match self {
            Self::Whole(attributes) => Some(attributes),
            Self::Versions { versions } => versions
                .iter()
                .find(|entry| entry.version == version)
                .map(|entry| &entry.attributes),
        }
    }

    /// The attributes of a file that was copied here and lost its modification time.
    pub(super) fn newest_attributes(&self) -> Option<&ObjectAttributes> {
        match self {
            Self::Whole(attributes) => Some(attributes),
            Self::Versions { versions } => versions.first().map(|entry| &entry.attributes),
        }
    }

    /// The record with the `next` version added; `current` is the present version.
    pub(super) fn with_next_version(
        old: Option<Self>,
        next: (FileVersion, ObjectAttributes),
        current: Option<(FileVersion, ObjectAttributes)>,
    ) -> Self {
        let older = match old {
            Some(Self::Versions { versions }) => versions,
            Some(Self::Whole(_)) | None => Vec::new(),
        };
        let new = [Some(next), current].into_iter().flatten();
        let new = new.map(|(version, attributes)| VersionAttributes {
            version,
            attributes,
        });
        let mut versions: Vec<VersionAttributes> = Vec::new();
        for entry in new.chain(older) {
            if versions.iter().all(|known| known.version != entry.version) {
                versions.push(entry);
            }
        }
        versions.truncate(MAX_VERSIONS);
        Self::Versions { versions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(modified: i64) -> FileVersion {
        FileVersion { modified, size: 7 }
    }

    fn entry(modified: i64) -> (FileVersion, ObjectAttributes) {
        (
            version(modified),
            ObjectAttributes::of_type(&format!("type/{modified}")),
        )
    }

    fn type_of(record: &AttributeRecord, modified: i64) -> &str {
        let attributes = record.attributes_of(version(modified)).unwrap();
        attributes.content_type.as_deref().unwrap()
    }

    #[test]
    fn each_version_has_its_own() {
        let mut record = AttributeRecord::with_next_version(None, entry(2), Some(entry(1)));
        assert_eq!(
            (type_of(&record, 1), type_of(&record, 2)),
            ("type/1", "type/2")
        );
        for next in 3..12 {
            record = AttributeRecord::with_next_version(
                Some(record),
                entry(next),
                Some(entry(next - 1)),
            );
        }
        assert_eq!(
            (type_of(&record, 11), type_of(&record, 4)),
            ("type/11", "type/4")
        );
        assert_eq!(record.attributes_of(version(3)), None, "forgotten");
        assert_eq!(
            record.newest_attributes(),
            record.attributes_of(version(11))
        );
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<AttributeRecord>(&json).unwrap(),
            record
        );
    }

    #[test]
    fn a_file_from_before_holds_for_all() {
        let json = r#"{"content_encoding":"gzip"}"#;
        let record: AttributeRecord = serde_json::from_str(json).unwrap();
        let gzip = record.attributes_of(version(1)).unwrap().clone();
        assert_eq!(gzip.content_encoding.as_deref(), Some("gzip"));
        let record = AttributeRecord::with_next_version(
            Some(record),
            entry(2),
            Some((version(1), gzip.clone())),
        );
        assert_eq!(record.attributes_of(version(1)), Some(&gzip));
    }
}
