//! One figure and its aim.

use std::{fmt, fs, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// The highest value that meets the aim, in the same unit.
    aim: Option<f64>,
}

impl Figure {
    /// The median of some durations.
    pub(crate) fn time(name: &'static str, runs: Vec<Duration>, aim_ms: Option<f64>) -> Self {
        let ms = runs
            .into_iter()
            .map(|run| run.as_secs_f64() * 1e3)
            .collect();
        Self::median(name, ms, "ms", aim_ms)
    }

    /// The median of some numbers.
    pub(crate) fn median(
        name: &'static str,
        mut runs: Vec<f64>,
        unit: &'static str,
        aim: Option<f64>,
    ) -> Self {
        runs.sort_by(f64::total_cmp);
        let value = runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN);
        Self {
            name,
            value: (value * 1e3).round() / 1e3,
            unit,
            aim,
        }
    }

    /// A figure that cannot be measured without what was not given.
    pub(crate) fn not_given(name: &'static str) -> Self {
        Self::median(name, Vec::new(), "", None)
    }

    pub(crate) fn value(&self) -> f64 {
        self.value
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            unit,
            aim,
        } = self;
        if value.is_nan() {
            return writeln!(f, "{name:46} {:>10}", "not given");
        }
        write!(f, "{name:46} {value:>10.3} {unit:5}")?;
        match aim {
            Some(aim) if value <= aim => writeln!(f, " aim {aim}"),
            Some(aim) => writeln!(f, " aim {aim}, missed"),
            None => writeln!(f),
        }
    }
}

/// The peak of a process's resident memory, in MB; `process` is a number, or `self`.
pub(crate) fn peak_mb(process: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = peak
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .context("VmHWM")?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}
