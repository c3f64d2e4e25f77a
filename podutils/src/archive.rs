//! Masks what is inside compressed files and archives, and inside those within them.
//!
//! Works on a copy in temporary space, bounded in size and depth. Whatever it cannot look into
//! is an error: the caller must then leave the file out.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tempfile::SpooledTempFile;
use zip::result::ZipError;
use zip::{ZipArchive, ZipWriter};

use crate::censor::Censor;

/// Archives within archives, the outermost included.
const MAX_DEPTH: u32 = 5;
/// Bytes that one file may unpack to, all its layers together.
const MAX_UNPACKED: u64 = 8 << 30;
/// What is smaller is kept in memory while it is looked at.
const IN_MEMORY: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// Why a file could not be looked into.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} cannot be looked into")]
    Opaque(&'static str),
    #[error("it unpacks to more than {} GiB", MAX_UNPACKED >> 30)]
    TooLarge,
    #[error("archives are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("it cannot be unpacked: {0}")]
    Broken(#[from] io::Error),
    #[error("it cannot be unpacked: {0}")]
    BrokenZip(#[from] ZipError),
}

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

/// Looks into one file.
pub(crate) struct Scrubber<'a> {
    censor: &'a Censor,
    dir: PathBuf,
    /// Bytes that may still be unpacked.
    budget: u64,
}

impl<'a> Scrubber<'a> {
    /// `dir` is where temporary space is.
    pub(crate) fn new(censor: &'a Censor, dir: &Path) -> Self {
        Self {
            censor,
            dir: dir.to_owned(),
            budget: MAX_UNPACKED,
        }
    }

    /// The file with every secret in it masked, at its beginning.
    pub(crate) fn scrub(&mut self, mut file: impl Read) -> Result<SpooledTempFile, Error> {
        let mut copy = self.spool(&mut file)?;
        let mut scrubbed = self.layer(&mut copy, 1)?.unwrap_or(copy);
        scrubbed.rewind()?;
        Ok(scrubbed)
    }

    /// A masked copy, or `None` if there was nothing to mask.
    fn layer(
        &mut self,
        file: &mut SpooledTempFile,
        depth: u32,
    ) -> Result<Option<SpooledTempFile>, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        match Kind::read(file)? {
            Kind::Plain => self.plain(file),
            Kind::Gzip => self.gzip(file, depth),
            Kind::Tar => self.tar(file, depth),
            Kind::Zip => self.zip(file, depth),
            Kind::Opaque(what) => Err(Error::Opaque(what)),
        }
    }

    fn plain(&mut self, file: &mut SpooledTempFile) -> Result<Option<SpooledTempFile>, Error> {
        let mut out = self.empty();
        let mut stream = self.censor.stream();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            if Read::by_ref(file)
                .take(CHUNK as u64)
                .read_to_end(&mut chunk)?
                == 0
            {
                break;
            }
            out.write_all(&stream.push(chunk))?;
        }
        out.write_all(&stream.finish())?;
        Ok(stream.has_masked().then_some(out))
    }

    fn gzip(
        &mut self,
        file: &mut SpooledTempFile,
        depth: u32,
    ) -> Result<Option<SpooledTempFile>, Error> {
        let mut inner = self.spool(&mut MultiGzDecoder::new(BufReader::new(file)))?;
        let Some(mut masked) = self.layer(&mut inner, depth + 1)? else {
            return Ok(None);
        };
        masked.rewind()?;
        let mut out = GzEncoder::new(self.empty(), Compression::default());
        io::copy(&mut masked, &mut out)?;
        Ok(Some(out.finish()?))
    }

    fn tar(
        &mut self,
        file: &mut SpooledTempFile,
        depth: u32,
    ) -> Result<Option<SpooledTempFile>, Error> {
        let mut out = tar::Builder::new(self.empty());
        let mut any_masked = false;
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            let mut header = entry.header().clone();
            let path = entry.path()?.into_owned();
            if let Some(target) = entry.link_name()? {
                out.append_link(&mut header, path, target)?;
                continue;
            }
            if entry.header().entry_type().is_gnu_sparse() {
                return Err(Error::Opaque("a sparse tar entry"));
            }
            let mut content = self.spool(&mut entry)?;
            let masked = self.layer(&mut content, depth + 1)?;
            any_masked |= masked.is_some();
            let mut content = masked.unwrap_or(content);
            header.set_size(content.seek(SeekFrom::End(0))?);
            content.rewind()?;
            out.append_data(&mut header, path, content)?;
        }
        let out = out.into_inner()?;
        Ok(any_masked.then_some(out))
    }

    fn zip(
        &mut self,
        file: &mut SpooledTempFile,
        depth: u32,
    ) -> Result<Option<SpooledTempFile>, Error> {
        let mut archive = ZipArchive::new(file)?;
        let mut out = ZipWriter::new(self.empty());
        let mut any_masked = false;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let options = entry.options();
            let name = entry.name()?.into_owned();
            let mut content = self.spool(&mut entry)?;
            drop(entry);
            match self.layer(&mut content, depth + 1)? {
                Some(mut masked) => {
                    any_masked = true;
                    let size = masked.seek(SeekFrom::End(0))?;
                    masked.rewind()?;
                    out.start_file(name, options.large_file(size >= u64::from(u32::MAX)))?;
                    io::copy(&mut masked, &mut out)?;
                }
                None => out.raw_copy_file(archive.by_index_raw(index)?)?,
            }
        }
        let out = out.finish()?;
        Ok(any_masked.then_some(out))
    }

    /// A copy in temporary space, at its beginning, paid from the budget.
    fn spool(&mut self, reader: &mut impl Read) -> Result<SpooledTempFile, Error> {
        let mut copy = self.empty();
        let size = io::copy(&mut reader.take(self.budget + 1), &mut copy)?;
        self.budget = self.budget.checked_sub(size).ok_or(Error::TooLarge)?;
        copy.rewind()?;
        Ok(copy)
    }

    fn empty(&self) -> SpooledTempFile {
        tempfile::spooled_tempfile_in(IN_MEMORY, &self.dir)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o640);
            header.set_mtime(1_700_000_000);
            out.append_data(&mut header, name, *content).unwrap();
        }
        out.into_inner().unwrap()
    }

    fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            out.start_file(*name, SimpleFileOptions::default()).unwrap();
            out.write_all(content).unwrap();
        }
        out.finish().unwrap().into_inner()
    }

    fn ungz(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        MultiGzDecoder::new(content).read_to_end(&mut out).unwrap();
        out
    }

    fn scrub(content: &[u8]) -> Result<Vec<u8>, Error> {
        let censor = Censor::new(["hunter22"]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        Scrubber::new(&censor, dir.path())
            .scrub(content)?
            .read_to_end(&mut out)?;
        Ok(out)
    }

    fn untar(content: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(content);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                content,
            )
        });
        entries.collect()
    }

    #[test]
    fn kinds_are_told_by_their_bytes() {
        for (content, expected) in [
            (b"plain text".to_vec(), Kind::Plain),
            (Vec::new(), Kind::Plain),
            (gz(b"x"), Kind::Gzip),
            (tar(&[("a", b"x")]), Kind::Tar),
            (zipped(&[("a", b"x")]), Kind::Zip),
            (
                [b"#!/bin/sh\n".to_vec(), zipped(&[("a", b"x")])].concat(),
                Kind::Zip,
            ),
            (b"BZh91AY&SY".to_vec(), Kind::Opaque("bzip2")),
            (b"\xfd7zXZ\0\0".to_vec(), Kind::Opaque("xz")),
        ] {
            assert_eq!(Kind::read(&mut Cursor::new(content)).unwrap(), expected);
        }
    }

    #[test]
    fn a_gzip_file_is_masked() {
        assert_eq!(ungz(&scrub(&gz(b"my hunter22!")).unwrap()), b"my XXXXXXXX!");
    }

    #[test]
    fn a_tar_gz_is_masked_and_keeps_names_and_modes() {
        let long = "d/".repeat(80) + "long";
        let scrubbed = scrub(&gz(&tar(&[
            ("a", b"nothing"),
            (&long, b"hunter22 hunter22"),
        ])))
        .unwrap();
        assert_eq!(
            untar(&ungz(&scrubbed)),
            [
                ("a".to_owned(), 0o640, b"nothing".to_vec()),
                (long, 0o640, b"XXXXXXXX XXXXXXXX".to_vec())
            ]
        );
    }

    #[test]
    fn a_zip_is_masked_and_its_other_entries_stay() {
        let scrubbed = scrub(&zipped(&[("a", b"nothing"), ("b/c", b"hunter22")])).unwrap();
        let mut archive = ZipArchive::new(Cursor::new(scrubbed)).unwrap();
        for (name, expected) in [("a", "nothing"), ("b/c", "XXXXXXXX")] {
            let mut content = String::new();
            archive
                .by_name(name)
                .unwrap()
                .read_to_string(&mut content)
                .unwrap();
            assert_eq!(content, expected);
        }
    }

    #[test]
    fn archives_in_archives_are_masked() {
        let inner = gz(b"hunter22");
        let scrubbed = scrub(&tar(&[("x.zip", &zipped(&[("log.gz", &inner)]))])).unwrap();
        let (_, _, zip) = untar(&scrubbed).remove(0);
        let mut log = Vec::new();
        ZipArchive::new(Cursor::new(zip))
            .unwrap()
            .by_name("log.gz")
            .unwrap()
            .read_to_end(&mut log)
            .unwrap();
        assert_eq!(ungz(&log), b"XXXXXXXX");
    }

    #[test]
    fn without_a_secret_not_a_byte_changes() {
        for content in [gz(b"x"), tar(&[("a", b"x")]), zipped(&[("a", b"x")])] {
            assert_eq!(scrub(&content).unwrap(), content);
        }
    }

    #[test]
    fn what_cannot_be_looked_into_is_an_error() {
        let whole = gz(&vec![b'x'; 10_000]);
        let mut nested = b"hunter22".to_vec();
        for _ in 0..MAX_DEPTH {
            nested = gz(&nested);
        }
        for (content, expected) in [
            (whole[..whole.len() / 2].to_vec(), "it cannot be unpacked"),
            (
                b"PK\x03\x04 this is no zip".to_vec(),
                "it cannot be unpacked",
            ),
            (gz(b"BZh91AY&SY"), "bzip2 cannot be looked into"),
            (nested, "archives are nested deeper"),
        ] {
            let error = scrub(&content).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_bomb_is_stopped() {
        let censor = Censor::new(["hunter22"]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut scrubber = Scrubber::new(&censor, dir.path());
        scrubber.budget = 1 << 16;
        assert!(matches!(
            scrubber.scrub(&gz(&vec![0; 1 << 20])[..]),
            Err(Error::TooLarge)
        ));
    }
}
