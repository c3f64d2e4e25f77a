//! Writes a container's output to the file that the API's `pods/log` reads.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::Receiver;

use crate::apiserver::LogTimeRecorder;

/// Bytes of one container's log that are kept.
pub(crate) const LOG_LIMIT_BYTES: usize = 100 << 20;
/// How much of a log kubelet takes for a termination message.
const TAIL_BYTES: i64 = 2048;
const TAIL_LINES: usize = 80;

/// The files of one log.
pub(crate) struct LogFiles {
    pub(crate) text: File,
    /// When `text` was written, see [`LogTimeRecorder`].
    pub(crate) times: File,
}

/// Copies `output` to the log until all its writers are gone. Beyond `limit` bytes, or when the
/// disk is full, the rest is read and dropped: a job must not hang because of its log.
pub(crate) async fn copy_output(
    mut output: Receiver,
    files: LogFiles,
    limit: usize,
) -> io::Result<()> {
    let mut file = tokio::fs::File::from_std(files.text);
    let mut times = tokio::fs::File::from_std(files.times);
    let mut clock = LogTimeRecorder::default();
    let mut buffer = vec![0; 64 << 10];
    let mut left = limit;
    let mut result = Ok(());
    loop {
        let read = output.read(&mut buffer).await?;
        if read == 0 {
            return result;
        }
        if left == 0 {
            continue;
        }
        let kept = read.min(left);
        let record = clock.next_record((limit - left) as u64, Timestamp::now());
        left -= kept;
        let ended = if left == 0 {
            format!("\n[the log ends here: it is longer than {limit} bytes]\n")
        } else {
            String::new()
        };
        let written = async {
            if let Some(record) = record {
                times.write_all(&record).await?;
                times.flush().await?;
            }
            file.write_all(&buffer[..kept]).await?;
            file.write_all(ended.as_bytes()).await?;
            file.flush().await
        };
        if let Err(error) = written.await {
            left = 0;
            result = Err(error);
        }
    }
}

/// Reads the end of the log at `path`, for a termination message.
pub(crate) fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > TAIL_BYTES.unsigned_abs() {
        file.seek(SeekFrom::End(-TAIL_BYTES))?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].concat())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::*;

    #[tokio::test]
    async fn a_log_ends_at_its_limit_and_says_so() {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        writer.write_all(b"0123456789").unwrap();
        drop(writer);
        let files = LogFiles {
            text: file.reopen().unwrap(),
            times: tempfile::tempfile().unwrap(),
        };
        copy_output(reader, files, 4).await.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(
            text,
            "0123\n[the log ends here: it is longer than 4 bytes]\n"
        );
    }

    #[test]
    fn a_tail_is_bounded_in_lines_and_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\nb").unwrap();
        assert_eq!(read_tail(file.path()).unwrap(), "a\nb");
        std::fs::write(file.path(), "x\n".repeat(500)).unwrap();
        assert_eq!(read_tail(file.path()).unwrap(), "x\n".repeat(80));
        std::fs::write(file.path(), "y".repeat(5000)).unwrap();
        assert_eq!(read_tail(file.path()).unwrap().len(), 2048);
    }
}
