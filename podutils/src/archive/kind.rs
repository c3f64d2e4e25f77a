//! What a file is, told by its bytes and not by its name.

use std::io::{self, Read, Seek, SeekFrom};

/// What a file is, told by its bytes and not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes that mean what they say.
    Plain,
    Gzip,
    Zip,
    Tar,
    /// Compressed in a way that is not read here.
    Opaque(&'static str),
}

impl Kind {
    /// How much of the beginning [`Kind::of`] wants.
    pub(crate) const HEAD: usize = 262;
    /// How much of the end: where a zip has its directory, whatever stands before it.
    const TAIL: u64 = 22;

    /// By the first [`Self::HEAD`] bytes.
    pub(crate) fn of(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], Kind); 9] = [
            (b"\x1f\x8b", Kind::Gzip),
            (b"PK\x03\x04", Kind::Zip),
            (b"PK\x05\x06", Kind::Zip),
            (b"BZh", Kind::Opaque("bzip2")),
            (b"\xfd7zXZ\0", Kind::Opaque("xz")),
            (b"\x28\xb5\x2f\xfd", Kind::Opaque("zstd")),
            (b"\x04\x22\x4d\x18", Kind::Opaque("lz4")),
            (b"7z\xbc\xaf\x27\x1c", Kind::Opaque("7-zip")),
            (b"Rar!\x1a\x07", Kind::Opaque("rar")),
        ];
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        MAGIC
            .iter()
            .find(|(magic, _)| head.starts_with(magic))
            .map_or(Self::Plain, |(_, kind)| *kind)
    }

    /// By both ends of a file; leaves it at its beginning.
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let mut head = Vec::new();
        file.by_ref()
            .take(Self::HEAD as u64)
            .read_to_end(&mut head)?;
        let mut kind = Self::of(&head);
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
