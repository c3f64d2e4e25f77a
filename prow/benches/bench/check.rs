//! `prow check` of a whole configuration, compared with upstream's checkconfig where
//! `PROW_UPSTREAM` names a folder with upstream's programs.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::{corpus, figure::Figure};

/// The first argument of a process that runs another one and prints its time and memory.
pub(crate) const CHILD: &str = "run-once";

const RUNS: usize = 15;

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let folder = corpus::folder()?;
    let ours = [env!("CARGO_BIN_EXE_prow").into(), "check".into()];
    let (time, peak) = figures(&ours, &folder)?;
    let time = Figure::time("check/everything", time, None);
    let peak = Figure::median("check/peak resident", peak, "MB", None);
    let program = env::var_os("PROW_UPSTREAM").map(|folder| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        workspace.join(folder).join("checkconfig")
    });
    let Some(program) = program else {
        let missing = ["check/upstream", "check/upstream, peak resident"].map(Figure::not_given);
        return Ok([time, peak].into_iter().chain(missing).collect());
    };
    let (upstreams_time, upstreams_peak) = figures(&[program.into()], &folder)?;
    let upstreams_time = Figure::time("check/upstream", upstreams_time, None);
    let upstreams_peak =
        Figure::median("check/upstream, peak resident", upstreams_peak, "MB", None);
    let share = |name, ours: &Figure, theirs: &Figure, aim| {
        Figure::median(name, vec![ours.value() / theirs.value()], "", Some(aim))
    };
    let of_time = share("check/of upstream's time", &time, &upstreams_time, 0.1);
    let of_peak = share("check/of upstream's memory", &peak, &upstreams_peak, 0.2);
    Ok(vec![
        time,
        peak,
        upstreams_time,
        upstreams_peak,
        of_time,
        of_peak,
    ])
}

/// The times, and the peaks in MB, of a command on the configuration.
fn figures(command: &[OsString], folder: &Path) -> anyhow::Result<(Vec<Duration>, Vec<f64>)> {
    let flag = |name: &str, file: &str| {
        let mut flag = OsString::from(format!("--{name}="));
        flag.push(folder.join(file));
        flag
    };
    let flags = [
        flag("config-path", "config.yaml"),
        flag("job-config-path", "jobs"),
        flag("plugin-config", "plugins.yaml"),
    ];
    let runs = (0..RUNS).map(|_| {
        let output = Command::new(env::current_exe()?)
            .arg(CHILD)
            .args(command)
            .args(&flags)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{told}");
        let (seconds, peak) = text.trim().split_once(' ').context("two numbers")?;
        Ok((Duration::from_secs_f64(seconds.parse()?), peak.parse()?))
    });
    let runs: Vec<(Duration, f64)> = runs.collect::<anyhow::Result<_>>()?;
    Ok(runs.into_iter().unzip())
}

/// Runs a command and prints the seconds that it took and the peak of its resident memory in MB.
/// The system knows only the largest peak of all children.
#[expect(clippy::print_stdout, reason = "another process reads it")]
pub(crate) fn child(command: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("expected a command")?;
    let begin = Instant::now();
    let status = Command::new(PathBuf::from(program))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| program.clone())?;
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(status.success(), "{program} ends with {status}");
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    let bytes = u32::try_from(kib).map(f64::from)? * 1024.0;
    println!("{seconds} {}", bytes / 1e6);
    Ok(())
}
