//! Plank and crier as processes of their own, on a real kube-apiserver and on the embedded API.
//!
//! This process makes the `ProwJob`s and has the fake kubelet; the embedded API is in it, too.

mod work;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use common::prowjob::ProwJobState;
use local::testing::TestCluster;

use crate::{
    apis::{Embedded, Real},
    figure::Figure,
    process::Process,
};
use work::Play;

const BURST: usize = 2000;
const BURST_RUNS: usize = 3;
/// `ProwJob`s per second; each changes its state twice after its creation.
const FEED: u32 = 25;
const WARM_UP: Duration = Duration::from_secs(5);
const STEADY: Duration = Duration::from_secs(60);
/// Generous: only a plank that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let real = Real::start()?;
        let mut figures = bursts(real.kubeconfig()).await?;
        let names = [
            "plank/real: state changes a second",
            "plank/real: processor, 10,000 ended jobs",
            "plank/real: resident, 10,000 ended jobs",
            "plank/real: most writes of a job in a state",
        ];
        figures.extend(steady(real.kubeconfig(), 10_000, names).await?);
        drop(real);
        let embedded = Embedded::start().await?;
        let names = [
            "plank/embedded: state changes a second",
            "plank/embedded: processor, 100,000 ended jobs",
            "plank/embedded: resident, 100,000 ended jobs",
            "plank/embedded: most writes of a job in a state",
        ];
        figures.extend(steady(&embedded.kubeconfig(), 100_000, names).await?);
        Ok(figures)
    })
}

/// The time in which jobs that wait when plank starts become pods.
async fn bursts(kubeconfig: &Path) -> anyhow::Result<Vec<Figure>> {
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..BURST_RUNS {
        let folder = tempfile::tempdir()?;
        let cluster = TestCluster::from_kubeconfig(kubeconfig).await?;
        work::config(folder.path(), &cluster.namespace)?;
        work::create(&cluster, BURST, "burst", ProwJobState::Triggered).await?;
        let play = Play::start(&cluster, false).await?;
        let begin = Instant::now();
        let plank = Process::start("prow-controller-manager", &[], folder.path(), kubeconfig)?;
        play.until("the pods", PATIENCE, |seen| seen.pods() == BURST)
            .await?;
        times.push(begin.elapsed());
        peaks.push(plank.peak_mb()?);
    }
    Ok(vec![
        Figure::time("plank/real: 2,000 jobs to pods", times, Some(20_000.0)),
        Figure::median("plank/real: peak of it", peaks, "MB", Some(150.0)),
    ])
}

/// Jobs are created and end while many others have ended long ago.
async fn steady(
    kubeconfig: &Path,
    ended: usize,
    [rate, share, resident, writes]: [&'static str; 4],
) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let cluster = TestCluster::from_kubeconfig(kubeconfig).await?;
    work::config(folder.path(), &cluster.namespace)?;
    work::create(&cluster, ended, "ended", ProwJobState::Success).await?;
    let play = Play::start(&cluster, true).await?;
    let start = |name, flags| Process::start(name, flags, folder.path(), kubeconfig);
    let plank = start("prow-controller-manager", &[])?;
    let _crier = start("crier", &["--blob-storage-workers=4"])?;
    work::create(&cluster, 1, "first", ProwJobState::Triggered).await?;
    play.until("the first job's end", PATIENCE, |seen| seen.complete() == 1)
        .await?;

    let feed = tokio::spawn(work::feed(&cluster, FEED, WARM_UP + STEADY));
    tokio::time::sleep(WARM_UP).await;
    let (begin, before, changes) = (Instant::now(), plank.processor()?, play.changes());
    tokio::time::sleep(STEADY).await;
    let seconds = begin.elapsed().as_secs_f64();
    let used = (plank.processor()? - before).as_secs_f64() / seconds * 100.0;
    let changes = (play.changes() - changes) as f64 / seconds;
    let fed = feed.await.context("the feed")??;
    play.until("the end of all", PATIENCE, |seen| seen.told() == fed + 1)
        .await?;
    Ok(vec![
        Figure::median(rate, vec![changes], "/s", None),
        Figure::median(share, vec![used], "%", Some(10.0)),
        Figure::median(resident, vec![plank.peak_mb()?], "MB", None),
        Figure::median(writes, vec![play.most_writes() as f64], "", Some(2.0)),
    ])
}
