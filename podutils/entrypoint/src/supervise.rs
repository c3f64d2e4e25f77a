//! Supervises one run: start, copy output, stop on timeout or signal, drain, write the marker.
//!
//! A single thread polls the output pipe, a signal descriptor and the clock.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use crate::duration;
use crate::log::TeeWriter;
use crate::marker::{self, MarkerState, ReservedMarker};
use crate::options::{EntrypointOptions, WrapperOptions};
use crate::process::{self, WrappedProcess};
use crate::termination;

/// The entrypoint itself failed, or the process ran into its timeout.
pub const INTERNAL_ERROR_CODE: i32 = 127;
/// The process was stopped because the pod was stopped.
pub const ABORTED_CODE: i32 = 130;
/// The process was not started, since the one before it had failed.
pub const PREVIOUS_FAILED_CODE: i32 = 1130;
/// The process was stopped because its log has no room. An ordinary failure: 127 is also the code
/// of a program that does not exist.
const LOST_LOG_CODE: i32 = 1;

/// How long descendants may go on writing after the process itself has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the kernel has to end a process that was killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes reserved for the log, in case the disk is full later.
const FIRST_PAGE: i64 = 4096;
/// How often the marker of a previous container is read.
const MARKER_POLL: Duration = Duration::from_millis(100);

/// Runs the process and writes its code to the marker file. Returns the code to exit with.
pub(crate) fn run_and_write_marker(options: &EntrypointOptions) -> i32 {
    let marker = Path::new(&options.wrapper.marker_file);
    let reserved = ReservedMarker::new(marker);
    let (mut tee, code) = match prepare_log(options) {
        Ok(file) => (TeeWriter::new(Some(file)), None),
        Err(message) => {
            let mut tee = TeeWriter::new(None);
            tee.log_error(&message);
            (tee, Some(INTERNAL_ERROR_CODE))
        }
    };
    if let Err(e) = &reserved {
        tee.log_error(&format!(
            "Could not reserve the marker file {}, so nobody will notice if this process is killed: {e}",
            marker.display()
        ));
    }
    let code = code.unwrap_or_else(|| match process::block_signals() {
        Ok(signals) => execute_process(options, &mut tee, &signals),
        Err(e) => {
            tee.log_error(&format!("Could not take over signals: {e}"));
            INTERNAL_ERROR_CODE
        }
    });
    let written = match reserved {
        Ok(reserved) => reserved.write_code(marker, code),
        Err(_) => marker::write_marker(marker, code),
    };
    if let Err(e) = written {
        tee.log_error(&format!(
            "Could not write the marker file {}: {e}",
            marker.display()
        ));
        return INTERNAL_ERROR_CODE;
    }
    if options.always_zero {
        return 0;
    }
    termination::write_termination_message(code);
    code
}

/// Writes `message` to the log and a failure's code to the marker, if `files` names them.
pub(crate) fn record_failure(files: &WrapperOptions, message: &str) {
    if let Ok(file) = create_log(&files.process_log) {
        TeeWriter::new(Some(file)).log_error(message);
    }
    if !files.marker_file.is_empty() {
        // Without a marker plank still sees that the container has ended.
        if marker::write_marker(Path::new(&files.marker_file), INTERNAL_ERROR_CODE).is_ok() {
            termination::write_termination_message(INTERNAL_ERROR_CODE);
        }
    }
}

fn prepare_log(options: &EntrypointOptions) -> Result<File, String> {
    if !options.artifact_dir.is_empty() {
        fs::create_dir_all(&options.artifact_dir).map_err(|e| {
            format!(
                "could not create the artifact directory {}: {e}",
                options.artifact_dir
            )
        })?;
    }
    create_log(&options.wrapper.process_log)
}

fn create_log(path: &str) -> Result<File, String> {
    let log = Path::new(path);
    let file = log
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| File::create(log))
        .map_err(|e| format!("could not create the process log {path}: {e}"))?;
    // Not every file system can reserve space.
    let _ = fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, FIRST_PAGE);
    Ok(file)
}

fn execute_process(options: &EntrypointOptions, tee: &mut TeeWriter, signals: &SignalFd) -> i32 {
    if !options.previous_marker.is_empty()
        && let Err(code) = await_previous(Path::new(&options.previous_marker), tee, signals)
    {
        return code;
    }
    match WrappedProcess::spawn(&options.wrapper.args) {
        Ok((process, output)) => ProcessSupervisor {
            options,
            tee,
            signals,
            process,
            output: Some(output),
            exit: None,
            stop: None,
        }
        .supervise_process(),
        Err(e) => {
            tee.log_error(&format!(
                "Could not start the process {:?}: {e}",
                options.wrapper.args[0]
            ));
            INTERNAL_ERROR_CODE
        }
    }
}

/// Waits until the container before this one has ended; `Err` is the code to end with.
fn await_previous(path: &Path, tee: &mut TeeWriter, signals: &SignalFd) -> Result<(), i32> {
    loop {
        match marker::read_marker_state(path) {
            Ok(MarkerState::Ended(0)) => return Ok(()),
            Ok(MarkerState::Ended(code)) => {
                tee.log_info(&format!("Skipping as previous step exited {code}"));
                return Err(PREVIOUS_FAILED_CODE);
            }
            Ok(MarkerState::Abandoned) => {
                tee.log_info("Skipping as previous step was killed");
                return Err(PREVIOUS_FAILED_CODE);
            }
            Ok(MarkerState::Open) => {}
            Err(e) => {
                tee.log_error(&format!(
                    "Could not read the previous marker {}: {e}",
                    path.display()
                ));
                return Err(INTERNAL_ERROR_CODE);
            }
        }
        poll_events(signals, None, MARKER_POLL);
        if let Some(signal) = take_interrupt(signals) {
            tee.log_error(&format!("Entrypoint received interrupt: {signal}"));
            return Err(ABORTED_CODE);
        }
    }
}

/// Sleeps until a signal, output, or the end of the timeout.
fn poll_events(signals: &SignalFd, output: Option<&PipeReader>, timeout: Duration) {
    let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    fds.extend(output.map(|o| PollFd::new(o.as_fd(), PollFlags::POLLIN)));
    // Rounded up, or the last millisecond would be spent spinning; callers check the clock.
    let millis = timeout.as_millis().saturating_add(1).min(60_000);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    // Errors such as EINTR do not matter: the caller checks everything again anyway.
    let _ = poll(&mut fds, timeout);
}

/// Takes the first pending interrupt; all other pending signals are consumed.
fn take_interrupt(signals: &SignalFd) -> Option<Signal> {
    let mut first = None;
    while let Ok(Some(info)) = signals.read_signal() {
        let signal = i32::try_from(info.ssi_signo)
            .ok()
            .and_then(|n| Signal::try_from(n).ok());
        first = first.or(signal.filter(|s| *s != Signal::SIGCHLD));
    }
    first
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopReason {
    Timeout,
    Interrupt,
    /// The process log cannot be written.
    LostLog,
}

/// The entrypoint is stopping the process.
#[derive(Debug, Clone, Copy)]
struct StopInProgress {
    cause: StopReason,
    killed: bool,
    until: Instant,
}

struct ProcessSupervisor<'a> {
    options: &'a EntrypointOptions,
    tee: &'a mut TeeWriter,
    signals: &'a SignalFd,
    process: WrappedProcess,
    output: Option<PipeReader>,
    exit: Option<i32>,
    stop: Option<StopInProgress>,
}

impl ProcessSupervisor<'_> {
    fn supervise_process(mut self) -> i32 {
        let deadline = Instant::now().checked_add(self.options.timeout.to_duration());
        let mut ended_by = None;
        while self.exit.is_none() {
            let next = self.stop.map(|s| s.until).or(deadline);
            let timeout = next.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            poll_events(self.signals, self.output.as_ref(), timeout);
            self.copy_output();
            let interrupt = take_interrupt(self.signals);
            let reaped = self.process.reap_children();
            self.exit = reaped.code;
            ended_by = reaped.signal;
            if self.exit.is_none() {
                self.advance_stop(interrupt, next.is_some_and(|at| at <= Instant::now()));
            }
        }
        let grace = duration::format_duration(self.options.grace_period);
        if self.stop.is_some_and(|s| !s.killed) {
            self.tee.log_error(&format!(
                "Process gracefully exited before {grace} grace period"
            ));
        }
        self.drain_output();
        if let Some(signal) = ended_by.filter(|_| self.stop.is_none()) {
            // Neither the code -1 nor a container's 255 says which signal it was.
            self.tee
                .log_error(&format!("Process was ended by {signal}"));
        }
        self.process.kill_descendants();
        self.exit_code()
    }

    /// Starts a stop, or goes on from SIGINT to SIGKILL.
    fn advance_stop(&mut self, interrupt: Option<Signal>, due: bool) {
        let grace = self.options.grace_period.to_duration();
        let asked = |cause| StopInProgress {
            cause,
            killed: false,
            until: Instant::now() + grace.min(Duration::from_hours(24)),
        };
        match (self.stop, interrupt) {
            (None, Some(signal)) => {
                self.tee
                    .log_error(&format!("Entrypoint received interrupt: {signal}"));
                self.process.signal_group(Signal::SIGINT);
                self.process.signal_group(signal);
                self.stop = Some(asked(StopReason::Interrupt));
            }
            (None, None) if self.tee.is_lost() => {
                self.process.signal_group(Signal::SIGINT);
                self.stop = Some(asked(StopReason::LostLog));
            }
            (None, None) if due => {
                let timeout = duration::format_duration(self.options.timeout);
                self.tee
                    .log_error(&format!("Process did not finish before {timeout} timeout"));
                self.process.signal_group(Signal::SIGINT);
                self.stop = Some(asked(StopReason::Timeout));
            }
            (Some(stop), _) if due && !stop.killed => {
                self.tee.log_error(&format!(
                    "Process did not exit before {} grace period",
                    duration::format_duration(self.options.grace_period)
                ));
                self.process.signal_group(Signal::SIGKILL);
                self.stop = Some(StopInProgress {
                    killed: true,
                    until: Instant::now() + KILL_TIMEOUT,
                    ..stop
                });
            }
            // Not even SIGKILL ends it (a dead network file system, say), so give up.
            (Some(_), _) if due => self.exit = Some(-1),
            _ => {}
        }
    }

    /// Reads on while descendants hold the pipe, for at most [`DRAIN_TIMEOUT`].
    fn drain_output(&mut self) {
        let end = Instant::now() + DRAIN_TIMEOUT;
        self.copy_output();
        while self.output.is_some() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || take_interrupt(self.signals).is_some() {
                self.tee.log_info(
                    "The process has ended, what it left running in the background is stopped",
                );
                return;
            }
            poll_events(self.signals, self.output.as_ref(), left);
            self.copy_output();
        }
    }

    /// Copies what is there, at most 1 MiB, so that signals and the clock are checked, too.
    fn copy_output(&mut self) {
        let mut buffer = [0; 64 * 1024];
        for _ in 0..16 {
            let Some(output) = &mut self.output else {
                return;
            };
            match output.read(&mut buffer) {
                Ok(0) => self.output = None,
                Ok(n) => self.tee.write_output(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    self.tee
                        .log_error(&format!("Could not read the output of the process: {e}"));
                    self.output = None;
                }
            }
        }
    }

    fn exit_code(&self) -> i32 {
        let own = self.exit.unwrap_or(-1);
        match self.stop.map(|s| s.cause) {
            Some(StopReason::LostLog) => LOST_LOG_CODE,
            Some(_) if self.options.propagate_error_code => own,
            Some(StopReason::Timeout) => INTERNAL_ERROR_CODE,
            Some(StopReason::Interrupt) => ABORTED_CODE,
            None => own,
        }
    }
}
