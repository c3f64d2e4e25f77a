//! Masks what is inside compressed files and archives, and inside those within them: content,
//! names, and what else a tool writes beside them (targets of links, owners, comments).
//!
//! Works on a copy in temporary space, bounded in size and depth. Whatever it cannot look into
//! is an error: the caller must then leave the file out.

mod bounds;
mod kind;
mod names;
mod space;

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use zip::result::ZipError;
use zip::{ZipArchive, ZipWriter};

use crate::censor::Censor;

pub(crate) use kind::Kind;
pub(crate) use space::{Space, Spool};

/// Archives within archives, the outermost included.
const MAX_DEPTH: u32 = 5;
/// Bytes that one file may unpack to, all its layers together.
const MAX_UNPACKED: u64 = 8 << 30;
/// Entries of one file, those of all archives in it together.
const MAX_ENTRIES: u64 = 100_000;
const CHUNK: usize = 64 << 10;

/// Why a file could not be looked into.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} cannot be looked into")]
    Opaque(&'static str),
    #[error("it unpacks to more than {} GiB", MAX_UNPACKED >> 30)]
    TooLarge,
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// The disk may have room once the other archives are done.
    #[error("the disk has no room to unpack it")]
    NoRoom,
    #[error("archives are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("it cannot be unpacked: {0}")]
    Broken(#[source] io::Error),
    #[error("it cannot be unpacked: {0}")]
    BrokenZip(#[source] ZipError),
}

/// Looks into one file.
pub(crate) struct Scrubber<'a> {
    censor: &'a Censor,
    space: &'a Space,
    /// Bytes that may still be unpacked.
    budget: u64,
    /// Entries that may still be looked into.
    entries: u64,
}

impl<'a> Scrubber<'a> {
    pub(crate) fn new(censor: &'a Censor, space: &'a Space) -> Self {
        Self {
            censor,
            space,
            budget: MAX_UNPACKED,
            entries: MAX_ENTRIES,
        }
    }

    /// The file with every secret in it masked, at its beginning.
    pub(crate) fn scrub(&mut self, mut file: impl Read) -> Result<Spool, Error> {
        let mut copy = self.spool(&mut file)?;
        let mut scrubbed = self.layer(&mut copy, 1)?.unwrap_or(copy);
        scrubbed.rewind()?;
        Ok(scrubbed)
    }

    /// A masked copy, or `None` if there was nothing to mask.
    fn layer(&mut self, file: &mut Spool, depth: u32) -> Result<Option<Spool>, Error> {
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

    fn plain(&mut self, file: &mut Spool) -> Result<Option<Spool>, Error> {
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

    fn gzip(&mut self, file: &mut Spool, depth: u32) -> Result<Option<Spool>, Error> {
        let mut inner = self.spool(&mut MultiGzDecoder::new(BufReader::new(&mut *file)))?;
        let mut masked = match self.layer(&mut inner, depth + 1)? {
            Some(masked) => masked,
            // Its header has a name and a comment, which a new one has not.
            None if self.has_secret(file)? => inner,
            None => return Ok(None),
        };
        masked.rewind()?;
        let mut out = GzEncoder::new(self.empty(), Compression::default());
        io::copy(&mut masked, &mut out)?;
        Ok(Some(out.finish()?))
    }

    fn tar(&mut self, file: &mut Spool, depth: u32) -> Result<Option<Spool>, Error> {
        let mut out = tar::Builder::new(self.empty());
        let mut any_masked = false;
        bounds::check_tar(file)?;
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            self.count()?;
            let names = names::masked(&mut entry, self.censor)?;
            any_masked |= names.any_masked;
            let mut header = names.header;
            if let Some(target) = names.target {
                out.append_link(&mut header, names.path, target)?;
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
            out.append_data(&mut header, names.path, content)?;
        }
        let out = out.into_inner()?;
        Ok(any_masked.then_some(out))
    }

    fn zip(&mut self, file: &mut Spool, depth: u32) -> Result<Option<Spool>, Error> {
        bounds::check_zip(file)?;
        let mut archive = ZipArchive::new(&mut *file)?;
        let mut out = ZipWriter::new(self.empty());
        out.set_raw_comment(archive.comment().into())?;
        let mut any_masked = false;
        for index in 0..archive.len() {
            self.count()?;
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
        let mut out = out.finish()?;
        // Names and comments stand in it as they are, and no checksum is over them.
        let whole = if any_masked { &mut out } else { file };
        whole.rewind()?;
        let named = self.plain(whole)?;
        Ok(named.or(any_masked.then_some(out)))
    }

    /// Whether there is one in the bytes as they are.
    fn has_secret(&mut self, file: &mut Spool) -> Result<bool, Error> {
        file.rewind()?;
        Ok(self.plain(file)?.is_some())
    }

    /// A copy in temporary space, at its beginning, paid from the budget.
    fn spool(&mut self, reader: &mut impl Read) -> Result<Spool, Error> {
        let mut copy = self.empty();
        let size = io::copy(&mut reader.take(self.budget + 1), &mut copy)?;
        self.budget = self.budget.checked_sub(size).ok_or(Error::TooLarge)?;
        copy.rewind()?;
        Ok(copy)
    }

    fn count(&mut self) -> Result<(), Error> {
        self.entries = self.entries.checked_sub(1).ok_or(Error::TooMany)?;
        Ok(())
    }

    fn empty(&self) -> Spool {
        self.space.file()
    }
}

#[cfg(test)]
mod tests;
