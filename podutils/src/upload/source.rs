//! The bytes of an upload, read in pieces off the runtime, masked and compressed on the way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use common::storage::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::archive::{self, Kind, Scrubber};
use crate::censor::Censor;

use super::{Upload, Uploader};

const CHUNK: usize = 64 << 10;
/// Chunks between the reader and the network.
const CHUNKS_AHEAD: usize = 8;
/// Files up to this are not worth compressing.
const MIN_COMPRESSED: usize = 1024;

/// Where an upload comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Bytes(Bytes),
    /// Text, whatever it looks like; masked. The file has to be the one that was named, no link.
    Log(PathBuf),
    File {
        path: PathBuf,
        /// The file has to lie in this folder (or be it) once all links are followed.
        below: PathBuf,
        /// Mask it. What is excluded from that goes as it is.
        censor: bool,
        /// Compress it on the way, unless it is small or compressed already.
        compress: bool,
    },
}

/// Why there is nothing to upload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is a link that leads out of its folder")]
    Outside,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it could not be censored: {0}")]
    Archive(#[from] archive::Error),
}

impl Error {
    pub(super) fn is_uncensored(&self) -> bool {
        matches!(self, Self::Archive(_))
    }
}

/// The body, and its content encoding if it was compressed here.
pub(super) async fn open(
    upload: &Upload,
    uploader: &Uploader,
) -> Result<(Body, Option<String>), Error> {
    let file = match upload.source.clone() {
        Source::Bytes(bytes) => return Ok((Body::Bytes(bytes), None)),
        Source::Log(path) => Prepare {
            below: path.clone(),
            path,
            censor: uploader.censor.clone(),
            archives: None,
            compress: false,
        },
        Source::File {
            path,
            below,
            censor,
            compress,
        } => Prepare {
            path,
            below,
            censor: if censor {
                uploader.censor.clone()
            } else {
                Censor::default()
            },
            archives: Some((uploader.temp.clone(), uploader.archives.clone())),
            compress,
        },
    };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || file.prepare(&runtime))
        .await
        .map_err(|e| Error::Read(io::Error::other(e)))?
}

struct Prepare {
    path: PathBuf,
    below: PathBuf,
    censor: Censor,
    /// Temporary space for archives, and whose turn it is; `None` if nothing is taken for one.
    archives: Option<(PathBuf, Arc<Semaphore>)>,
    compress: bool,
}

impl Prepare {
    fn prepare(self, runtime: &Handle) -> Result<(Body, Option<String>), Error> {
        let mut file = open_below(&self.path, &self.below)?;
        let kind = if self.archives.is_some() {
            Kind::read(&mut file)?
        } else {
            Kind::Plain
        };
        let reader: Box<dyn Read + Send> = match &self.archives {
            Some((temp, turns)) if kind != Kind::Plain && !self.censor.is_empty() => {
                let _turn = runtime.block_on(turns.acquire());
                // The whole goes through the censor again below: names and comments of an archive
                // are not looked into, and a broken archive is better than a secret.
                Box::new(Scrubber::new(&self.censor, temp).scrub(file)?)
            }
            _ => Box::new(file),
        };
        let mut reader = Masked {
            reader,
            stream: self.censor.stream(),
            ended: false,
        };
        let first = reader.next()?.unwrap_or_default();
        let compress = self.compress && kind != Kind::Gzip && first.len() > MIN_COMPRESSED;
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        runtime.spawn_blocking(move || {
            let send = if compress { send_compressed } else { send };
            if let Err(e) = send(first, &mut reader, &sender) {
                // The stream has to end with an error, or half a file would pass for a whole one.
                let _ = sender.blocking_send(Err(e));
            }
        });
        let chunks = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Ok((Body::stream(chunks), compress.then(|| "gzip".to_owned())))
    }
}

/// Opens a regular file that really is `below`, or lies in it.
///
/// The test container may have put links there, to have our own credentials uploaded. So what
/// counts is the path of what was opened, which nobody can swap any more; of `below` only the
/// parent is trusted. Does not wait for the other end of a pipe.
pub(crate) fn open_below(path: &Path, below: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::NotAFile);
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
        Err(Error::Outside)
    }
}

struct Masked {
    reader: Box<dyn Read + Send>,
    stream: crate::censor::Stream,
    ended: bool,
}

impl Masked {
    /// The next settled bytes; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
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

type Sender = mpsc::Sender<io::Result<Bytes>>;

fn send(first: Vec<u8>, reader: &mut Masked, sender: &Sender) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(chunk) = next {
        if !chunk.is_empty() && sender.blocking_send(Ok(chunk.into())).is_err() {
            // Nobody reads on: the upload has failed and says so itself.
            return Ok(());
        }
        next = reader.next()?;
    }
    Ok(())
}

fn send_compressed(first: Vec<u8>, reader: &mut Masked, sender: &Sender) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut next = Some(first);
    while let Some(chunk) = next {
        encoder.write_all(&chunk)?;
        let ready = std::mem::take(encoder.get_mut());
        if !ready.is_empty() && sender.blocking_send(Ok(ready.into())).is_err() {
            return Ok(());
        }
        next = reader.next()?;
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
