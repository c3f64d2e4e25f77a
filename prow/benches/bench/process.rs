//! A service as a process of its own, and the time and memory that it uses.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use crate::figure::peak_mb;

pub(crate) struct Process {
    child: Child,
    metrics: u16,
}

impl Process {
    /// `folder` has `config.yaml`, and gets the log.
    pub(crate) fn start(
        name: &str,
        flags: &[&str],
        folder: &Path,
        kubeconfig: &Path,
    ) -> anyhow::Result<Self> {
        let metrics = free_port()?;
        let child = Command::new(env!("CARGO_BIN_EXE_prow"))
            .arg(name)
            .arg("--dry-run=false")
            .arg(format!(
                "--config-path={}",
                folder.join("config.yaml").display()
            ))
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--health-port={}", free_port()?))
            .arg(format!("--metrics-port={metrics}"))
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join(format!("{name}.log")))?)
            .spawn()
            .context(name.to_owned())?;
        Ok(Self { child, metrics })
    }

    /// The service's metrics.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        let address = format!("http://127.0.0.1:{}/metrics", self.metrics);
        Ok(reqwest::get(address).await?.text().await?)
    }

    /// The peak of resident memory, in MB.
    pub(crate) fn peak_mb(&self) -> anyhow::Result<f64> {
        peak_mb(&self.child.id().to_string())
    }

    /// The processor time until now, by user and system.
    pub(crate) fn processor(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // proc(5): the name in parentheses is the second field; utime and stime are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("a name in parentheses")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        // USER_HZ is 100 on every architecture that we are built for.
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}
