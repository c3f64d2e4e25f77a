//! The reporter of commit statuses and pull requests' comments on GitHub.

mod comments;

use std::{sync::Arc, time::Duration};

use common::prowjob::ProwJob;
use futures::future::BoxFuture;
use kube::ResourceExt;

use super::{
    CrierContext, GITHUB_REPORTER, comment,
    pull_queue::{PullKey, PullQueues},
    reporter::{ReportError, ReportResult, Reporter, SendLimiter},
    state_change::JobStateChange,
    status_report,
};

/// The time limit of one status, and of one pull request's comments.
const GITHUB_TIMEOUT: Duration = Duration::from_secs(5 * 60);

pub(super) struct GithubJobReporter {
    ctx: Arc<CrierContext>,
    workers: SendLimiter,
    /// Comments are read and then changed, so one task at a time handles a pull request.
    pulls: PullQueues,
}

impl GithubJobReporter {
    pub(super) fn new(ctx: &Arc<CrierContext>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.new_limiter(ctx.settings.github_workers, GITHUB_TIMEOUT),
            pulls: PullQueues::default(),
        }
    }

    /// Sets the commit status; `false` if GitHub refuses it for good.
    async fn set_status(&self, job: &ProwJob) -> Result<bool, ReportError> {
        let config = self.ctx.config.borrow().prow.github_reporter.clone();
        let Some(report) = status_report::build_status_report(job, &config) else {
            return Ok(true);
        };
        let (org, repo) = (report.org.as_str(), report.repo.as_str());
        let pull = job.spec.refs.as_ref().and_then(|refs| refs.pulls.first());
        tracing::info!(
            prowjob = job.name_any(),
            job = job.spec.job,
            org,
            repo,
            pr = pull.map(|pull| pull.number),
            state = job.state().as_str(),
            "setting the commit status"
        );
        let github = &self.ctx.github;
        let status = async {
            Ok(github
                .create_status(org, repo, &report.sha, &report.status)
                .await?)
        };
        match self.workers.run_limited(status).await {
            Err(ReportError::GitHub(error)) if status_report::is_permanent_refusal(&error) => {
                tracing::warn!(
                    prowjob = job.name_any(),
                    job = job.spec.job,
                    "giving up on a status: {error}"
                );
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }
}

impl Reporter for GithubJobReporter {
    fn reporter_name(&self) -> &'static str {
        GITHUB_REPORTER
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        status_report::is_reported(job, &self.ctx.settings.report_agent)
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async move {
            let job = &news.job;
            let there = self.set_status(job).await?;
            let config = self.ctx.config.borrow().prow.github_reporter.clone();
            let comments = comment::belongs_in_comment(job, &config.job_types_to_report);
            let Some(pull) = PullKey::from_job(job).filter(|_| there && comments) else {
                return Ok(ReportResult::Done);
            };
            if config.comments_on(&pull.org, &pull.repo) {
                let update = |all: Vec<Arc<JobStateChange>>| self.update_comments(&pull, all);
                self.pulls.run_batched(&pull, news, update).await?;
            }
            Ok(ReportResult::Done)
        })
    }
}
