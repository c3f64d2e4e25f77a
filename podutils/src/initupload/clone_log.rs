//! `clone-log.txt`: the clone for people to read, in Prow's form.

use std::fmt::Write;
use std::time::Duration;

use crate::clonerefs::Record;

/// All records, one after the other.
pub(super) fn render(records: &[Record]) -> String {
    let mut out = String::new();
    for record in records {
        // Writing to a string does not fail.
        let _ = render_one(record, &mut out);
    }
    out
}

fn render_one(record: &Record, out: &mut String) -> std::fmt::Result {
    let refs = &record.refs;
    if record.failed {
        writeln!(out, "# FAILED!")?;
    }
    if refs.repo.is_empty() {
        writeln!(out, "# Environment setup")?;
    } else {
        write!(out, "# Cloning {} at {}", refs.org_repo(), refs.base_ref)?;
        if !refs.base_sha.is_empty() {
            write!(out, "({})", refs.base_sha)?;
        }
        writeln!(out)?;
    }
    if !refs.pulls.is_empty() {
        writeln!(out, "# Checking out pulls:")?;
        for pull in &refs.pulls {
            write!(out, "#\t{}", pull.number)?;
            if !pull.sha.is_empty() {
                write!(out, "({})", pull.sha)?;
            }
            writeln!(out)?;
        }
    }
    for command in &record.commands {
        writeln!(
            out,
            "$ {} (runtime: {})",
            command.command,
            seconds(command.duration)
        )?;
        out.push_str(&command.output);
        if !command.output.is_empty() && !command.output.ends_with('\n') {
            out.push('\n');
        }
        if !command.error.is_empty() {
            writeln!(out, "# Error: {}", command.error)?;
        }
    }
    if !record.final_sha.is_empty() {
        writeln!(out, "# Final SHA: {}", record.final_sha)?;
    }
    if record.duration > 0 {
        writeln!(out, "# Total runtime: {}", seconds(record.duration))?;
    }
    writeln!(out)
}

fn seconds(nanos: u64) -> String {
    format!("{:.3}s", Duration::from_nanos(nanos).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use common::prowjob::{Pull, Refs};

    use crate::clonerefs::Command;

    use super::*;

    #[test]
    fn reads_like_a_terminal() {
        let command = |command: &str, output: &str, error: &str| Command {
            command: command.into(),
            output: output.into(),
            error: error.into(),
            duration: 1_500_000_000,
        };
        let records = [
            Record {
                commands: vec![command("ssh-agent", "", "")],
                ..Record::default()
            },
            Record {
                refs: Refs {
                    org: "o".into(),
                    repo: "r".into(),
                    base_ref: "main".into(),
                    base_sha: "abc".into(),
                    pulls: vec![Pull {
                        number: 7,
                        sha: "def".into(),
                        ..Pull::default()
                    }],
                    ..Refs::default()
                },
                commands: vec![
                    command("git init", "done", ""),
                    command("git fetch", "fatal\n", "exit status: 128"),
                ],
                failed: true,
                final_sha: "123".into(),
                duration: 2_000_000_000,
            },
        ];
        assert_eq!(
            render(&records),
            "# Environment setup\n$ ssh-agent (runtime: 1.500s)\n\n\
             # FAILED!\n# Cloning o/r at main(abc)\n# Checking out pulls:\n#\t7(def)\n\
             $ git init (runtime: 1.500s)\ndone\n$ git fetch (runtime: 1.500s)\nfatal\n# Error: exit status: 128\n\
             # Final SHA: 123\n# Total runtime: 2.000s\n\n"
        );
    }
}
