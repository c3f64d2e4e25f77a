//! What the person at the terminal sees.

use std::{collections::BTreeSet, fs::File, path::Path, time::Duration};

use anyhow::Context;
use tokio::sync::watch;

use super::{
    expect::{self, Line},
    forge::PullRequest,
    jobs::{Job, Jobs},
    seed::Seed,
    services::Services,
};

/// How long no new job must turn up before the list counts as whole.
const QUIET: Duration = Duration::from_secs(2);

/// Sends what the services log to a file: the screen is for the demo.
pub(super) fn log_to(path: &Path) -> anyhow::Result<()> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    tracing_subscriber::fmt()
        .json()
        .with_writer(file)
        .with_max_level(tracing::Level::INFO)
        .init();
    Ok(())
}

/// Standard output.
#[derive(Clone, Copy)]
pub(super) struct Screen;

impl Screen {
    #[expect(clippy::print_stdout, reason = "the demo's purpose is to be read")]
    pub(super) fn say(self, text: &str) {
        println!("{text}");
    }

    pub(super) fn addresses(self, services: &Services) {
        self.say(&format!("  Deck       {}", services.deck));
        self.say(&format!(
            "  GitHub     {} (a stand-in)",
            services.github.url()
        ));
        self.say(&format!("  webhooks   {}", services.webhook));
        self.say(&format!(
            "  cluster    export KUBECONFIG={}",
            services.kubeconfig.display()
        ));
    }

    pub(super) fn opened(self, pull: &PullRequest) {
        self.say(&format!("\nOpened #{}  {}", pull.number, pull.html_url));
    }

    /// Prints the jobs on `sha` as they end, until `done` or `patience` is over; returns how
    /// they then stand.
    pub(super) async fn jobs(
        self,
        jobs: &mut watch::Receiver<Jobs>,
        sha: &str,
        patience: Duration,
        done: impl Fn(&Jobs) -> bool,
    ) -> Jobs {
        let mut told = BTreeSet::new();
        let print_all = async {
            loop {
                let now = jobs.borrow_and_update().clone();
                for (name, job) in now.iter().filter(|(_, job)| job.sha == sha && job.complete) {
                    if told.insert(name.clone()) {
                        self.job(job);
                    }
                }
                if done(&now) || jobs.changed().await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(patience, print_all).await;
        jobs.borrow().clone()
    }

    fn job(self, job: &Job) {
        let seconds = job
            .seconds
            .map_or("-".to_owned(), |seconds| format!("{seconds} s"));
        self.say(&format!(
            "  {:<18} {:<8} {seconds:>6}  {}",
            job.name,
            job.state.as_str(),
            job.url
        ));
    }

    /// Waits until no new job turned up on `sha` for a while; true if there is none after
    /// `patience`.
    pub(super) async fn quiet(
        self,
        jobs: &mut watch::Receiver<Jobs>,
        sha: &str,
        patience: Duration,
    ) -> bool {
        let any = jobs.wait_for(|jobs| expect::on(jobs, sha).next().is_some());
        if tokio::time::timeout(patience, any).await.is_err() {
            return true;
        }
        let mut count = 0;
        loop {
            let grown = jobs.wait_for(|jobs| expect::on(jobs, sha).count() > count);
            match tokio::time::timeout(QUIET, grown).await {
                Ok(Ok(jobs)) => count = expect::on(&jobs, sha).count(),
                _ => return false,
            }
        }
    }

    pub(super) fn table(self, lines: &[Line]) {
        self.say(&format!(
            "\n  {:<18} {:<10} {:<10}",
            "job", "expected", "found"
        ));
        for line in lines {
            let mark = if line.holds() { "" } else { "  <- differs" };
            self.say(&format!(
                "  {:<18} {:<10} {:<10}{mark}",
                line.job, line.expected, line.found
            ));
        }
    }

    /// What to try while it serves.
    pub(super) fn play(self, services: &Services, seed: &Seed, open: u64) {
        let comments = format!(
            "{}/repos/{}/issues",
            services.github.url(),
            seed.full_name()
        );
        self.say(&format!(
            "
Still serving; Ctrl-C ends it. Try:
  Deck              {}
  all objects       KUBECONFIG={} kubectl get prowjobs,pods
  run again what    curl -s -H 'Authorization: Bearer {}' \\
  failed              -d '{{\"body\":\"/retest\"}}' {comments}/{open}/comments",
            services.deck,
            services.kubeconfig.display(),
            seed.token,
        ));
    }
}
