//! Masks secrets inside compressed files and archives, nested ones included: contents, names, and
//! the other fields that tools write (link targets, owners, comments).
//!
//! Works on a copy in temporary space, limited in size and depth. A file that cannot be censored
//! is an error, and the caller must leave that file out.

mod entry_names;
mod file_format;
mod size_limits;
mod temp_space;

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use zip::result::ZipError;
use zip::{ZipArchive, ZipWriter};

use crate::censor::Censor;

pub(crate) use file_format::FileFormat;
pub(crate) use temp_space::{SpoolFile, TempSpace};

/// How deep archives may be nested, the outermost included.
const MAX_DEPTH: u32 = 5;
/// Bytes that one file may unpack to, over all its layers.
const MAX_UNPACKED: u64 = 8 << 30;
/// Entries that one file may have, over all archives in it.
const MAX_ENTRIES: u64 = 100_000;
const CHUNK: usize = 64 << 10;

/// Why a file could not be censored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
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

/// Censors one file.
pub(crate) struct ArchiveCensorer<'a> {
    censor: &'a Censor,
    space: &'a TempSpace,
    /// Bytes that may still be unpacked.
    budget: u64,
    /// Entries that may still be read.
    entries: u64,
}

impl<'a> ArchiveCensorer<'a> {
    pub(crate) fn new(censor: &'a Censor, space: &'a TempSpace) -> Self {
        Self {
            censor,
            space,
            budget: MAX_UNPACKED,
            entries: MAX_ENTRIES,
        }
    }

    /// Returns a copy with every secret masked, rewound to its start.
    pub(crate) fn censor_file(&mut self, mut file: impl Read) -> Result<SpoolFile, ArchiveError> {
        let mut copy = self.spool_copy(&mut file)?;
        let mut scrubbed = self.censor_layer(&mut copy, 1)?.unwrap_or(copy);
        scrubbed.rewind()?;
        Ok(scrubbed)
    }

    /// Returns a masked copy, or `None` if there was nothing to mask.
    fn censor_layer(
        &mut self,
        file: &mut SpoolFile,
        depth: u32,
    ) -> Result<Option<SpoolFile>, ArchiveError> {
        if depth > MAX_DEPTH {
            return Err(ArchiveError::TooDeep);
        }
        match FileFormat::from_file(file)? {
            FileFormat::Plain => self.censor_plain(file),
            FileFormat::Gzip => self.censor_gzip(file, depth),
            FileFormat::Tar => self.censor_tar(file, depth),
            FileFormat::Zip => self.censor_zip(file, depth),
            FileFormat::Opaque(what) => Err(ArchiveError::Opaque(what)),
        }
    }

    fn censor_plain(&mut self, file: &mut SpoolFile) -> Result<Option<SpoolFile>, ArchiveError> {
        let mut out = self.empty_spool();
        let mut stream = self.censor.start_stream();
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

    fn censor_gzip(
        &mut self,
        file: &mut SpoolFile,
        depth: u32,
    ) -> Result<Option<SpoolFile>, ArchiveError> {
        let mut inner = self.spool_copy(&mut MultiGzDecoder::new(BufReader::new(&mut *file)))?;
        let mut masked = match self.censor_layer(&mut inner, depth + 1)? {
            Some(masked) => masked,
            // The secret is in the gzip header (name, comment), which the new file does not have.
            None if self.has_secret(file)? => inner,
            None => return Ok(None),
        };
        masked.rewind()?;
        let mut out = GzEncoder::new(self.empty_spool(), Compression::default());
        io::copy(&mut masked, &mut out)?;
        Ok(Some(out.finish()?))
    }

    fn censor_tar(
        &mut self,
        file: &mut SpoolFile,
        depth: u32,
    ) -> Result<Option<SpoolFile>, ArchiveError> {
        let mut out = tar::Builder::new(self.empty_spool());
        let mut any_masked = false;
        size_limits::check_tar(file)?;
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            self.count_entry()?;
            let names = entry_names::mask_entry_names(&mut entry, self.censor)?;
            any_masked |= names.any_masked;
            let mut header = names.header;
            if let Some(target) = names.target {
                out.append_link(&mut header, names.path, target)?;
                continue;
            }
            if entry.header().entry_type().is_gnu_sparse() {
                return Err(ArchiveError::Opaque("a sparse tar entry"));
            }
            let mut content = self.spool_copy(&mut entry)?;
            let masked = self.censor_layer(&mut content, depth + 1)?;
            any_masked |= masked.is_some();
            let mut content = masked.unwrap_or(content);
            header.set_size(content.seek(SeekFrom::End(0))?);
            content.rewind()?;
            out.append_data(&mut header, names.path, content)?;
        }
        let out = out.into_inner()?;
        Ok(any_masked.then_some(out))
    }

    fn censor_zip(
        &mut self,
        file: &mut SpoolFile,
        depth: u32,
    ) -> Result<Option<SpoolFile>, ArchiveError> {
        size_limits::check_zip(file)?;
        let mut archive = ZipArchive::new(&mut *file)?;
        let mut out = ZipWriter::new(self.empty_spool());
        out.set_raw_comment(archive.comment().into())?;
        let mut any_masked = false;
        for index in 0..archive.len() {
            self.count_entry()?;
            let mut entry = archive.by_index(index)?;
            let options = entry.options();
            let name = entry.name()?.into_owned();
            let mut content = self.spool_copy(&mut entry)?;
            drop(entry);
            match self.censor_layer(&mut content, depth + 1)? {
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
        // A zip has names and comments as plain bytes, and no checksum covers them.
        let whole = if any_masked { &mut out } else { file };
        whole.rewind()?;
        let named = self.censor_plain(whole)?;
        Ok(named.or(any_masked.then_some(out)))
    }

    /// Whether the file's own bytes contain a secret.
    fn has_secret(&mut self, file: &mut SpoolFile) -> Result<bool, ArchiveError> {
        file.rewind()?;
        Ok(self.censor_plain(file)?.is_some())
    }

    /// Copies to temporary space, charged to the budget, and rewinds the copy.
    fn spool_copy(&mut self, reader: &mut impl Read) -> Result<SpoolFile, ArchiveError> {
        let mut copy = self.empty_spool();
        let size = io::copy(&mut reader.take(self.budget + 1), &mut copy)?;
        self.budget = self
            .budget
            .checked_sub(size)
            .ok_or(ArchiveError::TooLarge)?;
        copy.rewind()?;
        Ok(copy)
    }

    fn count_entry(&mut self) -> Result<(), ArchiveError> {
        self.entries = self.entries.checked_sub(1).ok_or(ArchiveError::TooMany)?;
        Ok(())
    }

    fn empty_spool(&self) -> SpoolFile {
        self.space.create_spool()
    }
}

#[cfg(test)]
mod tests;
