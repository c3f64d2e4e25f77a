//! The file that the services log to: the terminal belongs to the demo.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Mutex,
};

use anyhow::Context;
use tokio::sync::oneshot;

/// Sends the services' log to a file. The receiver gets the first error of a write: if the disk is
/// full, for example, jobs do not end either.
pub(super) fn log_to(path: &Path) -> anyhow::Result<oneshot::Receiver<io::Error>> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    let (writer, broken) = LogFile::new(file);
    tracing_subscriber::fmt()
        .json()
        .with_writer(Mutex::new(writer))
        .with_max_level(tracing::Level::INFO)
        .init();
    Ok(broken)
}

/// Reports its first failure, and ignores the others.
struct LogFile {
    file: File,
    broken: Option<oneshot::Sender<io::Error>>,
}

impl LogFile {
    fn new(file: File) -> (Self, oneshot::Receiver<io::Error>) {
        let (sender, broken) = oneshot::channel();
        let log = Self {
            file,
            broken: Some(sender),
        };
        (log, broken)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(line) {
            // Nobody receives it once the demo itself ends.
            let _ = self.broken.take().map(|sender| sender.send(error));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once() {
        let full = File::options().append(true).open("/dev/full").unwrap();
        let (mut log, mut broken) = LogFile::new(full);
        for _ in 0..100 {
            log.write_all(b"line\n").unwrap();
        }
        let error = broken.try_recv().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(broken.try_recv().is_err());
    }
}
