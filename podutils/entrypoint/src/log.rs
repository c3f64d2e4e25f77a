//! Writes to standard output and the process log: the job's output and the entrypoint's own lines.
//!
//! Own lines are JSON like that of Prow's components, so that viewers fold them alike.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

/// A writer to the process log that copies to standard output.
///
/// A standard output that fails is dropped. A process log that fails is reported and the job has
/// to end, because nobody would see what it does from then on.
#[derive(Debug)]
pub(crate) struct TeeWriter {
    file: Option<File>,
    stdout: Option<io::Stdout>,
    ends_a_line: bool,
    is_lost: bool,
}

impl TeeWriter {
    /// Without a file, writes to standard output only.
    pub(crate) fn new(file: Option<File>) -> Self {
        Self {
            file,
            stdout: Some(io::stdout()),
            ends_a_line: true,
            is_lost: false,
        }
    }

    /// Whether the process log has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(crate) fn write_output(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.ends_a_line = *last == b'\n';
        }
        if let Some(out) = &mut self.stdout
            && out.write_all(bytes).and_then(|()| out.flush()).is_err()
        {
            self.stdout = None;
        }
        if let Some(file) = &mut self.file
            && let Err(e) = file.write_all(bytes)
        {
            self.mark_log_lost(&e);
        }
    }

    /// Reports that the log ends here. Overwrites the log's end where there is no room beyond it.
    fn mark_log_lost(&mut self, e: &io::Error) {
        self.is_lost = true;
        let message = format!(
            "The process log cannot be written, so the job ends here: {e}. \
             Print and store less, or give its node a larger disk."
        );
        let file = self.file.take();
        self.log_error(&message);
        let line = format!("\n{}", format_own_line("error", &message));
        let over_the_end = |file: File| {
            let length = file.metadata()?.len();
            file.write_all_at(line.as_bytes(), length.saturating_sub(line.len() as u64))
        };
        // If not even that can be written, standard output has it.
        let _ = file.map(over_the_end);
    }

    pub(crate) fn log_info(&mut self, message: &str) {
        self.log_own_line("info", message);
    }

    pub(crate) fn log_error(&mut self, message: &str) {
        self.log_own_line("error", message);
    }

    /// Begins a line of its own, wherever the job's output stopped.
    fn log_own_line(&mut self, level: &str, message: &str) {
        let start = if self.ends_a_line { "" } else { "\n" };
        self.write_output(format!("{start}{}", format_own_line(level, message)).as_bytes());
    }
}

fn format_own_line(level: &str, message: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let line = json!({
        "component": "entrypoint", "level": level, "msg": message, "severity": level, "time": format_rfc3339(now),
    });
    format!("{line}\n")
}

/// The time since 1970 as `2026-11-22T10:00:00Z`.
fn format_rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (h, m, s) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{:02}T{h:02}:{m:02}:{s:02}Z", days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_795_348_800, "2026-11-22T12:00:00Z"),
        ] {
            assert_eq!(format_rfc3339(Duration::from_secs(seconds)), text);
        }
    }
}
