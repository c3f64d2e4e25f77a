//! What the person at the terminal sees.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    time::Duration,
};

use common::inert;
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
/// Characters of what is said at once.
const MAX_TEXT: usize = 10_000;

/// Standard output, and the jobs it shows.
pub(super) struct Screen {
    jobs: watch::Receiver<Jobs>,
    /// Objects whose end was told.
    told: BTreeSet<String>,
}

/// A reader that is gone is no reason to end.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", inert::terminal_lines(text, MAX_TEXT));
}

impl Screen {
    pub(super) fn new(jobs: watch::Receiver<Jobs>) -> Self {
        Self {
            jobs,
            told: BTreeSet::new(),
        }
    }

    /// Prints jobs as they end, until `done` or `patience` is over; returns how they then stand.
    pub(super) async fn jobs(&mut self, patience: Duration, done: impl Fn(&Jobs) -> bool) -> Jobs {
        let print_all = async {
            loop {
                let now = self.jobs.borrow_and_update().clone();
                for (name, job) in now.iter().filter(|(_, job)| job.complete) {
                    if self.told.insert(name.clone()) {
                        say(&line(job));
                    }
                }
                if done(&now) || self.jobs.changed().await.is_err() {
                    break;
                }
            }
        };
        // Whoever asked sees from what stands that time ran out.
        let _ = tokio::time::timeout(patience, print_all).await;
        self.jobs.borrow().clone()
    }

    /// Takes what has ended so far as told: it is from an earlier demo on the same data.
    pub(super) fn skip_past(&mut self) {
        let jobs = self.jobs.borrow();
        let ended = jobs.iter().filter(|(_, job)| job.complete);
        self.told.extend(ended.map(|(name, _)| name.clone()));
    }

    /// Waits until no new job turned up on `sha` for a while; true if there is none after
    /// `patience`.
    pub(super) async fn none_on(&mut self, sha: &str, patience: Duration) -> bool {
        let any = self
            .jobs
            .wait_for(|jobs| expect::on(jobs, sha).next().is_some());
        if tokio::time::timeout(patience, any).await.is_err() {
            return true;
        }
        let mut count = 0;
        loop {
            let grown = self
                .jobs
                .wait_for(|jobs| expect::on(jobs, sha).count() > count);
            match tokio::time::timeout(QUIET, grown).await {
                Ok(Ok(jobs)) => count = expect::on(&jobs, sha).count(),
                _ => return false,
            }
        }
    }
}

fn line(job: &Job) -> String {
    let seconds = job
        .seconds
        .map_or("-".to_owned(), |seconds| format!("{seconds} s"));
    format!(
        "  {:<18} {:<8} {seconds:>6}  {}",
        inert::terminal(&job.name, MAX_TEXT),
        job.state.as_str(),
        inert::terminal(&job.url, MAX_TEXT)
    )
}

pub(super) fn addresses(services: &Services) {
    say(&format!("  Deck       {}", services.deck));
    say(&format!(
        "  GitHub     {} (a stand-in)",
        services.github.url()
    ));
    say(&format!("  webhooks   {}", services.webhook));
    say(&format!(
        "  cluster    export KUBECONFIG={}",
        services.kubeconfig.display()
    ));
}

pub(super) fn opened(pull: &PullRequest) {
    say(&format!("\nOpened #{}  {}", pull.number, pull.html_url));
}

pub(super) fn table(lines: &[Line]) {
    say(&format!(
        "\n  {:<18} {:<10} {:<10}",
        "job", "expected", "found"
    ));
    for line in lines {
        let job = inert::terminal(&line.job, MAX_TEXT);
        let mark = if line.holds() { "" } else { "  <- differs" };
        say(&format!(
            "  {job:<18} {:<10} {:<10}{mark}",
            line.expected, line.found
        ));
    }
}

/// What to try while it serves.
pub(super) fn play(services: &Services, seed: &Seed, open: u64) {
    let comments = format!(
        "{}/repos/{}/issues/{open}/comments",
        services.github.url(),
        seed.full_name()
    );
    say(&format!(
        "
Still serving; Ctrl-C ends it. Try:
  Deck                     {}
  all objects              KUBECONFIG={} kubectl get prowjobs,pods
  run again what failed    curl -s -H 'Authorization: Bearer {}' -d '{{\"body\":\"/retest\"}}' {comments}
",
        services.deck,
        services.kubeconfig.display(),
        seed.token,
    ));
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJobState;

    use super::*;

    #[test]
    fn a_jobs_name_does_nothing_in_a_terminal() {
        let job = Job {
            name: "unit\n  unit success\u{1b}[1A\u{9b}2J\u{202e}".into(),
            state: ProwJobState::Failure,
            complete: true,
            required: true,
            seconds: Some(3),
            url: "http://deck/\u{1b}]8;;".into(),
            sha: String::new(),
        };
        let text = line(&job);
        assert!(!text.chars().any(inert::is_hidden), "{text:?}");
        assert!(
            text.contains("unit\\n") && text.contains("failure"),
            "{text}"
        );
    }
}
