//! `clone-log.txt`: the clone's log for people to read, in Prow's format.

use std::fmt::Write;

use common::duration::GoDuration;

use crate::clonerefs::CloneRecord;

/// All records, one after the other.
pub(super) fn render_clone_log(records: &[CloneRecord]) -> String {
    let mut out = String::new();
    for record in records {
        // Writing to a string does not fail.
        let _ = render_record(record, &mut out);
    }
    out
}

fn render_record(record: &CloneRecord, out: &mut String) -> std::fmt::Result {
    let refs = &record.refs;
    if record.failed {
        writeln!(out, "# FAILED")?;
    }
    if refs.repo.is_empty() {
        write!(out, "Environment setup")?;
    } else {
        write!(out, "# Cloning {} at {}", refs.org_repo(), refs.base_ref)?;
    }
    if !refs.base_sha.is_empty() {
        write!(out, "({})", refs.base_sha)?;
    }
    writeln!(out)?;
    if !refs.pulls.is_empty() {
        writeln!(out, "# Checking out pulls:")?;
    }
    for pull in &refs.pulls {
        write!(out, "#\t{}", pull.number)?;
        if !pull.sha.is_empty() {
            write!(out, "({})", pull.sha)?;
        }
        writeln!(out)?;
    }
    for command in &record.commands {
        write!(out, "$ {}", command.command)?;
        if command.duration > 0 {
            write!(out, " (runtime: {})", to_go_duration(command.duration))?;
        }
        writeln!(out)?;
        out.push_str(&command.output);
        if !command.error.is_empty() {
            writeln!(out, "# Error: {}", command.error)?;
        }
    }
    writeln!(out, "# Final SHA: {}", record.final_sha)?;
    writeln!(out, "# Total runtime: {}", to_go_duration(record.duration))
}

fn to_go_duration(nanos: u64) -> GoDuration {
    GoDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use common::prowjob::{Pull, Refs};

    use crate::clonerefs::CommandRecord;

    use super::*;

    /// The expected text is what Prow's initupload makes of the same records.
    #[test]
    fn reads_as_prows_does() {
        let command = |command: &str, output: &str, error: &str, duration| CommandRecord {
            command: command.into(),
            output: output.into(),
            error: error.into(),
            duration,
        };
        let records = [
            CloneRecord {
                commands: vec![command("ssh-agent", "", "", 0)],
                ..CloneRecord::default()
            },
            CloneRecord {
                refs: Refs {
                    org: "o".into(),
                    repo: "r".into(),
                    base_ref: "main".into(),
                    base_sha: "abc".into(),
                    pulls: vec![
                        Pull {
                            number: 7,
                            sha: "def".into(),
                            ..Pull::default()
                        },
                        Pull {
                            number: 8,
                            ..Pull::default()
                        },
                    ],
                    ..Refs::default()
                },
                commands: vec![
                    command("git init", "done\n", "", 1_500_000_000),
                    command("git fetch", "fatal\n", "exit status 128", 12_345_678),
                ],
                failed: true,
                final_sha: "123".into(),
                duration: 62_000_000_000,
            },
        ];
        assert_eq!(
            render_clone_log(&records),
            "Environment setup\n$ ssh-agent\n# Final SHA: \n# Total runtime: 0s\n\
             # FAILED\n# Cloning o/r at main(abc)\n# Checking out pulls:\n#\t7(def)\n#\t8\n\
             $ git init (runtime: 1.5s)\ndone\n$ git fetch (runtime: 12.345678ms)\nfatal\n# Error: exit status 128\n\
             # Final SHA: 123\n# Total runtime: 1m2s\n"
        );
    }
}
