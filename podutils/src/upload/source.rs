//! The bytes of an upload: read in chunks off the runtime, masked and compressed on the way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use common::storage::ObjectBody;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::archive::{self, ArchiveCensorer, FileFormat, SpoolFile};
use crate::censor::Censor;

use super::{ArchiveSlots, ObjectUpload, Uploader};

const CHUNK: usize = 64 << 10;
/// Chunks that are read ahead of the network.
const CHUNKS_AHEAD: usize = 8;
/// Files of up to this many bytes are not worth compressing.
const MIN_COMPRESSED: usize = 1024;

/// Where an upload comes from.
#[derive(Debug, Clone)]
pub(crate) enum UploadSource {
    Bytes(Bytes),
    /// Masked as text, whatever it looks like. The file has to be the named one, not a link.
    Log(PathBuf),
    File {
        path: PathBuf,
        /// Once all links are followed, the file has to be in this folder, or be this path.
        below: PathBuf,
        /// Mask it. An excluded file is uploaded as it is.
        censor: bool,
        /// Compress it on the way, unless it is small or compressed already.
        compress: bool,
    },
}

/// Why there is nothing to upload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadSourceError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is a link that leads out of its folder")]
    Outside,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it could not be censored: {0}")]
    Archive(#[from] archive::ArchiveError),
}

impl UploadSourceError {
    pub(super) fn is_uncensored(&self) -> bool {
        matches!(self, Self::Archive(_))
    }
}

/// An upload that is ready to be sent.
pub(super) struct OpenedUpload {
    pub(super) body: ObjectBody,
    /// Set if the body is compressed here.
    pub(super) encoding: Option<String>,
    /// Why reading failed before the end: then no further attempt helps.
    pub(super) broken: Arc<OnceLock<String>>,
}

pub(super) async fn open_upload(
    upload: &ObjectUpload,
    uploader: &Uploader,
) -> Result<OpenedUpload, UploadSourceError> {
    let file = match upload.source.clone() {
        UploadSource::Bytes(bytes) => {
            return Ok(OpenedUpload {
                body: ObjectBody::Bytes(bytes),
                encoding: None,
                broken: Arc::default(),
            });
        }
        UploadSource::Log(path) => FilePreparation {
            below: path.clone(),
            path,
            censor: uploader.censor.clone(),
            archives: None,
            compress: false,
        },
        UploadSource::File {
            path,
            below,
            censor,
            compress,
        } => FilePreparation {
            path,
            below,
            censor: if censor {
                uploader.censor.clone()
            } else {
                Censor::default()
            },
            archives: Some(uploader.archives.clone()),
            compress,
        },
    };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || file.prepare_body(&runtime))
        .await
        .map_err(|e| UploadSourceError::Read(io::Error::other(e)))?
}

struct FilePreparation {
    path: PathBuf,
    below: PathBuf,
    censor: Censor,
    /// `None` if the file is never read as an archive.
    archives: Option<ArchiveSlots>,
    compress: bool,
}

impl FilePreparation {
    fn prepare_body(self, runtime: &Handle) -> Result<OpenedUpload, UploadSourceError> {
        let mut file = open_below(&self.path, &self.below)?;
        // Of a file that still grows, only what exists now is read.
        let size = file.metadata()?.len();
        let kind = if self.archives.is_some() {
            FileFormat::from_file(&mut file)?
        } else {
            FileFormat::Plain
        };
        let reader: Box<dyn Read + Send> = match &self.archives {
            // The result is masked once more below: bytes between the entries of an archive are not
            // censored here, and a broken archive is better than a secret.
            Some(archives) if kind != FileFormat::Plain && !self.censor.is_empty() => Box::new(
                censor_archive(&file, size, &self.censor, archives, runtime)?,
            ),
            _ => Box::new(file.take(size)),
        };
        let mut reader = MaskedReader {
            reader,
            stream: self.censor.start_stream(),
            ended: false,
        };
        let first = reader.next_chunk()?.unwrap_or_default();
        let compress = self.compress && kind != FileFormat::Gzip && first.len() > MIN_COMPRESSED;
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let broken = Arc::<OnceLock<String>>::default();
        let reason = broken.clone();
        runtime.spawn_blocking(move || {
            let send = if compress {
                send_compressed
            } else {
                send_chunks
            };
            if let Err(e) = send(first, &mut reader, &sender) {
                let _ = reason.set(format!("it cannot be read: {e}"));
                // The stream has to end with an error, or half a file would count as a whole one.
                let _ = sender.blocking_send(Err(e));
            }
        });
        let chunks = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Ok(OpenedUpload {
            body: ObjectBody::from_stream(chunks),
            encoding: compress.then(|| "gzip".to_owned()),
            broken,
        })
    }
}

/// A masked copy in temporary space, and the permit to use that space.
struct CensoredCopy {
    copy: SpoolFile,
    _turn: OwnedSemaphorePermit,
}

impl Read for CensoredCopy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.copy.read(buffer)
    }
}

/// Censors an archive, at the same time as others if there is room for all, else alone.
fn censor_archive(
    mut file: &File,
    size: u64,
    censor: &Censor,
    archives: &ArchiveSlots,
    runtime: &Handle,
) -> Result<CensoredCopy, UploadSourceError> {
    let mut attempt = |turns| {
        let turn = runtime.block_on(archives.turns.clone().acquire_many_owned(turns));
        let turn = turn.expect("the semaphore is never closed");
        file.rewind()?;
        let copy = ArchiveCensorer::new(censor, &archives.space)
            .censor_file(Read::by_ref(&mut file).take(size))?;
        Ok(CensoredCopy { copy, _turn: turn })
    };
    match attempt(1) {
        Err(UploadSourceError::Archive(archive::ArchiveError::NoRoom)) if archives.at_once > 1 => {
            attempt(archives.at_once)
        }
        done => done,
    }
}

/// Opens a regular file whose real path is `below`, or is inside of it.
///
/// The test container may have made links to get our own credentials uploaded. So what counts is
/// the path of the opened file, which nobody can swap any more; of `below`, only the parent is
/// trusted. Does not block on a pipe.
pub(crate) fn open_below(path: &Path, below: &Path) -> Result<File, UploadSourceError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(UploadSourceError::NotAFile);
    }
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let parent = below
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let below = fs::canonicalize(parent)?.join(below.file_name().unwrap_or_default());
    if opened.starts_with(below) {
        Ok(file)
    } else {
        Err(UploadSourceError::Outside)
    }
}

struct MaskedReader {
    reader: Box<dyn Read + Send>,
    stream: crate::censor::CensorStream,
    ended: bool,
}

impl MaskedReader {
    /// The next settled bytes; `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        while !self.ended {
            let mut chunk = Vec::with_capacity(CHUNK);
            if self
                .reader
                .by_ref()
                .take(CHUNK as u64)
                .read_to_end(&mut chunk)?
                == 0
            {
                self.ended = true;
                return Ok(Some(self.stream.finish()).filter(|rest| !rest.is_empty()));
            }
            let settled = self.stream.push(chunk);
            if !settled.is_empty() {
                return Ok(Some(settled));
            }
        }
        Ok(None)
    }
}

type ChunkSender = mpsc::Sender<io::Result<Bytes>>;

fn send_chunks(first: Vec<u8>, reader: &mut MaskedReader, sender: &ChunkSender) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(chunk) = next {
        if !chunk.is_empty() && sender.blocking_send(Ok(chunk.into())).is_err() {
            // The receiver is gone: the upload has failed and reports that itself.
            return Ok(());
        }
        next = reader.next_chunk()?;
    }
    Ok(())
}

fn send_compressed(
    first: Vec<u8>,
    reader: &mut MaskedReader,
    sender: &ChunkSender,
) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut next = Some(first);
    while let Some(chunk) = next {
        encoder.write_all(&chunk)?;
        let ready = std::mem::take(encoder.get_mut());
        if !ready.is_empty() && sender.blocking_send(Ok(ready.into())).is_err() {
            return Ok(());
        }
        next = reader.next_chunk()?;
    }
    let _ = sender.blocking_send(Ok(encoder.finish()?.into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("logs/artifacts/sub")).unwrap();
        fs::create_dir(at("secrets")).unwrap();
        fs::write(at("secrets/key.json"), "s").unwrap();
        fs::write(at("logs/artifacts/sub/real"), "x").unwrap();
        symlink("sub/real", at("logs/artifacts/inside")).unwrap();
        symlink(at("secrets/key.json"), at("logs/artifacts/outside")).unwrap();
        symlink(at("secrets"), at("logs/linked")).unwrap();
        symlink(at("secrets/key.json"), at("logs/process-log.txt")).unwrap();
        let pipe = at("logs/artifacts/pipe");
        nix::unistd::mkfifo(
            &pipe,
            nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
        )
        .unwrap();
        for (path, below, good) in [
            ("logs/artifacts/sub/real", "logs/artifacts", true),
            ("logs/artifacts/inside", "logs/artifacts", true),
            ("logs/artifacts/outside", "logs/artifacts", false),
            ("logs/linked/key.json", "logs/linked", false),
            ("logs/process-log.txt", "logs/process-log.txt", false),
            ("logs/artifacts/sub/real", "logs/artifacts/sub/real", true),
            ("logs/artifacts/pipe", "logs/artifacts", false),
            ("logs/artifacts/sub", "logs/artifacts", false),
            ("logs/artifacts/none", "logs/artifacts", false),
        ] {
            assert_eq!(
                open_below(&at(path), &at(below)).is_ok(),
                good,
                "{path} below {below}"
            );
        }
    }
}
