//! Loading and validating a whole configuration: the first time, and when one file has changed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use common::config::{
    Config, ConfigAgent, ConfigLoader, LoadMetrics, agent::ReloadableConfig as _,
};
use prometheus_client::registry::Registry;

use crate::{
    corpus,
    figure::{Figure, peak_mb},
};

/// The first argument of a process that loads once and prints its time and memory.
pub(crate) const CHILD: &str = "read-once";

const COLD_RUNS: usize = 9;
const RELOADS: usize = 21;

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let folder = corpus::folder()?;
    let mut times = Vec::new();
    let mut peaks = Vec::new();
    for _ in 0..COLD_RUNS {
        let (time, peak) = cold(&folder)?;
        times.push(time);
        peaks.push(peak);
    }
    let load = Figure::time("config/cold load and validation", times, Some(400.0));
    let peak = Figure::median("config/peak resident", peaks, "MB", Some(120.0));
    let reload = Figure::time("config/one changed file", reloads(&folder)?, Some(20.0));
    let share = reload.value() / load.value();
    let share = Figure::median(
        "config/changed file of a full load",
        vec![share],
        "",
        Some(0.1),
    );
    let served = Figure::time("config/change to served", served(&folder)?, Some(2000.0));
    let swap = Figure::time(
        "config/swapped files, one changed, beyond reading",
        swaps(&folder)?,
        Some(20.0),
    );
    Ok(vec![load, peak, reload, share, swap, served])
}

/// In a new process: nothing is loaded yet, but the system has the files in memory.
fn cold(folder: &Path) -> anyhow::Result<(Duration, f64)> {
    let output = Command::new(env::current_exe()?)
        .arg(CHILD)
        .arg(folder)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (seconds, peak) = text.trim().split_once(' ').context("two numbers")?;
    Ok((Duration::from_secs_f64(seconds.parse()?), peak.parse()?))
}

/// Prints the seconds that the load took and the peak of resident memory in MB.
#[expect(clippy::print_stdout, reason = "another process reads it")]
pub(crate) fn child(arguments: &[String]) -> anyhow::Result<()> {
    let [folder] = arguments else {
        anyhow::bail!("expected a folder");
    };
    let begin = Instant::now();
    let config = Config::load_files(&corpus::options(Path::new(folder)))?;
    let seconds = begin.elapsed().as_secs_f64();
    drop(config);
    println!("{seconds} {}", peak_mb("self")?);
    Ok(())
}

/// Changes a job file and loads again, each time with another file.
fn reloads(folder: &Path) -> anyhow::Result<Vec<Duration>> {
    let copy = tempfile::tempdir()?;
    copy_folder(folder, copy.path())?;
    let mut loader = ConfigLoader::new(corpus::options(copy.path()));
    loader.load_config()?;
    let mut files = Vec::new();
    list(&copy.path().join("jobs"), &mut files)?;
    files.sort();
    let mut times = Vec::new();
    for path in files.iter().step_by(files.len() / RELOADS).take(RELOADS) {
        let text = fs::read_to_string(path)?;
        fs::write(path, text + "# touched\n")?;
        let begin = Instant::now();
        loader.load_config()?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// Replaces every file, one of them by other content, as when a `ConfigMap` is swapped. The time
/// for reading the files is left out.
fn swaps(folder: &Path) -> anyhow::Result<Vec<Duration>> {
    let copy = tempfile::tempdir()?;
    copy_folder(folder, copy.path())?;
    let mut loader = ConfigLoader::new(corpus::options(copy.path()));
    loader.load_config()?;
    let mut files = Vec::new();
    list(&copy.path().join("jobs"), &mut files)?;
    files.sort();
    let mut times = Vec::new();
    for changed in files.iter().step_by(files.len() / RELOADS).take(RELOADS) {
        for path in &files {
            let end = if path == changed { "# touched\n" } else { "" };
            let other = path.with_extension("other");
            fs::write(&other, fs::read_to_string(path)? + end)?;
            fs::rename(other, path)?;
        }
        let begin = Instant::now();
        for path in &files {
            fs::read_to_string(path)?;
        }
        let reading = begin.elapsed();
        let begin = Instant::now();
        loader.load_config()?;
        times.push(begin.elapsed().saturating_sub(reading));
    }
    Ok(times)
}

/// From the write of a job file to the moment when a service has its content.
fn served(folder: &Path) -> anyhow::Result<Vec<Duration>> {
    let copy = tempfile::tempdir()?;
    copy_folder(folder, copy.path())?;
    let mut files = Vec::new();
    list(&copy.path().join("jobs"), &mut files)?;
    files.sort();
    let metrics = LoadMetrics::register_metrics(&mut Registry::default());
    let (_agent, mut config) = ConfigAgent::watch_config(&corpus::options(copy.path()), &metrics)?;
    let mut times = Vec::new();
    for path in files
        .iter()
        .step_by(files.len() / COLD_RUNS)
        .take(COLD_RUNS)
    {
        let text = fs::read_to_string(path)?;
        let begin = Instant::now();
        fs::write(path, text + "# touched\n")?;
        while !config.has_changed()? {
            thread::sleep(Duration::from_millis(1));
        }
        config.mark_unchanged();
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            // Not a copy: the original may be read-only.
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
