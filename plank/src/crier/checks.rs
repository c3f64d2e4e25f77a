//! The reporter of check runs, in addition to statuses: `github_reporter.checks`. Prow has none.
//!
//! A check run is found again by its name, its App and the name of the `ProwJob`, so that nothing
//! has to be stored. Only Apps have check runs; where GitHub says that ours may not write them,
//! nothing more is tried in that organisation for an hour.

pub mod plan;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{
    failure_digest::DigestAnnotation,
    github::{CheckAnnotation, CheckRunChange, CheckRunRequest, GithubError, MAX_ANNOTATIONS},
    prowjob::ProwJob,
};
use futures::future::BoxFuture;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    CrierContext,
    reporter::{ReportError, ReportResult, Reporter, SendLimiter},
    state_change::JobStateChange,
    status_report::{self, CommitStatusReport},
};

/// The time limit of one check run, with all its annotations.
const CHECK_RUN_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long no check run is tried after a missing permission.
const REFUSAL_LIFETIME: Duration = Duration::from_hours(1);
/// Folders of a commit that are listed for files with annotations.
const MAX_FOLDERS: usize = 20;

pub(super) struct CheckRunReporter {
    ctx: Arc<CrierContext>,
    workers: SendLimiter,
    /// Organisations where the client may not write check runs, and when GitHub said so.
    refused: Mutex<HashMap<String, Instant>>,
}

impl CheckRunReporter {
    pub(super) fn new(ctx: &Arc<CrierContext>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.new_limiter(ctx.settings.github_workers, CHECK_RUN_TIMEOUT),
            refused: Mutex::default(),
        }
    }

    fn is_refused(&self, org: &str) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .get(org)
            .is_some_and(|since| since.elapsed() < REFUSAL_LIFETIME)
    }

    /// Remembers a missing permission; other refusals concern one repository or one commit.
    fn remember_refusal(&self, org: &str, why: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(org.to_owned(), Instant::now());
        tracing::error!(
            org,
            "no check runs here for an hour: they need a GitHub App with checks: write. {why}"
        );
    }

    async fn report_check_run(&self, news: &JobStateChange) -> Result<(), ReportError> {
        let job = &news.job;
        let config = self.ctx.config.borrow().prow.github_reporter.clone();
        let Some(report) = status_report::build_status_report(job, &config) else {
            return Ok(());
        };
        if self.is_refused(&report.org) {
            return Ok(());
        }
        let prepared = news.report_details().await;
        let digest = prepared.digest.as_ref();
        let change = plan::check_run_change(job, digest, &prepared.losses);
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
            .run_limited(self.send_check_run(job, &report, change, remarks))
            .await
        {
            Err(ReportError::GitHub(GithubError::Forbidden(why)))
                if plan::lacks_permission(&why) =>
            {
                self.remember_refusal(org, &why);
                Ok(())
            }
            Err(ReportError::GitHub(
                error @ (GithubError::Forbidden(_)
                | GithubError::NotFound(_)
                | GithubError::Invalid(_)),
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

    /// Creates the check run, or changes it. GitHub adds the annotations of each request: after a
    /// restart those that arrived are left out.
    async fn send_check_run(
        &self,
        job: &ProwJob,
        report: &CommitStatusReport,
        change: CheckRunChange,
        remarks: &[DigestAnnotation],
    ) -> Result<(), ReportError> {
        let CommitStatusReport { org, repo, sha, .. } = report;
        let (github, context) = (&self.ctx.github, report.status.context.as_str());
        let name = job.name_any();
        let bot = github.bot_login().await?;
        let runs = github.list_check_runs(org, repo, sha, context).await?;
        let run = runs.into_iter().find(|run| {
            let app = run.app.as_ref().map(|app| app.slug.as_str());
            run.external_id == name && app == bot.strip_suffix("[bot]")
        });
        let annotations = self.list_existing_annotations(report, remarks).await?;
        let there = run.as_ref().map_or(0, |run| run.output.annotations_count);
        let mut batches = annotations
            .get(there..)
            .unwrap_or_default()
            .chunks(MAX_ANNOTATIONS);
        let first = plan::with_annotations(&change, batches.next().unwrap_or_default());
        let id = match run {
            Some(run) => github.update_check_run(org, repo, run.id, &first).await?.id,
            None => {
                let new = CheckRunRequest {
                    name: context,
                    head_sha: sha,
                    external_id: &name,
                    state: &first,
                };
                github.create_check_run(org, repo, &new).await?.id
            }
        };
        for batch in batches {
            let next = plan::with_annotations(&change, batch);
            github.update_check_run(org, repo, id, &next).await?;
        }
        Ok(())
    }

    /// The annotations whose files exist at the commit.
    async fn list_existing_annotations(
        &self,
        report: &CommitStatusReport,
        remarks: &[DigestAnnotation],
    ) -> Result<Vec<CheckAnnotation>, ReportError> {
        let mut folders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for remark in remarks {
            let (folder, _) = plan::split_path(&remark.path);
            if folders.contains_key(folder) || folders.len() == MAX_FOLDERS {
                continue;
            }
            let CommitStatusReport { org, repo, sha, .. } = report;
            let names = match self.ctx.github.list_directory(org, repo, sha, folder).await {
                // Without the right to read files, the check run has no annotations.
                Err(GithubError::Forbidden(_)) => return Ok(Vec::new()),
                names => names?,
            };
            folders.insert(folder, names);
        }
        Ok(plan::check_annotations(remarks, &folders))
    }
}

impl Reporter for CheckRunReporter {
    fn reporter_name(&self) -> &'static str {
        "github-check-reporter"
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        let enabled = self.ctx.config.borrow().prow.github_reporter.checks;
        enabled && status_report::is_reported(job, &self.ctx.settings.report_agent)
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async move {
            self.report_check_run(news).await?;
            Ok(ReportResult::Done)
        })
    }
}
