//! Container output: files that the pod runner writes and `pods/log` reads.

mod times;

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::request::QueryParams;
use super::status::{StatusCause, StatusError, StatusResult};
pub(crate) use times::LogTimeRecorder;
use times::LogTimes;

/// How often a followed log is checked for new bytes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const CHUNK: usize = 64 << 10;

/// The log file of one container: `<logs>/<namespace>/<pod uid>/<container>.log`.
///
/// The pod runner appends to it. Readers take the bytes as they are; there is no line format. A
/// second file (`.times`) says when the bytes were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    path: PathBuf,
}

/// Which part of a log a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PodLogOptions {
    follow: bool,
    /// Of the container's run before this one.
    pub(crate) previous: bool,
    tail_lines: Option<u64>,
    limit_bytes: Option<u64>,
    since: Option<Timestamp>,
    timestamps: bool,
}

impl PodLogOptions {
    /// Reads the parameters of a request for the log of the pod `name`.
    pub(crate) fn parse_params(
        params: &QueryParams,
        name: &str,
        now: Timestamp,
    ) -> StatusResult<Self> {
        let tail_lines = params.get_number::<i64>("tailLines")?;
        let limit_bytes = params.get_number::<i64>("limitBytes")?;
        let since_seconds = params.get_number::<i64>("sinceSeconds")?;
        let since_time = parse_time_param(params, "sinceTime")?;
        let mut causes = Vec::new();
        let mut least = |field: &str, value: Option<i64>, least: i64, detail: &str| {
            if let Some(value) = value.filter(|value| *value < least) {
                causes.push(StatusCause::invalid_value(field, &json!(value), detail));
            }
        };
        least("sinceSeconds", since_seconds, 1, "must be greater than 0");
        least(
            "tailLines",
            tail_lines,
            0,
            "must be greater than or equal to 0",
        );
        least("limitBytes", limit_bytes, 1, "must be greater than 0");
        if since_seconds.is_some() && since_time.is_some() {
            let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            causes.push(StatusCause::forbidden_field("[]", detail));
        }
        if !causes.is_empty() {
            return Err(StatusError::invalid_params("PodLogOptions", name, &causes));
        }
        let ago = |seconds| {
            let start = now.checked_sub(SignedDuration::from_secs(seconds));
            start.unwrap_or(Timestamp::MIN)
        };
        let positive = |number: i64| u64::try_from(number).ok();
        Ok(Self {
            follow: params.get_flag("follow")? == Some(true),
            previous: params.get_flag("previous")? == Some(true),
            tail_lines: tail_lines.and_then(positive),
            limit_bytes: limit_bytes.and_then(positive),
            since: since_time.or(since_seconds.map(ago)),
            timestamps: params.get_flag("timestamps")? == Some(true),
        })
    }
}

fn parse_time_param(params: &QueryParams, name: &str) -> StatusResult<Option<Timestamp>> {
    match params.get_text(name) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let why = format!("{name}: {text:?} is not a time as in 2026-08-01T00:00:00Z");
            StatusError::bad_request(why)
        }),
    }
}

impl LogSource {
    /// The file that the pod runner writes the container's output to, and the API reads.
    pub fn new(logs: &Path, namespace: &str, pod_uid: &str, container: &str) -> Self {
        Self {
            path: logs
                .join(namespace)
                .join(pod_uid)
                .join(format!("{container}.log")),
        }
    }

    /// The path of the log file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log of the container's run before this one. A container's name has no dot.
    pub(crate) fn previous_log(&self) -> Self {
        Self {
            path: self.path.with_extension("previous.log"),
        }
    }

    /// The file that says when the bytes were written, see [`LogTimeRecorder`].
    pub(crate) fn times_path(&self) -> PathBuf {
        self.path.with_extension("times")
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Streams the requested part. With `follow`, streams on until `ended`, and sends everything
    /// written before that.
    pub(crate) fn stream_log<F>(
        self,
        options: PodLogOptions,
        ended: F,
    ) -> impl Stream<Item = std::io::Result<Bytes>>
    where
        F: Fn() -> bool + Send + 'static,
    {
        let left = options.limit_bytes.unwrap_or(u64::MAX);
        let reader = LogReader {
            source: self,
            options,
            ended,
            open: None,
            left,
        };
        stream::try_unfold(reader, async |mut reader| {
            Ok(reader.next_chunk().await?.map(|chunk| (chunk, reader)))
        })
    }

    async fn read_times(&self, file: &File) -> std::io::Result<LogTimes> {
        let changed = file.metadata().await?.modified()?;
        let changed = Timestamp::try_from(changed).unwrap_or(Timestamp::MIN);
        LogTimes::read_records(&self.times_path(), changed).await
    }
}

struct LogReader<F> {
    source: LogSource,
    options: PodLogOptions,
    ended: F,
    open: Option<OpenLog>,
    left: u64,
}

struct OpenLog {
    file: File,
    /// The offset of the next byte.
    at: u64,
    /// Whether a line begins at this offset.
    begins_line: bool,
}

impl<F: Fn() -> bool> LogReader<F> {
    async fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_log().await?,
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            // Asked before reading, so that what was written before the end is still read.
            let last = !self.options.follow || (self.ended)();
            let count = if self.left == 0 {
                0
            } else {
                open.file.read(&mut buffer).await?
            };
            if count > 0 {
                buffer.truncate(count);
                let mut chunk = self.add_timestamps(&mut open, buffer).await?;
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                chunk.truncate(left);
                self.left -= chunk.len() as u64;
                self.open = Some(open);
                return Ok(Some(chunk.into()));
            }
            if last || self.left == 0 {
                return Ok(None);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn open_log(&self) -> std::io::Result<OpenLog> {
        let mut file = File::open(&self.source.path).await?;
        let mut at = 0;
        if let Some(lines) = self.options.tail_lines {
            at = find_tail(&mut file, lines).await?;
        }
        if let Some(since) = self.options.since {
            let first = self.source.read_times(&file).await?.offset_since(since);
            let first = match first {
                Some(first) => first,
                None => file.metadata().await?.len(),
            };
            at = at.max(find_line(&mut file, first).await?);
        }
        file.seek(SeekFrom::Start(at)).await?;
        let begins_line = true;
        Ok(OpenLog {
            file,
            at,
            begins_line,
        })
    }

    /// The bytes as they are, or with the time in front of each line if timestamps were requested.
    async fn add_timestamps(&self, open: &mut OpenLog, read: Vec<u8>) -> std::io::Result<Vec<u8>> {
        if !self.options.timestamps {
            return Ok(read);
        }
        let times = self.source.read_times(&open.file).await?;
        let mut stamped = Vec::with_capacity(read.len() * 2);
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            if open.begins_line {
                let at = times.time_at(open.at).strftime("%Y-%m-%dT%H:%M:%S.%9fZ ");
                stamped.extend_from_slice(at.to_string().as_bytes());
            }
            stamped.extend_from_slice(piece);
            open.at += piece.len() as u64;
            open.begins_line = piece.ends_with(b"\n");
        }
        Ok(stamped)
    }
}

/// Finds the first line that begins at `offset` or later.
async fn find_line(file: &mut File, offset: u64) -> std::io::Result<u64> {
    let Some(mut at) = offset.checked_sub(1) else {
        return Ok(0);
    };
    file.seek(SeekFrom::Start(at)).await?;
    let mut block = vec![0; CHUNK];
    loop {
        let read = file.read(&mut block).await?;
        if read == 0 {
            return Ok(at);
        }
        if let Some(newline) = block[..read].iter().position(|byte| *byte == b'\n') {
            return Ok(at + newline as u64 + 1);
        }
        at += read as u64;
    }
}

/// Finds where the last `lines` lines begin.
async fn find_tail(file: &mut File, lines: u64) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(length);
    }
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
                return Ok(after);
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::TryStreamExt;

    use super::*;

    async fn read(text: &str, options: PodLogOptions) -> String {
        let folder = tempfile::tempdir().unwrap();
        let source = LogSource::new(folder.path(), "ns", "uid", "c");
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        std::fs::write(source.path(), text).unwrap();
        let chunks: Vec<Bytes> = source
            .stream_log(options, || true)
            .try_collect()
            .await
            .unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[tokio::test]
    async fn tails_and_limits() {
        let tail = |lines| PodLogOptions {
            tail_lines: Some(lines),
            ..PodLogOptions::default()
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
                PodLogOptions {
                    limit_bytes: Some(3),
                    ..PodLogOptions::default()
                }
            )
            .await,
            "abc"
        );
    }

    #[tokio::test]
    async fn lines_have_the_time_of_their_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let source = LogSource::new(folder.path(), "ns", "uid", "c");
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        // "two" is written in two parts, a second apart.
        std::fs::write(source.path(), "one\ntwo\nthree\n").unwrap();
        let mut clock = LogTimeRecorder::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let records = [(0, 10), (6, 11), (8, 12)]
            .map(|(offset, second)| clock.next_record(offset, at(second)).unwrap());
        std::fs::write(source.times_path(), records.concat()).unwrap();
        let [one, two, three] = [(10, "one"), (10, "two"), (12, "three")]
            .map(|(second, line)| format!("1970-01-01T00:00:{second}.000000000Z {line}\n"));
        let all = format!("{one}{two}{three}");
        for (since, tail_lines, expected) in [
            (None, None, &all),
            (Some(at(10)), None, &all),
            (Some(at(11)), None, &three),
            (Some(at(12)), Some(2), &three),
            (Some(at(10)), Some(1), &three),
            (Some(at(13)), None, &String::new()),
        ] {
            let options = PodLogOptions {
                since,
                tail_lines,
                timestamps: true,
                ..PodLogOptions::default()
            };
            let chunks = source.clone().stream_log(options, || true);
            let chunks: Vec<Bytes> = chunks.try_collect().await.unwrap();
            let text = String::from_utf8(chunks.concat()).unwrap();
            assert_eq!(&text, expected, "{since:?} {tail_lines:?}");
        }
    }

    #[tokio::test]
    async fn following_ends_with_the_container_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let source = LogSource::new(folder.path(), "ns", "uid", "c");
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        std::fs::write(source.path(), "one\n").unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let options = PodLogOptions {
            follow: true,
            ..PodLogOptions::default()
        };
        let asked = ended.clone();
        let mut stream = Box::pin(
            source
                .clone()
                .stream_log(options, move || asked.load(Ordering::SeqCst)),
        );
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "one\n");
        std::fs::write(source.path(), "one\ntwo\n").unwrap();
        ended.store(true, Ordering::SeqCst);
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "two\n");
        assert!(stream.try_next().await.unwrap().is_none());
    }
}
