//! What the person at the terminal sees.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use common::inert;
use local::github::Person;
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
    /// Periodics that were told of, which is enough for each.
    periodics: BTreeSet<String>,
}

/// A comment without what GitHub does not show: the marks by which a service finds its own.
pub(super) fn as_shown(comment: &str) -> String {
    let lines = comment.lines();
    let shown = lines.filter(|line| !(line.starts_with("<!--") && line.ends_with("-->")));
    shown.collect::<Vec<_>>().join("\n")
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
            periodics: BTreeSet::new(),
        }
    }

    /// Prints jobs as they end, until `done` or `patience` is over; returns how they then stand.
    pub(super) async fn jobs(&mut self, patience: Duration, done: impl Fn(&Jobs) -> bool) -> Jobs {
        let print_all = async {
            loop {
                let now = self.jobs.borrow_and_update().clone();
                for (name, job) in now.iter().filter(|(_, job)| job.complete) {
                    if self.told.insert(name.clone()) && self.is_news(job) {
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

    /// A periodic that goes on and on would push everything else off the screen.
    fn is_news(&mut self, job: &Job) -> bool {
        !job.sha.is_empty() || self.periodics.insert(job.name.clone())
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
        "  {:<18} {:<8} {seconds:>6}  {:<8} {}",
        inert::terminal(&job.name, MAX_TEXT),
        job.state.as_str(),
        inert::terminal(&job.subject, MAX_TEXT),
        inert::terminal(&job.url, MAX_TEXT)
    )
}

/// Where everything is, and what is to be known of it.
pub(super) fn addresses(services: &Services, notes: &[String]) {
    let github = services.github.url();
    say(&format!("  Deck       {}", services.deck));
    say(&format!("  GitHub     {github} (a stand-in)"));
    say(&format!("  webhooks   {}", services.webhook));
    let kubeconfig = services.kubeconfig.display();
    say(&format!("  cluster    export KUBECONFIG={kubeconfig}"));
    say("  images     are not pulled: jobs run as processes of this machine, with its programs");
    for note in services.notes.iter().chain(notes) {
        say(&format!("  note       {note}"));
    }
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

/// What to try while it serves: `open` is the author's pull request, `theirs` the stranger's.
pub(super) fn play(services: &Services, seed: &Seed, open: u64, theirs: &PullRequest) {
    let issues = format!(
        "{}/repos/{}/issues",
        services.github.url(),
        seed.full_name()
    );
    let comment = |person: &Person, text: &str, number: u64| {
        format!(
            "curl -s -H 'Authorization: Bearer {}' -d '{{\"body\":\"{text}\"}}' {issues}/{number}/comments",
            person.token
        )
    };
    let (you, stranger) = (&seed.author, &seed.stranger);
    say(&format!(
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

/// Lines for a shell that send a webhook as GitHub does.
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
        let job = Job {
            name: "unit\n  unit success\u{1b}[1A\u{9b}2J\u{202e}".into(),
            state: ProwJobState::Failure,
            complete: true,
            required: true,
            seconds: Some(3),
            url: "http://deck/\u{1b}]8;;".into(),
            sha: String::new(),
            subject: "main\u{1b}[1A".into(),
        };
        let text = line(&job);
        assert!(!text.chars().any(inert::is_hidden), "{text:?}");
        assert!(
            text.contains("unit\\n") && text.contains("failure"),
            "{text}"
        );
    }
}
