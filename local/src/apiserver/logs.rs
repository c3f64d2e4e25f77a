//! Container output: files that the pod runner writes and `pods/log` reads.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::request::Params;
use super::status::{Failure, Result};

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(50);
const CHUNK: usize = 64 << 10;

/// The log file of one container: `<logs>/<namespace>/<pod uid>/<container>.log`.
///
/// The runner appends to it; whoever reads takes whole bytes as they are, no line format in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    path: PathBuf,
}

/// What part of a log is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    follow: bool,
    tail_lines: Option<u64>,
    limit_bytes: Option<u64>,
}

impl LogOptions {
    pub(crate) fn parse(params: &Params) -> Result<Self> {
        for (name, what) in [
            ("sinceSeconds", "since"),
            ("sinceTime", "since"),
            ("timestamps", "timestamps"),
        ] {
            if !matches!(params.text(name), "" | "false") {
                return Err(Failure::not_built(&format!(
                    "pods/log with {what} ({name})"
                )));
            }
        }
        if params.flag("previous")? == Some(true) {
            return Err(Failure::bad_request(
                "previous terminated container not found: containers are not restarted",
            ));
        }
        Ok(Self {
            follow: params.flag("follow")? == Some(true),
            tail_lines: params.number("tailLines")?,
            limit_bytes: params.number("limitBytes")?,
        })
    }
}

impl LogSource {
    /// Where the runner writes the output of a container and the API reads it.
    pub fn new(logs: &Path, namespace: &str, pod_uid: &str, container: &str) -> Self {
        Self {
            path: logs
                .join(namespace)
                .join(pod_uid)
                .join(format!("{container}.log")),
        }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The asked part; with `follow` on until `ended` and everything written before that is sent.
    pub(crate) fn stream<F>(
        self,
        options: LogOptions,
        ended: F,
    ) -> impl Stream<Item = std::io::Result<Bytes>>
    where
        F: Fn() -> bool + Send + 'static,
    {
        let left = options.limit_bytes.unwrap_or(u64::MAX);
        let reader = Reader {
            source: self,
            options,
            ended,
            file: None,
            left,
        };
        stream::try_unfold(reader, async |mut reader| {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        })
    }
}

struct Reader<F> {
    source: LogSource,
    options: LogOptions,
    ended: F,
    file: Option<File>,
    left: u64,
}

impl<F: Fn() -> bool> Reader<F> {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.file.is_none() {
            let mut file = File::open(&self.source.path).await?;
            if let Some(lines) = self.options.tail_lines {
                seek_to_tail(&mut file, lines).await?;
            }
            self.file = Some(file);
        }
        let Some(file) = self.file.as_mut() else {
            return Ok(None);
        };
        let mut buffer = vec![0; CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK))];
        loop {
            // Asked before reading: what was written before the end is then still read.
            let last = !self.options.follow || (self.ended)();
            let count = if buffer.is_empty() {
                0
            } else {
                file.read(&mut buffer).await?
            };
            if count > 0 {
                buffer.truncate(count);
                self.left -= count as u64;
                return Ok(Some(buffer.into()));
            }
            if last || self.left == 0 {
                return Ok(None);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Moves to the start of the last `lines` lines.
async fn seek_to_tail(file: &mut File, lines: u64) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0)).await?;
    let mut at = length;
    let mut found = 0;
    let mut block = vec![0; CHUNK];
    while at > 0 {
        let size = at.min(CHUNK as u64);
        at -= size;
        file.seek(SeekFrom::Start(at)).await?;
        let block = &mut block[..usize::try_from(size).expect("no larger than a chunk")];
        file.read_exact(block).await?;
        for (index, _) in block
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let after = at + index as u64 + 1;
            // The newline that ends the log ends its last line.
            if after < length {
                found += 1;
            }
            if found == lines {
                file.seek(SeekFrom::Start(if lines == 0 { length } else { after }))
                    .await?;
                return Ok(());
            }
        }
    }
    let start = if lines == 0 { length } else { 0 };
    file.seek(SeekFrom::Start(start)).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::TryStreamExt;

    use super::*;

    async fn read(text: &str, options: LogOptions) -> String {
        let folder = tempfile::tempdir().unwrap();
        let source = LogSource::new(folder.path(), "ns", "uid", "c");
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        std::fs::write(source.path(), text).unwrap();
        let chunks: Vec<Bytes> = source.stream(options, || true).try_collect().await.unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[tokio::test]
    async fn tails_and_limits() {
        let tail = |lines| LogOptions {
            tail_lines: Some(lines),
            ..LogOptions::default()
        };
        assert_eq!(read("a\nb\nc\n", tail(2)).await, "b\nc\n");
        assert_eq!(read("a\nb\nc", tail(2)).await, "b\nc");
        assert_eq!(read("a\nb\n", tail(5)).await, "a\nb\n");
        assert_eq!(read("a\nb\n", tail(0)).await, "");
        assert_eq!(read("", tail(3)).await, "");
        let long = format!("{}\nlast\n", "x".repeat(3 * CHUNK));
        assert_eq!(read(&long, tail(1)).await, "last\n");
        assert_eq!(
            read(
                "abcdef",
                LogOptions {
                    limit_bytes: Some(3),
                    ..LogOptions::default()
                }
            )
            .await,
            "abc"
        );
    }

    #[tokio::test]
    async fn following_ends_with_the_container_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let source = LogSource::new(folder.path(), "ns", "uid", "c");
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        std::fs::write(source.path(), "one\n").unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let asked = ended.clone();
        let mut stream = Box::pin(
            source
                .clone()
                .stream(options, move || asked.load(Ordering::SeqCst)),
        );
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "one\n");
        std::fs::write(source.path(), "one\ntwo\n").unwrap();
        ended.store(true, Ordering::SeqCst);
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "two\n");
        assert!(stream.try_next().await.unwrap().is_none());
    }
}
