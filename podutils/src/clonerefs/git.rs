//! Runs one command: sets its environment, captures its output, and retries where that may help.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command as Process, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::censor::Censor;

use super::command_timeout::{CommandTimeout, TIMEOUT_MESSAGE};
use super::plan::CloneStep;
use super::record::CommandRecord;

/// Output beyond this many bytes is cut: records are read into memory and shown on a page.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// For all commands of one reference. Nobody waits that long for a job to begin.
const CLONE_TIMEOUT: Duration = Duration::from_hours(2);
/// Seconds for which a transfer over HTTP may bring no byte.
const STALL_SECONDS: &str = "300";

/// What all commands of one reference share.
#[derive(Debug, Clone, Default)]
pub(super) struct GitEnvironment {
    /// Added to the variables of this process. May hold secrets, so it is never shown.
    pub(super) vars: Vec<(String, String)>,
    /// Git's configuration, which is passed by environment and needs no file and no argument.
    pub(super) config: Vec<(String, String)>,
    /// Masks commands and output.
    pub(super) censor: Censor,
    pub(super) deadline: CloneDeadline,
}

/// When the commands of one reference have to have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloneDeadline(pub(super) Instant);

impl Default for CloneDeadline {
    fn default() -> Self {
        Self(Instant::now() + CLONE_TIMEOUT)
    }
}

/// The waits before each try after the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchBackoff(pub(super) &'static [Duration]);

impl FetchBackoff {
    /// A little more than a minute: a commit that was pushed just now may not be on every server
    /// yet.
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
}

/// Whether a retry of the same fetch is of no use.
fn is_permanent(output: &str) -> bool {
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
    // Git's message for an address without a repository.
    let is_not_found = |line: &str| {
        let line = line.strip_prefix("fatal: repository '");
        line.is_some_and(|line| line.trim_end().ends_with("' not found"))
    };
    PERMANENT.iter().any(|text| output.contains(text)) || output.lines().any(is_not_found)
}

impl GitEnvironment {
    /// Runs a step, and retries a fetch where that may help. Adds a record of each try.
    pub(super) fn run_step(
        &self,
        step: &CloneStep,
        backoff: FetchBackoff,
        records: &mut Vec<CommandRecord>,
    ) -> Result<(), ()> {
        let mut waits = backoff.0.iter().filter(|_| step.is_fetch());
        loop {
            let (record, ok) = self.run_once(step);
            let is_permanent = is_permanent(&record.output);
            records.push(record);
            if ok {
                return Ok(());
            }
            let wait = waits.next().filter(|_| !is_permanent).ok_or(())?;
            if Instant::now() + *wait >= self.deadline.0 {
                return Err(());
            }
            thread::sleep(*wait);
        }
    }

    fn run_once(&self, step: &CloneStep) -> (CommandRecord, bool) {
        let shown: Vec<String> = std::iter::once(format!("PWD={}", step.dir.display()))
            .chain(
                step.env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .chain(step.args.iter().cloned())
            .collect();
        let start = Instant::now();
        let result = self.capture_output(step);
        let (output, error) = match result {
            Ok((output, status)) if status.success() => (output, String::new()),
            Ok((output, status)) => (output, status.to_string()),
            Err(e) => (String::new(), e.to_string()),
        };
        let ok = error.is_empty();
        let record = CommandRecord {
            command: self.censor.mask_text(&shown.join(" ")),
            output: self.censor.mask_text(&output),
            error,
            duration: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        (record, ok)
    }

    /// Output of a command that is not recorded, if the command succeeds.
    pub(super) fn query_output(&self, step: &CloneStep) -> Option<String> {
        let (output, status) = self.capture_output(step).ok()?;
        status.success().then(|| output.trim().to_owned())
    }

    /// Runs a command and returns standard output and error together, in the order they came.
    fn capture_output(
        &self,
        step: &CloneStep,
    ) -> std::io::Result<(String, std::process::ExitStatus)> {
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
            // `is_permanent` reads the messages. A prompt would wait for an answer for ever.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_MERGE_AUTOEDIT", "no")
            // Git's child processes have to end with it.
            .process_group(0);
        let mut child = process.spawn()?;
        let watch = CommandTimeout::start_timer(&child, self.deadline);
        // It holds the write ends: while they are open, the pipe does not end.
        drop(process);
        let mut output = Vec::new();
        reader
            .by_ref()
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut output)?;
        if std::io::copy(&mut reader, &mut std::io::sink())? > 0 {
            output.extend_from_slice(b"\n(the rest of the output was cut)\n");
        }
        let status = child.wait()?;
        if watch.was_stopped() {
            output.extend_from_slice(TIMEOUT_MESSAGE.as_bytes());
        }
        Ok((String::from_utf8_lossy(&output).into_owned(), status))
    }

    fn git_config(&self) -> Vec<(String, String)> {
        const OWN: [(&str, &str); 6] = [
            // A garbage collection in the background would race with the next reader of the clone.
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            // Git's advice would fill the log that people look for an error in.
            ("advice.detachedHead", "false"),
            ("init.defaultBranch", "master"),
            // A transfer that stalls is ended and tried again.
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", STALL_SECONDS),
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

    fn step(args: &[&str]) -> CloneStep {
        CloneStep {
            dir: "/".into(),
            env: vec![("SHOWN", "yes".into())],
            args: args.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    #[test]
    fn permanent_errors_are_told_from_passing_ones() {
        for (output, expected) in [
            ("remote: Repository not found.", true),
            (
                "remote: x\nfatal: repository 'https://github.com/o/r/' not found\n",
                true,
            ),
            ("fatal: Authentication failed for 'https://…'", true),
            ("fatal: couldn't find remote ref nope", false),
            ("fatal: remote error: upload-pack: not our ref 0123", false),
            ("error: RPC failed; curl 56 Recv failure", false),
            ("fatal: unable to access: Could not resolve host", false),
        ] {
            assert_eq!(is_permanent(output), expected, "{output}");
        }
    }

    #[test]
    fn a_fetch_is_waited_for_as_long_as_prow_waits() {
        let patience: Duration = FetchBackoff::FETCH.0.iter().sum();
        assert_eq!(patience, Duration::from_millis(63_500));
    }

    #[test]
    fn what_takes_too_long_is_stopped_and_not_tried_again() {
        let environment = GitEnvironment {
            deadline: CloneDeadline(Instant::now() + Duration::from_millis(200)),
            ..GitEnvironment::default()
        };
        let mut records = Vec::new();
        // The script's own child, which holds the output open, has to end, too.
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("fetch"), "echo begun; sleep 60 & wait").unwrap();
        let fetch = CloneStep {
            dir: dir.path().to_owned(),
            ..step(&["sh", "fetch"])
        };
        let backoff = FetchBackoff(&[Duration::ZERO; 9]);
        let begin = Instant::now();
        assert!(environment.run_step(&fetch, backoff, &mut records).is_err());
        assert!(begin.elapsed() < Duration::from_secs(30));
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].output, format!("begun\n{TIMEOUT_MESSAGE}"));
        assert!(records[0].error.contains("SIGKILL"), "{}", records[0].error);
    }

    #[test]
    fn secrets_are_masked_and_the_environment_is_kept() {
        let environment = GitEnvironment {
            vars: vec![("TOKEN".into(), "hunter22".into())],
            censor: Censor::new(["hunter22"]).unwrap(),
            ..GitEnvironment::default()
        };
        let mut records = Vec::new();
        let script = "test -n \"$PATH\" && echo $TOKEN $SHOWN hunter22 && echo err >&2";
        environment
            .run_step(
                &step(&["sh", "-c", script]),
                FetchBackoff::FETCH,
                &mut records,
            )
            .unwrap();
        assert_eq!(records[0].output, "XXXXXXXX yes XXXXXXXX\nerr\n");
        assert!(records[0].command.starts_with("PWD=/ SHOWN=yes sh -c"));
        assert!(!records[0].command.contains("hunter22"));
    }

    #[test]
    fn only_a_fetch_is_tried_again() {
        let environment = GitEnvironment::default();
        let backoff = FetchBackoff(&[Duration::ZERO; 9]);
        for (args, tries) in [
            (&["sh", "fetch"][..], 10),
            (&["false"], 1),
            (&["/no/such/program"], 1),
        ] {
            let mut records = Vec::new();
            assert!(
                environment
                    .run_step(&step(args), backoff, &mut records)
                    .is_err()
            );
            assert_eq!(records.len(), tries, "{args:?}");
            assert!(!records[0].error.is_empty());
        }
    }
}
