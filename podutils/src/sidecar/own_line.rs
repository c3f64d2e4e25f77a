//! Writes the sidecar's own lines into a job's log, in the format of Prow's components.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use entrypoint::open_regular;
use jiff::Timestamp;
use serde_json::json;

/// Adds an error to the end of the log, on a line by itself.
pub(super) fn append_own_line(log: &str, message: &str, now: Timestamp) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    let mut file = open_regular(Path::new(log), &mut options)?;
    let line = json!({
        "component": "sidecar", "level": "error", "msg": message, "severity": "error",
        "time": format!("{now:.0}"),
    });
    let start = if ends_a_line(&mut file)? { "" } else { "\n" };
    file.write_all(format!("{start}{line}\n").as_bytes())
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_line_stands_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let now = Timestamp::from_second(1_795_348_800).unwrap();
        for (before, start) in [("", ""), ("a\n", "a\n"), ("a", "a\n")] {
            fs::write(&path, before).unwrap();
            append_own_line(path.to_str().unwrap(), "m", now).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let line = text
                .strip_prefix(start)
                .unwrap()
                .strip_suffix('\n')
                .unwrap();
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(line).unwrap(),
                json!({"component": "sidecar", "level": "error", "msg": "m", "severity": "error", "time": "2026-11-22T12:00:00Z"})
            );
        }
    }

    #[test]
    fn nothing_else_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (link, aim) = (dir.path().join("link"), dir.path().join("aim"));
        fs::write(&aim, "mine").unwrap();
        std::os::unix::fs::symlink(&aim, &link).unwrap();
        assert!(append_own_line(link.to_str().unwrap(), "m", Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(fs::read_to_string(&aim).unwrap(), "mine");
    }
}
