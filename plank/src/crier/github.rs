//! The reporter of pull requests and commits on GitHub.

mod comments;

use std::{sync::Arc, time::Duration};

use common::prowjob::ProwJob;
use futures::future::BoxFuture;
use kube::ResourceExt;

use super::{
    Context, GITHUB_REPORTER, comment,
    news::News,
    pull_queue::{Pull, PullQueues},
    report,
    reporter::{Error, Reporter, Told, Workers},
};

/// Bound on one status, and on one pull request's comments.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

pub(super) struct GithubReporter {
    ctx: Arc<Context>,
    workers: Workers,
    /// Comments are read and then changed: of one pull request by one at a time.
    pulls: PullQueues,
}

impl GithubReporter {
    pub(super) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.workers(ctx.settings.github_workers, PATIENCE),
            pulls: PullQueues::default(),
        }
    }

    /// Sets the commit status; `false` if GitHub will never take it.
    async fn set_status(&self, job: &ProwJob) -> Result<bool, Error> {
        let config = self.ctx.config.borrow().prow.github_reporter.clone();
        let Some(report) = report::report(job, &config) else {
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
        match self.workers.run(status).await {
            Err(Error::GitHub(error)) if report::is_permanent(&error) => {
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

impl Reporter for GithubReporter {
    fn name(&self) -> &'static str {
        GITHUB_REPORTER
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        report::is_reported(job, &self.ctx.settings.report_agent)
    }

    fn report<'a>(&'a self, news: &'a Arc<News>) -> BoxFuture<'a, Result<Told, Error>> {
        Box::pin(async move {
            let job = &news.job;
            let there = self.set_status(job).await?;
            let config = self.ctx.config.borrow().prow.github_reporter.clone();
            let comments = comment::is_told(job, &config.job_types_to_report);
            let Some(pull) = Pull::of(job).filter(|_| there && comments) else {
                return Ok(Told::Done);
            };
            if config.comments_on(&pull.org, &pull.repo) {
                let update = |all: Vec<Arc<News>>| self.update_comments(&pull, all);
                self.pulls.join(&pull, news, update).await?;
            }
            Ok(Told::Done)
        })
    }
}
