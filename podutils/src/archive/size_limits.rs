//! Refuses archives whose table of contents would not fit into memory, before it is read.

use std::io::{self, Read, Seek, SeekFrom};

use super::{ArchiveError, MAX_ENTRIES};

/// Bytes of names, extra fields and comments that one zip may have.
const MAX_NAMES: u64 = 64 << 20;
/// Bytes of a tar entry that holds the long name, or the attributes, of the next entry.
const MAX_HEADER: u64 = 1 << 20;
/// An entry in a zip's directory: the mark it begins with, and the length of its fixed part.
const MARK: &[u8; 4] = b"PK\x01\x02";
const FIXED: usize = 46;
const CHUNK: usize = 64 << 10;

/// Refuses a tar with a name too long for memory. Rewinds the file.
pub(super) fn check_tar(file: &mut (impl Read + Seek)) -> Result<(), ArchiveError> {
    file.seek(SeekFrom::Start(0))?;
    let mut archive = tar::Archive::new(&mut *file);
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let is_header = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if is_header && entry.size() > MAX_HEADER {
            return Err(ArchiveError::Opaque("a tar entry with a name of megabytes"));
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

/// Refuses a zip with more entries, or longer names, than fit into memory. Rewinds the file.
///
/// Every entry that a reader can find begins with the mark, so the count is never too low.
pub(super) fn check_zip(file: &mut (impl Read + Seek)) -> Result<(), ArchiveError> {
    file.seek(SeekFrom::Start(0))?;
    let (mut entries, mut names) = (0, 0);
    let mut seen: Vec<u8> = Vec::with_capacity(2 * CHUNK);
    loop {
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut seen)?;
        let is_end = read == 0;
        // An entry that begins in the last bytes may continue in the next chunk.
        let until = if is_end {
            seen.len()
        } else {
            seen.len().saturating_sub(FIXED - 1)
        };
        let mut at = 0;
        while let Some(found) = find_bytes(&seen[at..], MARK).filter(|found| at + found < until) {
            at += found;
            entries += 1;
            names += names_length(&seen[at..]);
            if entries > MAX_ENTRIES {
                return Err(ArchiveError::TooMany);
            }
            if names > MAX_NAMES {
                return Err(ArchiveError::Opaque("a zip with names of megabytes"));
            }
            at += MARK.len();
        }
        if is_end {
            break;
        }
        seen.drain(..until.max(at.min(seen.len())));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

fn find_bytes(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += bytes[at..].iter().position(|byte| *byte == mark[0])?;
        if bytes[at..].starts_with(mark) {
            return Some(at);
        }
        at += 1;
    }
}

/// The total length of name, extra field and comment, which follow an entry's fixed part.
fn names_length(entry: &[u8]) -> u64 {
    [28, 30, 32]
        .into_iter()
        .filter_map(|at| entry.get(at..at + 2))
        .map(|bytes| u64::from(u16::from_le_bytes([bytes[0], bytes[1]])))
        .sum()
}

/// Tells a disk or temporary space that is full apart from a broken file.
impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::NoRoom,
            _ => Self::Broken(error),
        }
    }
}

impl From<zip::result::ZipError> for ArchiveError {
    fn from(error: zip::result::ZipError) -> Self {
        match error {
            zip::result::ZipError::Io(error) => error.into(),
            error => Self::BrokenZip(error),
        }
    }
}
