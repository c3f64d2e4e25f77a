//! The reporter of check runs, beside statuses: `github_reporter.checks`. Prow has none.
//!
//! A check run is found again by its name, its App and the name of the `ProwJob`, so that
//! nothing of it has to be written down. Only Apps have check runs; where GitHub says that ours may
//! not write them, nothing more is tried in that organisation for an hour.

pub mod plan;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{
    digest::Annotation,
    github::{CheckAnnotation, CheckRunChange, Error as GitHubError, MAX_ANNOTATIONS, NewCheckRun},
    prowjob::ProwJob,
};
use futures::future::BoxFuture;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    Context,
    news::News,
    report::{self, Report},
    reporter::{Error, Reporter, Told, Workers},
};

/// Bound on one check run, with all its annotations.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long a missing permission is not asked for again.
const REFUSAL: Duration = Duration::from_hours(1);
/// Folders of a commit that are looked into for files with annotations.
const MAX_FOLDERS: usize = 20;

pub(super) struct CheckReporter {
    ctx: Arc<Context>,
    workers: Workers,
    /// Organisations where the client may not write check runs, and when it was told so.
    refused: Mutex<HashMap<String, Instant>>,
}

impl CheckReporter {
    pub(super) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.workers(ctx.settings.github_workers, PATIENCE),
            refused: Mutex::default(),
        }
    }

    fn is_refused(&self, org: &str) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .get(org)
            .is_some_and(|since| since.elapsed() < REFUSAL)
    }

    /// A missing permission; other refusals are of one repository or one commit.
    fn refuse(&self, org: &str, why: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(org.to_owned(), Instant::now());
        tracing::error!(
            org,
            "no check runs here for an hour: they need a GitHub App with checks: write. {why}"
        );
    }

    async fn tell(&self, news: &News) -> Result<(), Error> {
        let job = &news.job;
        let config = self.ctx.config.borrow().prow.github_reporter.clone();
        let Some(report) = report::report(job, &config) else {
            return Ok(());
        };
        if self.is_refused(&report.org) {
            return Ok(());
        }
        let prepared = news.prepared().await;
        let digest = prepared.digest.as_ref();
        let change = plan::change(job, digest, &prepared.losses);
        let remarks = digest.map_or(&[][..], |digest| &digest.annotations);
        let pull = job.spec.refs.as_ref().and_then(|refs| refs.pulls.first());
        let (name, number) = (job.name_any(), pull.map(|pull| pull.number));
        let (org, repo) = (report.org.as_str(), report.repo.as_str());
        tracing::info!(
            prowjob = name,
            job = job.spec.job,
            org,
            repo,
            pr = number,
            state = job.state().as_str(),
            "setting the check run"
        );
        match self
            .workers
            .run(self.send(job, &report, change, remarks))
            .await
        {
            Err(Error::GitHub(GitHubError::Forbidden(why))) if plan::lacks_permission(&why) => {
                self.refuse(org, &why);
                Ok(())
            }
            Err(Error::GitHub(
                error @ (GitHubError::Forbidden(_)
                | GitHubError::NotFound(_)
                | GitHubError::Invalid(_)),
            )) => {
                tracing::warn!(
                    prowjob = name,
                    job = job.spec.job,
                    org,
                    repo,
                    pr = number,
                    "giving up on a check run: {error}"
                );
                Ok(())
            }
            done => done,
        }
    }

    /// Makes the check run, or changes it. GitHub adds the annotations of each request: after a
    /// restart those that arrived are left out.
    async fn send(
        &self,
        job: &ProwJob,
        report: &Report,
        change: CheckRunChange,
        remarks: &[Annotation],
    ) -> Result<(), Error> {
        let Report { org, repo, sha, .. } = report;
        let (github, context) = (&self.ctx.github, report.status.context.as_str());
        let name = job.name_any();
        let bot = github.bot_login().await?;
        let runs = github.check_runs(org, repo, sha, context).await?;
        let run = runs.into_iter().find(|run| {
            let app = run.app.as_ref().map(|app| app.slug.as_str());
            run.external_id == name && app == bot.strip_suffix("[bot]")
        });
        let annotations = self.existing(report, remarks).await?;
        let there = run.as_ref().map_or(0, |run| run.output.annotations_count);
        let mut batches = annotations
            .get(there..)
            .unwrap_or_default()
            .chunks(MAX_ANNOTATIONS);
        let first = plan::with(&change, batches.next().unwrap_or_default());
        let id = match run {
            Some(run) => github.update_check_run(org, repo, run.id, &first).await?.id,
            None => {
                let new = NewCheckRun {
                    name: context,
                    head_sha: sha,
                    external_id: &name,
                    state: &first,
                };
                github.create_check_run(org, repo, &new).await?.id
            }
        };
        for batch in batches {
            let next = plan::with(&change, batch);
            github.update_check_run(org, repo, id, &next).await?;
        }
        Ok(())
    }

    /// The annotations whose files are there at the commit.
    async fn existing(
        &self,
        report: &Report,
        remarks: &[Annotation],
    ) -> Result<Vec<CheckAnnotation>, Error> {
        let mut folders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for remark in remarks {
            let (folder, _) = plan::split(&remark.path);
            if folders.contains_key(folder) || folders.len() == MAX_FOLDERS {
                continue;
            }
            let Report { org, repo, sha, .. } = report;
            let names = match self.ctx.github.folder(org, repo, sha, folder).await {
                // Without the right to read files there are no annotations, and a check run.
                Err(GitHubError::Forbidden(_)) => return Ok(Vec::new()),
                names => names?,
            };
            folders.insert(folder, names);
        }
        Ok(plan::annotations(remarks, &folders))
    }
}

impl Reporter for CheckReporter {
    fn name(&self) -> &'static str {
        "github-check-reporter"
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        let enabled = self.ctx.config.borrow().prow.github_reporter.checks;
        enabled && report::is_reported(job, &self.ctx.settings.report_agent)
    }

    fn report<'a>(&'a self, news: &'a Arc<News>) -> BoxFuture<'a, Result<Told, Error>> {
        Box::pin(async move {
            self.tell(news).await?;
            Ok(Told::Done)
        })
    }
}
