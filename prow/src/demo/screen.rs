//! What the demo prints to the terminal.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use common::untrusted_text;
use local::github::LocalUser;
use tokio::sync::watch;

use super::{
    contributor::OpenedPullRequest,
    expectations::{self, ExpectedJob},
    jobs::{DemoJob, DemoJobs},
    seed::DemoSeed,
    services::DemoServices,
};

/// How long no new job may appear before the list counts as complete.
const QUIET: Duration = Duration::from_secs(2);
/// Most characters of one text.
const MAX_TEXT: usize = 10_000;

/// Prints jobs to standard output, each once.
pub(super) struct DemoScreen {
    jobs: watch::Receiver<DemoJobs>,
    /// Objects whose end was printed.
    told: BTreeSet<String>,
    /// Periodics that were printed once, which is enough.
    periodics: BTreeSet<String>,
}

/// A comment as GitHub shows it: without the markers by which a service finds its own comments.
pub(super) fn as_shown(comment: &str) -> String {
    let lines = comment.lines();
    let shown = lines.filter(|line| !(line.starts_with("<!--") && line.ends_with("-->")));
    shown.collect::<Vec<_>>().join("\n")
}

/// A closed standard output is no reason to end.
pub(super) fn print_text(text: &str) {
    let _ = writeln!(
        io::stdout(),
        "{}",
        untrusted_text::escape_terminal_lines(text, MAX_TEXT)
    );
}

impl DemoScreen {
    pub(super) fn new(jobs: watch::Receiver<DemoJobs>) -> Self {
        Self {
            jobs,
            told: BTreeSet::new(),
            periodics: BTreeSet::new(),
        }
    }

    /// Prints jobs as they end, until `done` or `patience` is over. Returns the jobs at that time.
    pub(super) async fn print_jobs_until(
        &mut self,
        patience: Duration,
        done: impl Fn(&DemoJobs) -> bool,
    ) -> DemoJobs {
        let print_all = async {
            loop {
                let now = self.jobs.borrow_and_update().clone();
                for (name, job) in now.iter().filter(|(_, job)| job.complete) {
                    if self.told.insert(name.clone()) && self.is_news(job) {
                        print_text(&format_job(job));
                    }
                }
                if done(&now) || self.jobs.changed().await.is_err() {
                    break;
                }
            }
        };
        // The caller sees from the returned jobs that time ran out.
        let _ = tokio::time::timeout(patience, print_all).await;
        self.jobs.borrow().clone()
    }

    /// A periodic that runs again and again would push everything else off the screen.
    fn is_news(&mut self, job: &DemoJob) -> bool {
        !job.sha.is_empty() || self.periodics.insert(job.name.clone())
    }

    /// Marks the jobs that have ended as printed: they are from an earlier demo on the same data.
    pub(super) fn skip_ended_jobs(&mut self) {
        let jobs = self.jobs.borrow();
        let ended = jobs.iter().filter(|(_, job)| job.complete);
        self.told.extend(ended.map(|(name, _)| name.clone()));
    }

    /// Waits until no new job has appeared on `sha` for a while. Returns true if there is none
    /// after `patience`.
    pub(super) async fn has_no_jobs_on(&mut self, sha: &str, patience: Duration) -> bool {
        let any = self
            .jobs
            .wait_for(|jobs| expectations::jobs_on_commit(jobs, sha).next().is_some());
        if tokio::time::timeout(patience, any).await.is_err() {
            return true;
        }
        let mut count = 0;
        loop {
            let grown = self
                .jobs
                .wait_for(|jobs| expectations::jobs_on_commit(jobs, sha).count() > count);
            match tokio::time::timeout(QUIET, grown).await {
                Ok(Ok(jobs)) => count = expectations::jobs_on_commit(&jobs, sha).count(),
                _ => return false,
            }
        }
    }
}

fn format_job(job: &DemoJob) -> String {
    let seconds = job
        .seconds
        .map_or("-".to_owned(), |seconds| format!("{seconds} s"));
    format!(
        "  {:<18} {:<8} {seconds:>6}  {:<8} {}",
        untrusted_text::escape_terminal(&job.name, MAX_TEXT),
        job.state.as_str(),
        untrusted_text::escape_terminal(&job.subject, MAX_TEXT),
        untrusted_text::escape_terminal(&job.url, MAX_TEXT)
    )
}

/// Prints where everything is, and the notes.
pub(super) fn print_addresses(services: &DemoServices, notes: &[String]) {
    let github = services.github.url();
    print_text(&format!("  Deck       {}", services.deck));
    print_text(&format!("  GitHub     {github} (a stand-in)"));
    print_text(&format!("  webhooks   {}", services.webhook));
    let kubeconfig = services.kubeconfig.display();
    print_text(&format!("  cluster    export KUBECONFIG={kubeconfig}"));
    print_text(
        "  images     are not pulled: jobs run as processes of this machine, with its programs",
    );
    for note in services.notes.iter().chain(notes) {
        print_text(&format!("  note       {note}"));
    }
}

pub(super) fn print_opened(pull: &OpenedPullRequest) {
    print_text(&format!("\nOpened #{}  {}", pull.number, pull.html_url));
}

pub(super) fn print_table(lines: &[ExpectedJob]) {
    print_text(&format!(
        "\n  {:<18} {:<10} {:<10}",
        "job", "expected", "found"
    ));
    for line in lines {
        let job = untrusted_text::escape_terminal(&line.job, MAX_TEXT);
        let mark = if line.is_as_expected() {
            ""
        } else {
            "  <- differs"
        };
        print_text(&format!(
            "  {job:<18} {:<10} {:<10}{mark}",
            line.expected, line.found
        ));
    }
}

/// What to try while the demo runs: `open` is the author's pull request, `theirs` the stranger's.
pub(super) fn print_next_steps(
    services: &DemoServices,
    seed: &DemoSeed,
    open: u64,
    theirs: &OpenedPullRequest,
) {
    let issues = format!(
        "{}/repos/{}/issues",
        services.github.url(),
        seed.full_name()
    );
    let comment = |person: &LocalUser, text: &str, number: u64| {
        format!(
            "curl -s -H 'Authorization: Bearer {}' -d '{{\"body\":\"{text}\"}}' {issues}/{number}/comments",
            person.token
        )
    };
    let (you, stranger) = (&seed.author, &seed.stranger);
    print_text(&format!(
        "
Still serving; Ctrl-C ends it. Try:
  Deck                     {deck}
  all objects              KUBECONFIG={kubeconfig} kubectl get prowjobs,pods
  run again what failed    {retest}

A stranger opened #{number}  {page}
Nothing runs on it until somebody who is trusted has looked at it and says so:
  the stranger, in vain    {in_vain}
  you, and jobs run        {trusted}

A webhook by hand, signed with the secret in {hmac}:
{webhook}
",
        deck = services.deck,
        kubeconfig = services.kubeconfig.display(),
        retest = comment(you, "/retest", open),
        number = theirs.number,
        page = theirs.html_url,
        in_vain = comment(stranger, "/ok-to-test", theirs.number),
        trusted = comment(you, "/ok-to-test", theirs.number),
        hmac = services.hmac.display(),
        webhook = signed_webhook(&services.hmac, &services.webhook),
    ));
}

/// Shell lines that send a webhook as GitHub does.
fn signed_webhook(hmac: &Path, url: &str) -> String {
    let hmac = hmac.display().to_string().replace('\'', "'\\''");
    format!(
        "  payload='{{\"zen\": \"Keep it logically awesome.\"}}'
  signature=$(printf %s \"$payload\" | openssl dgst -sha256 -hmac \"$(cat '{hmac}')\" | sed 's/.* //')
  curl -s -H 'X-GitHub-Event: ping' -H \"X-GitHub-Delivery: $(date +%s%N)\" -H \"X-Hub-Signature-256: sha256=$signature\" -H 'Content-Type: application/json' -d \"$payload\" {url}"
    )
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJobState;

    use super::*;

    #[test]
    fn a_jobs_name_does_nothing_in_a_terminal() {
        let job = DemoJob {
            name: "unit\n  unit success\u{1b}[1A\u{9b}2J\u{202e}".into(),
            state: ProwJobState::Failure,
            complete: true,
            required: true,
            seconds: Some(3),
            url: "http://deck/\u{1b}]8;;".into(),
            sha: String::new(),
            subject: "main\u{1b}[1A".into(),
        };
        let text = format_job(&job);
        assert!(!text.chars().any(untrusted_text::is_hidden), "{text:?}");
        assert!(
            text.contains("unit\\n") && text.contains("failure"),
            "{text}"
        );
    }
}
