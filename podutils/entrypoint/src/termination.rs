//! Writes a line for plank into the container's termination message, if the exit code alone does
//! not say whether the marker was written: a killed entrypoint, too, leaves 127 or 137.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::open_regular;

/// The last line of the termination message of a container whose marker is written.
pub const MARKER_WRITTEN: &str = "entrypoint: this exit code is in the marker file";

/// Kubernetes' default of `terminationMessagePath`. The kubelet puts the file there.
const PATH: &str = "/dev/termination-log";
/// `128 + SIGKILL`.
const KILLED: i32 = 137;

/// Says that the marker is written, if the code alone does not. Failures are ignored.
pub(crate) fn write_termination_message(code: i32) {
    if [crate::INTERNAL_ERROR_CODE, KILLED].contains(&code) {
        // Without the line, plank gives the upload only as long as with Prow's entrypoint.
        let _ = append_line(Path::new(PATH));
    }
}

/// Adds the line after what the job has written there.
fn append_line(path: &Path) -> io::Result<()> {
    let mut file = open_regular(path, OpenOptions::new().append(true))?;
    let start = if file.metadata()?.len() == 0 {
        ""
    } else {
        "\n"
    };
    file.write_all(format!("{start}{MARKER_WRITTEN}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_line_stands_behind_the_jobs_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("termination-log");
        assert!(append_line(&path).is_err(), "only the kubelet makes it");
        assert!(!path.exists());
        for (before, expected) in [
            ("", format!("{MARKER_WRITTEN}\n")),
            (
                "the job's own",
                format!("the job's own\n{MARKER_WRITTEN}\n"),
            ),
        ] {
            fs::write(&path, before).unwrap();
            append_line(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }
}
