//! Runs one command: its environment, its output, and another try where that may help.

use std::io::Read;
use std::process::{Command as Process, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::censor::Censor;

use super::plan::Step;
use super::record::Command;

/// Output beyond this is cut: the records are read into memory and shown on a page.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// What all commands of one reference share.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    /// Added to what this process has; may hold secrets, so it is never shown.
    pub(super) vars: Vec<(String, String)>,
    /// Configuration for git alone, which so needs no file and no argument.
    pub(super) config: Vec<(String, String)>,
    /// Masks commands and output.
    pub(super) censor: Censor,
}

/// Waits before each try after the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff(pub(super) &'static [Duration]);

impl Backoff {
    pub(super) const FETCH: Self = Self(&[
        Duration::from_millis(100),
        Duration::from_millis(200),
        Duration::from_millis(400),
        Duration::from_millis(800),
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(15),
        Duration::from_secs(30),
    ]);
    /// A commit that was pushed this moment may not be everywhere yet; a second later it is.
    const MISSING: usize = 3;
}

/// Whether the same fetch may go better later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hope {
    Good,
    /// Only within the next moments.
    Slight,
    None,
}

fn hope(output: &str) -> Hope {
    const MISSING: [&str; 3] = [
        "couldn't find remote ref",
        "not our ref",
        "unadvertised object",
    ];
    const PERMANENT: [&str; 9] = [
        "Repository not found",
        "does not appear to be a git repository",
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Permission denied",
        "Host key verification failed",
        "invalid refspec",
        "transport '",
    ];
    if PERMANENT.iter().any(|text| output.contains(text)) {
        Hope::None
    } else if MISSING.iter().any(|text| output.contains(text)) {
        Hope::Slight
    } else {
        Hope::Good
    }
}

impl Environment {
    /// Runs a step, a fetch more than once if need be; the record of each try is added.
    pub(super) fn run(
        &self,
        step: &Step,
        backoff: Backoff,
        records: &mut Vec<Command>,
    ) -> Result<(), ()> {
        let mut tries = 0;
        loop {
            let (record, ok) = self.run_once(step);
            let hope = hope(&record.output);
            records.push(record);
            if ok {
                return Ok(());
            }
            let allowed = match hope {
                _ if !step.is_fetch() => 0,
                Hope::Good => backoff.0.len(),
                Hope::Slight => Backoff::MISSING.min(backoff.0.len()),
                Hope::None => 0,
            };
            if tries >= allowed {
                return Err(());
            }
            thread::sleep(backoff.0[tries]);
            tries += 1;
        }
    }

    fn run_once(&self, step: &Step) -> (Command, bool) {
        let shown: Vec<String> = std::iter::once(format!("PWD={}", step.dir.display()))
            .chain(
                step.env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .chain(step.args.iter().cloned())
            .collect();
        let start = Instant::now();
        let result = self.output(step);
        let (output, error) = match result {
            Ok((output, status)) if status.success() => (output, String::new()),
            Ok((output, status)) => (output, status.to_string()),
            Err(e) => (String::new(), e.to_string()),
        };
        let ok = error.is_empty();
        let record = Command {
            command: self.censor.mask_text(&shown.join(" ")),
            output: self.censor.mask_text(&output),
            error,
            duration: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        (record, ok)
    }

    /// Standard output of a command that is not recorded, if it succeeds.
    pub(super) fn query(&self, step: &Step) -> Option<String> {
        let (output, status) = self.output(step).ok()?;
        status.success().then(|| output.trim().to_owned())
    }

    /// Both outputs in the order they came.
    fn output(&self, step: &Step) -> std::io::Result<(String, std::process::ExitStatus)> {
        let (program, args) = step
            .args
            .split_first()
            .ok_or_else(|| std::io::Error::other("no command"))?;
        let (mut reader, writer) = std::io::pipe()?;
        let mut process = Process::new(program);
        process
            .args(args)
            .current_dir(&step.dir)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .envs(self.vars.iter().map(|(k, v)| (k, v)))
            .envs(self.git_config())
            .envs(step.env.iter().map(|(k, v)| (*k, v)))
            // Messages are read by `hope`; a question would wait for an answer for ever.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_MERGE_AUTOEDIT", "no");
        let mut child = process.spawn()?;
        // Holds the writing ends: without this the pipe would never end.
        drop(process);
        let mut output = Vec::new();
        reader
            .by_ref()
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut output)?;
        if std::io::copy(&mut reader, &mut std::io::sink())? > 0 {
            output.extend_from_slice(b"\n(the rest of the output was cut)\n");
        }
        Ok((String::from_utf8_lossy(&output).into_owned(), child.wait()?))
    }

    fn git_config(&self) -> Vec<(String, String)> {
        const OWN: [(&str, &str); 4] = [
            // A collection in the background would race with whoever reads the clone next.
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            // Git's advice would fill the log that people look for an error in.
            ("advice.detachedHead", "false"),
            ("init.defaultBranch", "master"),
        ];
        let own = OWN.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let all: Vec<_> = own.into_iter().chain(self.config.iter().cloned()).collect();
        let count = all.len().to_string();
        all.into_iter()
            .enumerate()
            .flat_map(|(i, (key, value))| {
                [
                    (format!("GIT_CONFIG_KEY_{i}"), key),
                    (format!("GIT_CONFIG_VALUE_{i}"), value),
                ]
            })
            .chain([("GIT_CONFIG_COUNT".to_owned(), count)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(args: &[&str]) -> Step {
        Step {
            dir: "/".into(),
            env: vec![("SHOWN", "yes".into())],
            args: args.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    #[test]
    fn permanent_errors_are_told_from_passing_ones() {
        for (output, expected) in [
            ("fatal: couldn't find remote ref nope", Hope::Slight),
            ("remote: Repository not found.", Hope::None),
            ("fatal: Authentication failed for 'https://…'", Hope::None),
            ("error: RPC failed; curl 56 Recv failure", Hope::Good),
            (
                "fatal: unable to access: Could not resolve host",
                Hope::Good,
            ),
        ] {
            assert_eq!(hope(output), expected, "{output}");
        }
    }

    #[test]
    fn secrets_are_masked_and_the_environment_is_kept() {
        let environment = Environment {
            vars: vec![("TOKEN".into(), "hunter22".into())],
            censor: Censor::new(["hunter22"]).unwrap(),
            ..Environment::default()
        };
        let mut records = Vec::new();
        let script = "test -n \"$PATH\" && echo $TOKEN $SHOWN hunter22 && echo err >&2";
        environment
            .run(&step(&["sh", "-c", script]), Backoff::FETCH, &mut records)
            .unwrap();
        assert_eq!(records[0].output, "XXXXXXXX yes XXXXXXXX\nerr\n");
        assert!(records[0].command.starts_with("PWD=/ SHOWN=yes sh -c"));
        assert!(!records[0].command.contains("hunter22"));
    }

    #[test]
    fn only_a_fetch_is_tried_again() {
        let environment = Environment::default();
        let backoff = Backoff(&[Duration::ZERO; 9]);
        for (args, tries) in [
            (&["sh", "fetch"][..], 10),
            (&["false"], 1),
            (&["/no/such/program"], 1),
        ] {
            let mut records = Vec::new();
            assert!(environment.run(&step(args), backoff, &mut records).is_err());
            assert_eq!(records.len(), tries, "{args:?}");
            assert!(!records[0].error.is_empty());
        }
    }
}
