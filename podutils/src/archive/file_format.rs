//! Detects the format of a file by its bytes, not by its name.

use std::io::{self, Read, Seek, SeekFrom};

/// How a file has to be unpacked before it can be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// Is masked as it is.
    Plain,
    Gzip,
    Zip,
    Tar,
    /// Compressed in a format that is not supported, by its name.
    Opaque(&'static str),
}

impl FileFormat {
    /// How many bytes of a file's start [`FileFormat::from_head`] needs.
    pub(crate) const HEAD: usize = 262;
    /// How many bytes of its end: a zip has its directory there, whatever precedes it.
    const TAIL: u64 = 22;

    /// Detects the format by the first [`Self::HEAD`] bytes.
    pub(crate) fn from_head(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], FileFormat); 9] = [
            (b"\x1f\x8b", FileFormat::Gzip),
            (b"PK\x03\x04", FileFormat::Zip),
            (b"PK\x05\x06", FileFormat::Zip),
            (b"BZh", FileFormat::Opaque("bzip2")),
            (b"\xfd7zXZ\0", FileFormat::Opaque("xz")),
            (b"\x28\xb5\x2f\xfd", FileFormat::Opaque("zstd")),
            (b"\x04\x22\x4d\x18", FileFormat::Opaque("lz4")),
            (b"7z\xbc\xaf\x27\x1c", FileFormat::Opaque("7-zip")),
            (b"Rar!\x1a\x07", FileFormat::Opaque("rar")),
        ];
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        MAGIC
            .iter()
            .find(|(magic, _)| head.starts_with(magic))
            .map_or(Self::Plain, |(_, kind)| *kind)
    }

    /// Detects the format by both ends of a file, and rewinds the file.
    pub(crate) fn from_file(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let mut head = Vec::new();
        file.by_ref()
            .take(Self::HEAD as u64)
            .read_to_end(&mut head)?;
        let mut kind = Self::from_head(&head);
        if kind == Self::Plain && file.seek(SeekFrom::End(0))? >= Self::TAIL {
            let mut tail = [0; 4];
            file.seek(SeekFrom::End(-i64::try_from(Self::TAIL).unwrap_or(0)))?;
            file.read_exact(&mut tail)?;
            if tail == *b"PK\x05\x06" {
                kind = Self::Zip;
            }
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(kind)
    }
}
